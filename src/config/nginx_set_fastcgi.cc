// fastcgi_pass and the fastcgi_* directives that hold more than one value.
//
// Runs in: master, front.  Input: configuration (trusted).
#include "config/nginx_setters.h"

namespace bulkhead::config {

void set_fastcgi_pass(Builder& b, const Directive& d) {
  LocSettings& loc = b.loc();
  const std::string& text = d.args[0].text;
  loc.pass_file = d.file;
  loc.pass_line = d.line;
  if (has_variables(text)) {
    loc.pass_template = b.compile(d, text);
    return;
  }
  // Names are looked up at the end: an upstream may be defined below.
  auto address = parse_address(text, {.resolve = false}, b.resolver());
  if (!address) return b.fail(d, address.error().text + " in upstream \"" + text + "\"");
  loc.pass_address = text;
}

void set_fastcgi_param(Builder& b, const Directive& d) {
  if (d.args.size() == 3 && d.args[2].text != "if_not_empty") {
    return b.fail(d, "invalid parameter \"" + d.args[2].text + "\"");
  }
  b.loc().fastcgi_params.push_back(&d);
}

void set_fastcgi_split_path_info(Builder& b, const Directive& d) {
  const std::string& pattern = d.args[0].text;
  RegexPtr regex = b.compile_regex(d, pattern, RegexCase::kSensitive, nullptr);
  if (regex == nullptr) return;
  if (regex->group_count() != 2) {
    return b.fail(d, "pattern \"" + pattern + "\" must have 2 captures");
  }
  b.loc().apply.push_back([regex](LocConf& conf) { conf.fastcgi.split_path_info = regex; });
}

static void add_name(std::optional<std::vector<std::string>>* list, const std::string& name) {
  if (!*list) list->emplace();
  (*list)->push_back(to_lower(name));
}
void set_fastcgi_hide_header(Builder& b, const Directive& d) {
  add_name(&b.loc().hide_headers, d.args[0].text);
}
void set_fastcgi_pass_header(Builder& b, const Directive& d) {
  add_name(&b.loc().pass_headers, d.args[0].text);
}

void set_fastcgi_catch_stderr(Builder& b, const Directive& d) {
  b.loc().catch_stderr.push_back(d.args[0].text);
}

void set_fastcgi_ignore_headers(Builder& b, const Directive& d) {
  struct Row {
    std::string_view name;
    bool IgnoreHeaders::*field;
  };
  static constexpr Row kRows[] = {
      {"x-accel-redirect", &IgnoreHeaders::x_accel_redirect},
      {"x-accel-expires", &IgnoreHeaders::x_accel_expires},
      {"x-accel-limit-rate", &IgnoreHeaders::x_accel_limit_rate},
      {"x-accel-buffering", &IgnoreHeaders::x_accel_buffering},
      {"x-accel-charset", &IgnoreHeaders::x_accel_charset},
      {"expires", &IgnoreHeaders::expires},
      {"cache-control", &IgnoreHeaders::cache_control},
      {"set-cookie", &IgnoreHeaders::set_cookie},
      {"vary", &IgnoreHeaders::vary},
  };
  IgnoreHeaders& ignore = b.loc().ignore_headers;  // several mentions add up
  for (const Word& word : d.args) {
    const Row* found = nullptr;
    for (const Row& row : kRows) {
      if (to_lower(word.text) == row.name) found = &row;
    }
    if (found == nullptr) return b.fail(d, "invalid value \"" + word.text + "\"");
    if (ignore.*(found->field)) b.warn(d, "duplicate value \"" + word.text + "\"");
    ignore.*(found->field) = true;
  }
  b.loc().apply.push_back([ignore = ignore](LocConf& conf) { conf.fastcgi.ignore = ignore; });
}

void set_fastcgi_next_upstream(Builder& b, const Directive& d) {
  static constexpr std::string_view kWords[] = {
      "error",    "timeout",  "invalid_header", "http_500",       "http_503",
      "http_403", "http_404", "http_429",       "non_idempotent", "off"};
  uint32_t& bits = b.loc().next_upstream;  // several mentions add up
  for (const Word& word : d.args) {
    if (word.text == "updating") continue;  // means something for caches only
    uint32_t bit = 0;
    for (uint32_t i = 0; i < std::size(kWords); ++i) {
      if (word.text == kWords[i]) bit = 1U << i;
    }
    if (bit == 0) return b.fail(d, "invalid value \"" + word.text + "\"");
    if ((bits & bit) != 0) b.warn(d, "duplicate value \"" + word.text + "\"");
    bits |= bit;
  }
  b.loc().apply.push_back([bits = bits](LocConf& conf) { conf.fastcgi.next_upstream = bits; });
}

}  // namespace bulkhead::config
