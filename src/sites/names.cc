#include "sites/names.h"

#include <cstdint>
#include <cstdio>

namespace bulkhead::sites {
namespace {

constexpr size_t kLabelMax = 63, kHostMax = 253;  // RFC 1035 2.3.4

bool is_letter(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

const char* label_fault(std::string_view label) {
  if (label.empty()) return "has an empty part";
  if (label.size() > kLabelMax) return "has a part longer than 63 characters";
  if (label.front() == '-' || label.back() == '-') return "has a part that begins or ends with '-'";
  for (char c : label) {
    if (!is_letter(c) && !is_digit(c) && c != '-' && c != '_') {
      return "may hold letters, digits, '-', '_' and '.' only (write an international name as "
             "xn--...)";
    }
  }
  return nullptr;
}

const char* host_fault(std::string_view name, size_t max) {
  if (name.empty()) return "is empty";
  if (name.size() > max) return "is too long";
  if (name.size() > 1 && name.ends_with('.') && !name.ends_with("..")) {
    return "ends in '.': leave that out";
  }
  for (size_t at = 0; at <= name.size();) {
    const size_t end = std::min(name.find('.', at), name.size());
    if (const char* fault = label_fault(name.substr(at, end - at))) return fault;
    at = end + 1;
  }
  return nullptr;
}

// FNV-1a: no secret, only to tell long names apart.
uint32_t hash_of(std::string_view text) {
  uint32_t hash = 2166136261u;
  for (unsigned char c : text) hash = (hash ^ c) * 16777619u;
  return hash;
}

}  // namespace

Result<std::string> checked_site_name(std::string_view text) {
  std::string name = lower(text);
  if (const char* fault = host_fault(name, kSiteNameMax)) {
    return fail("the name \"" + std::string(text) + "\" " + fault);
  }
  return name;
}

Result<std::string> checked_host_name(std::string_view text) {
  std::string name = lower(text);
  const bool is_wildcard = name.starts_with("*.");
  if (const char* fault =
          host_fault(std::string_view(name).substr(is_wildcard ? 2 : 0), kHostMax)) {
    return fail("the name \"" + std::string(text) + "\" " + fault);
  }
  return name;
}

std::string derive_user(std::string_view site,
                        const std::function<bool(const std::string&)>& is_taken) {
  std::string name;
  for (char c : site) name += is_letter(c) || is_digit(c) ? c : '-';
  if (name.empty() || !is_letter(name[0])) name = "s-" + name;
  if (name.size() > kUserNameMax) {
    char hash[12];
    std::snprintf(hash, sizeof hash, "-%08x", hash_of(site));
    name = name.substr(0, kUserNameMax - 9) + hash;
  }
  std::string candidate = name;
  for (int number = 2; is_taken(candidate); ++number) {
    const std::string suffix = "-" + std::to_string(number);
    candidate = name.substr(0, kUserNameMax - suffix.size()) + suffix;
  }
  return candidate;
}

Status check_user_name(std::string_view name) {
  const std::string text(name);
  if (name.empty() || name.size() > kUserNameMax) {
    return fail("the user name \"" + text + "\" must have 1 to 32 characters");
  }
  if (!is_letter(name[0]) && name[0] != '_') {
    return fail("the user name \"" + text + "\" must begin with a lower-case letter");
  }
  for (char c : name) {
    if (!is_letter(c) && !is_digit(c) && c != '-' && c != '_') {
      return fail("the user name \"" + text +
                  "\" may hold lower-case letters, digits, '-' and '_'");
    }
  }
  return {};
}

}  // namespace bulkhead::sites
