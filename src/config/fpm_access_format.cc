// Whether an access.format is one php-fpm takes; the worker compiles it to write lines.
//
// Runs in: master.  Input: configuration (trusted).
// Ref: php-fpm 8.2's www.conf comments on access.format; messages observed.
#include <string>
#include <string_view>

#include "config/fpm_validate.h"

namespace bulkhead::config {
namespace {

std::string only_allowed(std::string_view words, char token, std::string_view got) {
  std::string out = "only ";
  ((out += words) += " are allowed as a modifier for %") += token;
  (out += " ('") += got;
  return out += "')";
}

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> list) {
  for (std::string_view w : list) {
    if (w == word) return true;
  }
  return false;
}

}  // namespace

std::string fpm_access_format_fault(const std::string& format) {
  std::string modifier;
  bool after_percent = false;
  for (size_t i = 0; i < format.size(); i++) {
    char c = format[i];
    if (!after_percent) {
      after_percent = c == '%';
      modifier.clear();
      continue;
    }
    if (c == '{') {
      size_t close = format.find('}', i);
      if (close == std::string::npos || close + 1 == format.size())
        return "missing closing embrace in the access.format";
      modifier = format.substr(i + 1, close - i - 1);
      i = close;
      continue;
    }
    after_percent = false;
    if (!modifier.empty() && std::string_view("CdeMotT").find(c) == std::string_view::npos &&
        std::string_view("%flmnpPqQrRsu").find(c) != std::string_view::npos)
      return std::string("embrace is not allowed for modifier %") + c;
    switch (c) {
      case 'C':
        if (!modifier.empty() && !is_one_of(modifier, {"user", "system", "total"}))
          return only_allowed("'total', 'user' or 'system'", c, modifier);
        break;
      case 'd':
        if (!modifier.empty() &&
            !is_one_of(modifier, {"seconds", "milliseconds", "milli", "microseconds", "micro"}))
          return only_allowed("'seconds', 'milli', 'milliseconds', 'micro' or 'microseconds'", c,
                              modifier);
        break;
      case 'M':
        if (!modifier.empty() &&
            !is_one_of(modifier, {"bytes", "kilobytes", "kilo", "megabytes", "mega"}))
          return only_allowed("'bytes', 'kilo', 'kilobytes', 'mega' or 'megabytes'", c, modifier);
        break;
      case 'e':
        if (modifier.empty())
          return "the name of the environment variable must be set between "
                 "embraces for %e";
        break;
      case 'o':
        if (modifier.empty()) return "the name of the header must be set between embraces for %o";
        break;
      default:
        if (std::string_view("%flmnpPqQrRstTu").find(c) == std::string_view::npos)
          return std::string("Invalid token in the access.format (%") + c + ")";
    }
  }
  return {};
}

}  // namespace bulkhead::config
