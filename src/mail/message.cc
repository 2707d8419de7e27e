// See message.h.
#include "mail/message.h"

#include <strings.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "mail/address.h"
#include "mail/wire.h"

namespace bulkhead::mail {
namespace {

constexpr size_t kFieldsMax = 2000;  // more begin the body

bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

// The next line without its end; all CR before the LF belong to the end.
std::string_view take_line(std::string_view& rest) {
  const size_t end = std::min(rest.find('\n'), rest.size());
  std::string_view line = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  while (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

// The name of a header field; "" when the line is not one.
std::string_view field_name(std::string_view line) {
  size_t i = 0;
  while (i < line.size() && line[i] > 0x20 && line[i] < 0x7f && line[i] != ':') ++i;
  const std::string_view name = line.substr(0, i);
  while (i < line.size() && (line[i] == ' ' || line[i] == '\t')) ++i;  // obsolete, still seen
  return i < line.size() && line[i] == ':' ? name : std::string_view();
}

// Where a line that is only "." begins; the end of the text when there is none.
size_t find_lone_dot(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    std::string_view rest = text.substr(at);
    const size_t before = rest.size();
    if (take_line(rest) == ".") return at;
    at += before - rest.size();
  }
  return text.size();
}

// A header's line may hold no CR, LF or NUL: what is left of them would be somebody else's line.
std::string clean(std::string_view line) {
  std::string out(line);
  for (char& c : out) {
    if (c == '\r' || c == '\n' || c == '\0') c = ' ';
  }
  return out;
}

}  // namespace

Message Message::parse(std::string_view bytes, bool dot_ends) {
  if (dot_ends) bytes = bytes.substr(0, find_lone_dot(bytes));
  Message out;
  std::string_view rest = bytes;
  if (rest.starts_with("From ")) (void)take_line(rest);  // an mbox separator
  for (;;) {
    out.body_ = rest;
    if (rest.empty() || out.fields_.size() >= kFieldsMax) return out;
    const std::string_view line = take_line(rest);
    if (line.empty()) {
      out.body_ = rest;
      return out;
    }
    const bool is_folded = line[0] == ' ' || line[0] == '\t';
    if (is_folded && !out.fields_.empty()) {
      out.fields_.back().text += "\n" + clean(line);
      continue;
    }
    const std::string_view name = field_name(line);
    if (name.empty()) return out;  // no header: the body begins without an empty line
    out.fields_.push_back({name, clean(line)});
  }
}

bool Message::has(std::string_view name) const {
  return std::any_of(fields_.begin(), fields_.end(),
                     [name](const Field& f) { return same_name(f.name, name); });
}

std::string Message::find(std::string_view name) const {
  for (const Field& field : fields_) {
    if (!same_name(field.name, name)) continue;
    std::string value = field.text.substr(field.text.find(':') + 1);
    std::replace(value.begin(), value.end(), '\n', ' ');
    value.erase(0, std::min(value.find_first_not_of(" \t"), value.size()));
    return value;
  }
  return "";
}

size_t Message::collect_recipients(std::vector<std::string>* out) const {
  static constexpr std::string_view kPlain[] = {"To", "Cc", "Bcc"};
  static constexpr std::string_view kResent[] = {"Resent-To", "Resent-Cc", "Resent-Bcc"};
  const bool is_resent =
      std::any_of(std::begin(kResent), std::end(kResent), [this](auto name) { return has(name); });
  size_t malformed = 0;
  for (const Field& field : fields_) {
    for (std::string_view name : is_resent ? kResent : kPlain) {
      if (!same_name(field.name, name)) continue;
      malformed +=
          parse_addresses(std::string_view(field.text).substr(field.text.find(':') + 1), out);
    }
  }
  return malformed;
}

void Message::remove(std::string_view name) {
  std::erase_if(fields_, [name](const Field& f) { return same_name(f.name, name); });
}

void Message::complete(const Stamp& stamp) {
  for (std::string_view name : {"Bcc", "Resent-Bcc", "Return-Path", "X-Bulkhead-Site"}) {
    remove(name);
  }
  auto add = [this](std::string_view name, std::string_view value) {
    fields_.push_back({name, clean(std::string(name) + ": " + std::string(value))});
  };
  if (!stamp.site.empty()) add("X-Bulkhead-Site", stamp.site);
  if (!has("Date")) add("Date", stamp.date);
  if (!has("From")) add("From", stamp.from);
  if (!has("Message-ID")) add("Message-ID", stamp.unique_id);
  if (!has("To") && !has("Cc") && !has("Resent-To")) add("To", "undisclosed-recipients:;");
}

bool Message::is_8bit() const {
  return !is_ascii(body_) || std::any_of(fields_.begin(), fields_.end(),
                                         [](const Field& f) { return !is_ascii(f.text); });
}

bool Message::write_data(const std::function<bool(std::string_view)>& write) const {
  WireEncoder encoder(write);
  for (const Field& field : fields_) encoder.add(field.text + "\n");
  encoder.add("\n");
  encoder.add(body_);
  return encoder.finish();
}

std::string format_date(int64_t seconds) {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const time_t when = seconds;
  tm parts{};
  ::localtime_r(&when, &parts);
  const long offset = parts.tm_gmtoff / 60;
  const unsigned long minutes = static_cast<unsigned long>(offset < 0 ? -offset : offset);
  char text[64];
  std::snprintf(text, sizeof text, "%s, %d %s %d %02d:%02d:%02d %c%02lu%02lu", kDays[parts.tm_wday],
                parts.tm_mday, kMonths[parts.tm_mon], 1900 + parts.tm_year, parts.tm_hour,
                parts.tm_min, parts.tm_sec, offset < 0 ? '-' : '+', minutes / 60, minutes % 60);
  return text;
}

}  // namespace bulkhead::mail
