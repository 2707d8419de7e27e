// The SAPI: what libphp calls to send a response, read a body and write a log line.
//
// Runs in: worker (and zygote, with no request).  Input: a script's output; hostile parameters.
// PHP leaves scripts by longjmp: no callback keeps an object with a destructor across a call that
// can end in php_handle_aborted_connection().  Ref: php-8.2 main/SAPI.h.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

#include "php/engine_state.h"

extern "C" {
#include "http_status_codes.h"
}

namespace bulkhead::php {

EngineState g_engine;
CgiSettings g_cgi;

namespace {

constexpr size_t kStatusLineMax = 1024;  // php-fpm's limit for the Status line

size_t ub_write(const char* bytes, size_t size) noexcept {
  if (g_engine.source == nullptr) return fwrite(bytes, 1, size, stdout);
  if (g_engine.out.write({bytes, size})) return size;
  php_handle_aborted_connection();
  return 0;
}

void flush(void*) noexcept {
  if (g_engine.source == nullptr) {
    if (!g_engine.is_worker) fflush(stdout);
    return;
  }
  sapi_send_headers();
  if (!g_engine.out.send() || !g_engine.source->flush()) php_handle_aborted_connection();
}

bool is_header(const sapi_header_struct* header, std::string_view name) {
  return header->header_len > name.size() &&
         strncasecmp(header->header, name.data(), name.size()) == 0;
}

template <class Visit>
void each_header(sapi_headers_struct* headers, Visit visit) {
  zend_llist_position at;
  for (void* h = zend_llist_get_first_ex(&headers->headers, &at); h != nullptr;
       h = zend_llist_get_next_ex(&headers->headers, &at)) {
    if (!visit(static_cast<sapi_header_struct*>(h))) return;
  }
}

void append_line(std::string_view line) { g_engine.head.append(line).append("\r\n"); }

// "Status: 404 Not Found" from the code PHP was given.
void append_status_of_code(int code) {
  char line[64];
  const char* reason = nullptr;
  for (const http_response_status_code_pair& pair : http_status_map) {
    if (pair.code == code) reason = pair.str;
  }
  snprintf(line, sizeof line, reason != nullptr ? "Status: %d %s" : "Status: %d", code, reason);
  append_line(line);
}

// Writes the status line a response needs.  Returns whether later "Status:" headers are dropped;
// `*status` becomes the code the script asked for.
bool append_status(sapi_headers_struct* headers, int* status) {
  const char* line = headers->http_status_line;
  if (!g_cgi.nph && headers->http_response_code == 200) return false;
  const char* space = line != nullptr ? strchr(line, ' ') : nullptr;
  if (g_cgi.rfc2616_headers && line != nullptr) {
    if (space != nullptr) *status = atoi(space + 1);
    append_line(std::string_view(line).substr(0, kStatusLineMax - 1));
    return true;
  }
  if (space != nullptr && space - line >= 5 && strncasecmp(line, "HTTP/", 5) == 0) {
    *status = atoi(space + 1);
    g_engine.head.append("Status:")
        .append(std::string_view(space).substr(0, kStatusLineMax - 8))
        .append("\r\n");
    return true;
  }
  bool has_status = false;
  each_header(headers, [&](sapi_header_struct* h) {
    has_status = is_header(h, "Status:");
    return !has_status;
  });
  if (has_status) return false;
  append_status_of_code(headers->http_response_code);
  return true;
}

int send_headers(sapi_headers_struct* headers) noexcept {
  if (SG(request_info).no_headers || g_engine.source == nullptr || g_engine.finished) {
    return SAPI_HEADER_SENT_SUCCESSFULLY;
  }
  int status = headers->http_response_code;
  g_engine.head.clear();
  bool drop_status = append_status(headers, &status);
  each_header(headers, [&](sapi_header_struct* h) {
    if (h->header_len == 0) return true;  // an empty line would end the head
    if (is_header(h, "Status:")) {
      if (drop_status) return true;
      drop_status = true;
    } else if (status == 304 && is_header(h, "Content-Type:")) {
      return true;
    }
    append_line({h->header, h->header_len});
    return true;
  });
  g_engine.head.append("\r\n");
  g_engine.source->write_head(g_engine.head);
  return SAPI_HEADER_SENT_SUCCESSFULLY;
}

// nginx may leave the body in a file and send its name (fastcgi_pass_request_body off).
int body_file() {
  if (g_engine.body_file == -1) {
    const char* name = g_engine.params.find("REQUEST_BODY_FILE");
    if (name == nullptr || *name == '\0') {
      g_engine.body_file = -2;
    } else if ((g_engine.body_file = open(name, O_RDONLY | O_CLOEXEC)) < 0) {
      g_engine.body_file = -1;
      php_error_docref(nullptr, E_WARNING, "REQUEST_BODY_FILE: open('%s') failed: %s (%d)", name,
                       strerror(errno), errno);
      return -1;
    }
  }
  return g_engine.body_file;
}

size_t read_post(char* to, size_t size) noexcept {
  if (g_engine.source == nullptr) return 0;
  const int64_t left = SG(request_info).content_length - SG(read_post_bytes);
  if (left <= 0) return 0;
  if (static_cast<uint64_t>(left) < size) size = static_cast<size_t>(left);
  const int file = body_file();
  if (file == -1) return 0;
  size_t got = 0;
  while (got < size) {
    const ssize_t n = file >= 0
                          ? read(file, to + got, size - got)
                          : static_cast<ssize_t>(g_engine.source->read_body(to + got, size - got));
    if (n <= 0) break;
    got += static_cast<size_t>(n);
  }
  return got;
}

char* get_env(const char* name, size_t size) noexcept {
  if (g_engine.source == nullptr) return g_engine.is_worker ? nullptr : getenv(name);
  return const_cast<char*>(g_engine.params.find({name, size}));
}

char* read_cookies() noexcept { return const_cast<char*>(g_engine.params.find("HTTP_COOKIE")); }

void log_message(const char* message, int) noexcept {
  char text[1100];
  snprintf(text, sizeof text, "PHP message: %s", message);
  log_line(LogLevel::kNotice, text);
}

int activate() noexcept { return g_engine.source == nullptr ? SUCCESS : activate_user_ini(); }

int deactivate() noexcept {
  if (g_engine.source != nullptr && SG(sapi_started) && !finish_response(Finish::kAtEnd)) {
    php_handle_aborted_connection();
  }
  return SUCCESS;
}

// $_SERVER: environment and parameters, then PHP_SELF.
void register_variables(zval* array) noexcept {
  php_import_environment_variables(array);
  const char* script = SG(request_info).request_uri;
  if (script == nullptr) script = "";
  const char* info = g_cgi.fix_pathinfo ? g_engine.params.find("PATH_INFO") : nullptr;
  char* self = nullptr;
  size_t size = spprintf(&self, 0, "%s%s", script, info != nullptr ? info : "");
  char* value = self;
  if (sapi_module.input_filter(PARSE_SERVER, "PHP_SELF", &value, size, &size)) {
    php_register_variable_safe("PHP_SELF", value, size, array);
  }
  efree(value);
}

int startup(sapi_module_struct* module) { return php_module_startup(module, &g_cgi_module); }

// php-fpm cuts a line so that it fits its log with the level in front.
size_t fit_line(LogLevel level, char* line, size_t size) {
  constexpr size_t kPrefix[] = {0, 7, 8, 9, 7, 7};  // "DEBUG: " "NOTICE: " "WARNING: " ...
  const size_t limit = 1023 - kPrefix[static_cast<size_t>(level)];
  if (size <= limit) return size;
  memcpy(line + limit - 3, "...", 3);
  return limit;
}

bool write_request_log(std::string_view line) {
  if (g_engine.source == nullptr || !g_cgi.fcgi_logging || g_engine.finished || line.empty()) {
    return true;
  }
  char text[1100] = "; ";
  const size_t lead = g_engine.logged ? 2 : 0;
  memcpy(text + lead, line.data(), line.size());
  g_engine.logged = true;
  return g_engine.source->write_stderr({text, lead + line.size()});
}

void write_to_standard_error(LogLevel level, std::string_view line) {
  static constexpr const char* kNames[] = {"", "DEBUG", "NOTICE", "WARNING", "ERROR", "ALERT"};
  char text[1200];
  int size = snprintf(text, sizeof text, "%s: %.*s\n", kNames[static_cast<size_t>(level)],
                      static_cast<int>(line.size()), line.data());
  [[maybe_unused]] ssize_t ignored = write(STDERR_FILENO, text, static_cast<size_t>(size));
}

}  // namespace

void log_line(LogLevel level, std::string_view text) noexcept {
  char line[1090];
  size_t size = text.size() < sizeof line ? text.size() : sizeof line;
  memcpy(line, text.data(), size);
  size = fit_line(level, line, size);
  const bool heard = write_request_log({line, size});
  if (level > LogLevel::kDebug) {
    if (g_engine.sink != nullptr) {
      g_engine.sink(level, {line, size}, g_engine.sink_context);
    } else {
      write_to_standard_error(level, {line, size});
    }
  }
  if (!heard) php_handle_aborted_connection();
}

bool finish_response(Finish when) noexcept {
  if (g_engine.finished) return true;
  g_engine.finished = true;
  const bool sent = g_engine.out.send();
  Usage usage;
  usage.app_status = 0;
  usage.cpu_us = g_engine.hooks->cpu_us();
  usage.memory_peak = zend_memory_peak_usage(true);
  g_engine.source->finish(usage, when);
  g_engine.out.close();
  return sent;
}

const char* request_param(std::string_view name) noexcept { return g_engine.params.find(name); }

std::string_view response_header(std::string_view name) noexcept {
  std::string_view found;
  each_header(&SG(sapi_headers), [&](sapi_header_struct* h) {
    const std::string_view line(h->header, h->header_len);
    if (line.size() <= name.size() + 2 || !line.starts_with(name) ||
        line.substr(name.size(), 2) != ": ") {
      return true;
    }
    found = line.substr(name.size() + 2);
    return false;
  });
  return found;
}

sapi_module_struct g_sapi = {
    .name = const_cast<char*>("fpm-fcgi"),
    .pretty_name = const_cast<char*>("FPM/FastCGI"),
    .startup = startup,
    .shutdown = php_module_shutdown_wrapper,
    .activate = activate,
    .deactivate = deactivate,
    .ub_write = ub_write,
    .flush = flush,
    .getenv = get_env,
    .sapi_error = php_error,
    .send_headers = send_headers,
    .read_post = read_post,
    .read_cookies = read_cookies,
    .register_server_variables = register_variables,
    .log_message = log_message,
    .php_ini_ignore_cwd = 1,
};

}  // namespace bulkhead::php
