// What goes with an answer: error pages, headers, expiry, charset, access, keep-alive, rates.
//
// Runs in: master, front.  Input: configuration (trusted).
#include "config/nginx_setters.h"

namespace bulkhead::config {
namespace {

// nginx's own codes for broken requests are told to the client as 400.
bool is_told_as_400(uint16_t status) { return status >= 494 && status <= 497; }

void add_error_page(Builder& b, const Directive& d, std::vector<uint16_t> statuses,
                    std::optional<int> overwrite, const Template& uri) {
  b.loc().error_pages.push_back({std::move(statuses), overwrite, uri});
}

std::optional<Expires> relative_expires(std::string_view text, bool is_modified) {
  Expires out;
  bool is_minus = false;
  if (text.starts_with('@')) {
    auto time = parse_seconds(text.substr(1));
    if (!time) return std::nullopt;
    out.kind = Expires::Kind::kTimeOfDay;
    out.seconds = time->count();
    return out;
  }
  if (text.starts_with('+')) {
    text.remove_prefix(1);
  } else if (text.starts_with('-')) {
    is_minus = true;
    text.remove_prefix(1);
  }
  auto time = parse_seconds(text);
  if (!time) return std::nullopt;
  out.kind = is_modified ? Expires::Kind::kModifiedDelta : Expires::Kind::kDelta;
  out.seconds = is_minus ? -time->count() : time->count();
  return out;
}

}  // namespace

Result<Expires> parse_expires(std::vector<std::string_view> args) {
  bool is_modified = args.size() == 2 && args[0] == "modified";
  if (args.empty() || (args.size() == 2 && !is_modified)) return bulkhead::fail("invalid value");
  std::string_view text = args.back();
  Expires out;
  if (!is_modified && args.size() == 1) {
    if (text == "epoch") return out.kind = Expires::Kind::kEpoch, out;
    if (text == "max") return out.kind = Expires::Kind::kMax, out;
    if (text == "off") return out;
  }
  auto parsed = relative_expires(text, is_modified);
  if (!parsed) return bulkhead::fail("invalid value");
  if (parsed->kind == Expires::Kind::kTimeOfDay) {
    if (is_modified) {
      return bulkhead::fail("daily time cannot be used with \"modified\" parameter");
    }
    if (parsed->seconds > 24 * 3600) {
      return bulkhead::fail("daily time value must be less than 24 hours");
    }
  }
  return *parsed;
}

void set_expires(Builder& b, const Directive& d) {
  Expires expires;
  if (has_variables(d.args.back().text)) {
    // parse_expires() at run time sees the words as they would stand here.
    if (d.args.size() == 2 && d.args[0].text != "modified") {
      return b.fail_value(d, "invalid value");
    }
    expires.kind = Expires::Kind::kVariable;
    std::string text = d.args.size() == 2 ? "modified " : "";
    expires.variable = b.compile(d, text + d.args.back().text);
  } else {
    std::vector<std::string_view> words;
    for (const Word& word : d.args) words.push_back(word.text);
    auto parsed = parse_expires(words);
    if (!parsed) return b.fail_value(d, parsed.error().text);
    expires = std::move(*parsed);
  }
  b.loc().apply.push_back([expires](LocConf& conf) { conf.expires = expires; });
}

void set_error_page(Builder& b, const Directive& d) {
  size_t count = d.args.size() - 1;
  std::optional<int> overwrite;
  if (count > 1 && d.args[count - 1].text.starts_with('=')) {
    std::string_view word = d.args[count - 1].text;
    overwrite = 0;
    if (word.size() > 1) {
      auto code = parse_number(word.substr(1));
      if (!code) return b.fail(d, "invalid value \"" + std::string(word) + "\"");
      overwrite = static_cast<int>(std::min<uint64_t>(*code, 999));
    }
    --count;
  }
  Template uri = b.compile(d, d.args.back().text);
  if (b.failed()) return;
  std::vector<uint16_t> plain, told_as_400;
  for (size_t i = 0; i < count; ++i) {
    const std::string& word = d.args[i].text;
    auto code = parse_number(word);
    if (!code || *code == 499) return b.fail(d, "invalid value \"" + word + "\"");
    if (*code < 300 || *code > 599) {
      return b.fail(d, "value \"" + word + "\" must be between 300 and 599");
    }
    auto status = static_cast<uint16_t>(*code);
    (is_told_as_400(status) && !overwrite ? told_as_400 : plain).push_back(status);
  }
  if (!plain.empty()) add_error_page(b, d, std::move(plain), overwrite, uri);
  if (!told_as_400.empty()) add_error_page(b, d, std::move(told_as_400), 400, uri);
}

static void add_field(Builder& b, const Directive& d, std::vector<AddHeader>* list) {
  AddHeader header{d.args[0].text, b.compile(d, d.args[1].text), false};
  if (b.failed()) return;
  if (d.args.size() == 3) {
    if (d.args[2].text != "always") {
      return b.fail(d, "invalid parameter \"" + d.args[2].text + "\"");
    }
    header.always = true;
  }
  list->push_back(std::move(header));
}
void set_add_header(Builder& b, const Directive& d) { add_field(b, d, &b.loc().add_headers); }
void set_add_trailer(Builder& b, const Directive& d) { add_field(b, d, &b.loc().add_trailers); }

void set_charset(Builder& b, const Directive& d) {
  const std::string& name = d.args[0].text;
  if (has_variables(name)) {
    Template variable = b.compile(d, name);
    b.loc().apply.push_back([variable](LocConf& conf) {
      conf.charset.clear();
      conf.charset_variable = variable;
    });
    return;
  }
  std::string charset = name == "off" ? "" : name;
  b.loc().apply.push_back([charset](LocConf& conf) {
    conf.charset = charset;
    conf.charset_variable.reset();
  });
}

void set_charset_types(Builder& b, const Directive& d) {
  for (const Word& word : d.args) b.loc().charset_types.push_back(to_lower(word.text));
}

void set_access(Builder& b, const Directive& d) {
  bool has_low_bits = false;
  auto rule = parse_access(d.args[0].text, &has_low_bits);
  if (!rule) return b.fail(d, "invalid parameter \"" + d.args[0].text + "\"");
  if (has_low_bits) b.warn(d, "low address bits of " + d.args[0].text + " are meaningless");
  rule->allow = d.name == "allow";
  b.loc().access_rules.push_back(*rule);
}

void set_keepalive_timeout(Builder& b, const Directive& d) {
  auto timeout = parse_millis(d.args[0].text);
  if (!timeout) return b.fail_value(d, "invalid value");
  std::optional<Seconds> header;
  if (d.args.size() == 2) {
    header = parse_seconds(d.args[1].text);
    if (!header) return b.fail_value(d, "invalid value");
  }
  if (b.scope().context == kUpstream) {
    b.scope().upstream->keepalive_timeout = *timeout;
    return;
  }
  b.loc().apply.push_back([timeout, header](LocConf& conf) {
    conf.keepalive_timeout = *timeout;
    conf.keepalive_header = header;
  });
}

void set_keepalive_disable(Builder& b, const Directive& d) {
  bool is_msie6 = false;
  std::unordered_set<std::string> seen;
  for (const Word& word : d.args) {
    const std::string& name = word.text;
    if (name != "msie6" && name != "safari" && name != "none") {
      return b.fail(d, "invalid value \"" + name + "\"");
    }
    if (!seen.insert(name).second) b.warn(d, "duplicate value \"" + name + "\"");
    is_msie6 |= name == "msie6";
  }
  b.loc().apply.push_back([is_msie6](LocConf& conf) { conf.keepalive_disable_msie6 = is_msie6; });
}

static std::optional<Template> rate(Builder& b, const Directive& d) {
  const std::string& text = d.args[0].text;
  if (!has_variables(text)) {
    auto bytes = parse_size(text);
    if (!bytes) {
      b.fail_value(d, "invalid value");
      return std::nullopt;
    }
    return literal_template(std::to_string(*bytes));
  }
  return b.compile(d, text);
}
void set_limit_rate(Builder& b, const Directive& d) {
  auto value = rate(b, d);
  b.loc().apply.push_back([value](LocConf& conf) { conf.limit_rate = value; });
}
void set_limit_rate_after(Builder& b, const Directive& d) {
  auto value = rate(b, d);
  b.loc().apply.push_back([value](LocConf& conf) { conf.limit_rate_after = value; });
}

}  // namespace bulkhead::config
