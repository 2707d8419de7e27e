#include "http/response.h"

#include <charconv>

#include "http/ascii.h"

namespace bulkhead::http {
namespace {

struct StatusWords {
  int status;
  std::string_view line;   // on the status line; "" where nginx has none
  std::string_view title;  // of the built-in page when it differs
  std::string_view note;   // a second line of the page
  bool page = true;
};

constexpr StatusWords kWords[] = {
    {200, "200 OK", "", "", false},
    {201, "201 Created", "", "", false},
    {202, "202 Accepted", "", "", false},
    {204, "204 No Content", "", "", false},
    {206, "206 Partial Content", "", "", false},
    {301, "301 Moved Permanently"},
    {302, "302 Moved Temporarily", "302 Found"},
    {303, "303 See Other"},
    {304, "304 Not Modified", "", "", false},
    {307, "307 Temporary Redirect"},
    {308, "308 Permanent Redirect"},
    {400, "400 Bad Request"},
    {401, "401 Unauthorized", "401 Authorization Required"},
    {402, "402 Payment Required"},
    {403, "403 Forbidden"},
    {404, "404 Not Found"},
    {405, "405 Not Allowed"},
    {406, "406 Not Acceptable"},
    {408, "408 Request Time-out"},
    {409, "409 Conflict"},
    {410, "410 Gone"},
    {411, "411 Length Required"},
    {412, "412 Precondition Failed"},
    {413, "413 Request Entity Too Large"},
    {414, "414 Request-URI Too Large"},
    {415, "415 Unsupported Media Type"},
    {416, "416 Requested Range Not Satisfiable"},
    {421, "421 Misdirected Request"},
    {429, "429 Too Many Requests"},
    {494, "", "400 Bad Request", "Request Header Or Cookie Too Large"},
    {495, "", "400 Bad Request", "The SSL certificate error"},
    {496, "", "400 Bad Request", "No required SSL certificate was sent"},
    {497, "", "400 Bad Request", "The plain HTTP request was sent to HTTPS port"},
    {498, "", "404 Not Found"},
    {500, "500 Internal Server Error"},
    {501, "501 Not Implemented"},
    {502, "502 Bad Gateway"},
    {503, "503 Service Temporarily Unavailable"},
    {504, "504 Gateway Time-out"},
    {505, "505 HTTP Version Not Supported"},
    {507, "507 Insufficient Storage"},
};

const StatusWords* find_words(int status) {
  for (const StatusWords& words : kWords) {
    if (words.status == status) return &words;
  }
  return nullptr;
}

constexpr std::string_view kPadding =
    "<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n";
constexpr int kPaddingLines = 6;

}  // namespace

std::string_view status_text(int status, char (&scratch)[8]) {
  const StatusWords* words = find_words(status);
  if (words != nullptr && !words->line.empty()) return words->line;
  char* end = scratch;
  for (int unit = 100; unit > 0; unit /= 10) {
    *end++ = static_cast<char>('0' + status / unit % 10);
  }
  *end++ = ' ';
  return std::string_view(scratch, static_cast<size_t>(end - scratch));
}

void append_status_line(std::string& out, int status) {
  char scratch[8];
  out.append("HTTP/1.1 ").append(status_text(status, scratch)).append("\r\n");
}

int wire_status(int status) { return status >= 494 && status <= 497 ? 400 : status; }

bool has_error_page(int status) {
  const StatusWords* words = find_words(status);
  return words != nullptr && words->page;
}

void append_error_page(std::string& out, int status, std::string_view server, MsiePadding padding) {
  const StatusWords* words = find_words(status);
  if (words == nullptr || !words->page) return;
  const std::string_view heading = words->title.empty() ? words->line : words->title;
  out += "<html>\r\n<head><title>";
  if (words->note.empty()) {
    out += heading;
  } else {
    out.append("400 ").append(words->note);
  }
  out += "</title></head>\r\n<body>\r\n<center><h1>";
  out.append(heading).append("</h1></center>\r\n");
  if (!words->note.empty()) out.append("<center>").append(words->note).append("</center>\r\n");
  out.append("<hr><center>").append(server).append("</center>\r\n</body>\r\n</html>\r\n");
  if (padding == MsiePadding::kYes && status >= 400) {
    for (int i = 0; i < kPaddingLines; ++i) out += kPadding;
  }
}

bool wants_msie_padding(std::string_view user_agent) {
  if (user_agent.find("Chrome/") != std::string_view::npos) return true;
  // Old Operas called themselves MSIE.
  return user_agent.find("MSIE ") != std::string_view::npos &&
         user_agent.find("Opera") == std::string_view::npos;
}

void append_refresh_page(std::string& out, std::string_view escaped_location) {
  out += "<html><head><meta http-equiv=\"Refresh\" content=\"0; URL=";
  out.append(escaped_location).append("\"></head><body></body></html>\r\n");
}

}  // namespace bulkhead::http
