// Directives this version knows but lacks: what is safe is accepted, what is not answers 503.
//
// Runs in: master, front.  Input: configuration (trusted).
//
// The rule: ignoring a directive must not expose content, drop a protection or break a site
// silently.  A missing content handler or protection is therefore recorded in the location
// (LocConf::unsupported), and -t warns.
#include "config/nginx_setters.h"

namespace bulkhead::config {
namespace {

std::string reason_of(Builder& b, const Directive& d) {
  return "\"" + d.name + "\" is not supported by this version of Bulkhead: " +
         std::string(b.row() == nullptr ? "" : b.row()->help);
}

bool says_off(const Directive& d) { return !d.args.empty() && to_lower(d.args[0].text) == "off"; }

}  // namespace

void protect(Builder& b, std::string_view name, std::string reason) {
  b.loc().protections.emplace_back(std::string(name), std::move(reason));
}

void lack_handler(Builder& b, const Directive& d) {
  b.loc().unsupported_handler = reason_of(b, d);
  if (!d.args.empty() && has_variables(d.args[0].text)) b.compile(d, d.args[0].text);
}

void lack_protection(Builder& b, const Directive& d) {
  protect(b, d.name, says_off(d) ? std::string() : reason_of(b, d));
}

void lack_filter(Builder& b, const Directive& d) { lack_protection(b, d); }

void set_real_ip_from(Builder& b, const Directive& d) {
  b.loc().has_real_ip = true;
  bool has_low_bits = false;
  const std::string& text = d.args[0].text;
  if (parse_access(text, &has_low_bits) && text != "all") {
    if (has_low_bits) b.warn(d, "low address bits of " + text + " are meaningless");
    return;
  }
  if (b.on_the_machine() && b.resolver().lookup(text).empty()) {
    b.fail(d, "host not found in set_real_ip_from \"" + text + "\"");
  }
}

void set_ssl(Builder& b, const Directive& d) {
  b.scope().ssl_on = to_lower(d.args[0].text) == "on";
  b.warn(d, "the \"ssl\" directive is deprecated, use the \"listen ... ssl\" directive instead");
}

void set_ssl_certificate(Builder& b, const Directive&) { b.scope().has_certificate = true; }

void set_ssl_reject_handshake(Builder& b, const Directive& d) {
  b.scope().rejects_handshake = to_lower(d.args[0].text) == "on";
}

void set_gzip_comp_level(Builder& b, const Directive& d) {
  auto level = parse_number(d.args[0].text);
  if (!level) return b.fail_value(d, "invalid number");
  if (*level < 1 || *level > 9) b.fail(d, "value must be between 1 and 9");
}

void set_gzip_types(Builder& b, const Directive& d) {
  std::unordered_set<std::string> seen{"text/html"};
  for (const Word& word : d.args) {
    if (!seen.insert(to_lower(word.text)).second) {
      b.warn(d, "duplicate MIME type \"" + word.text + "\"");
    }
  }
}

void check_pool_size(Builder& b, const Directive& d) {
  constexpr uint64_t kPoolBytesMin = 112;  // nginx's own, on 64-bit machines
  auto size = parse_size(d.args[0].text);
  if (!size) return b.fail_value(d, "invalid value");
  if (*size < kPoolBytesMin) {
    b.fail(d, "the pool size must be no less than " + std::to_string(kPoolBytesMin));
  }
}

void check_file_cache(Builder& b, const Directive& d) {
  for (const Word& word : d.args) {
    std::string_view text = word.text;
    bool is_good = text == "off" || (text.starts_with("max=") && parse_number(text.substr(4))) ||
                   (text.starts_with("inactive=") && parse_seconds(text.substr(9))) ||
                   (text.starts_with("valid=") && parse_seconds(text.substr(6))) ||
                   (text.starts_with("min_uses=") && parse_number(text.substr(9)));
    if (!is_good) {
      return b.fail(d, "invalid \"" + d.name + "\" parameter \"" + std::string(text) + "\"");
    }
  }
}

void check_directio(Builder& b, const Directive& d) {
  if (d.args[0].text != "off" && !parse_size(d.args[0].text, true)) {
    b.fail_value(d, "invalid value");
  }
}

void check_cpu_affinity(Builder& b, const Directive& d) {
  for (const Word& word : d.args) {
    if (word.text == "auto") continue;
    size_t bad = word.text.find_first_not_of("01 ");
    if (bad == std::string::npos) continue;
    return b.fail(
        d, std::string("invalid character \"") + word.text[bad] + "\" in \"worker_cpu_affinity\"");
  }
}

void check_aio(Builder& b, const Directive& d) {
  const std::string& text = d.args[0].text;
  if (text == "on" || text == "off" || text == "threads" || text.starts_with("threads=")) return;
  b.fail_value(d, "invalid value");
}

void check_temp_path(Builder& b, const Directive& d) {
  for (size_t i = 1; i < d.args.size(); ++i) {
    auto level = parse_number(d.args[i].text);
    if (!level || *level == 0) return b.fail_value(d, "invalid value");
  }
  if (d.name != "client_body_temp_path" && d.name != "fastcgi_temp_path") return;
  std::string path = b.full_path(d.args[0].text);
  bool is_body = d.name == "client_body_temp_path";
  b.loc().apply.push_back([path, is_body](LocConf& conf) {
    (is_body ? conf.client_body_temp_path : conf.fastcgi.temp_path) = path;
  });
}

}  // namespace bulkhead::config
