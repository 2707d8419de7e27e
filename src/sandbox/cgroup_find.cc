// See cgroup_find.h.
#include "sandbox/cgroup_find.h"

#include <cstdint>
#include <cstdio>
#include <vector>

namespace bulkhead::sandbox {
namespace {

constexpr size_t kNameMax = 200;  // of NAME_MAX 255

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const size_t end = std::min(text.find(separator), text.size());
    if (end != 0) out.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

bool is_octal(char c) { return c >= '0' && c <= '7'; }

// mountinfo writes blanks and backslashes as \ooo.
std::string unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && is_octal(text[i + 1]) && is_octal(text[i + 2]) &&
        is_octal(text[i + 3])) {
      out +=
          static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + text[i + 3] - '0');
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

struct Mount {
  std::string root, point;
};

// "31 23 0:28 ROOT POINT options [tags] - TYPE source options"
bool is_version_2(std::string_view line, Mount* out) {
  const auto words = split(line, ' ');
  for (size_t i = 6; i + 1 < words.size(); ++i) {
    if (words[i] != "-") continue;
    *out = {unescape(words[3]), unescape(words[4])};
    return words[i + 1] == "cgroup2";
  }
  return false;
}

bool is_below(std::string_view path, std::string_view top) {
  return path.starts_with(top) && (path.size() == top.size() || path[top.size()] == '/');
}

uint64_t checksum(std::string_view text) {  // FNV-1a: tells names apart, keeps no secret
  uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char c : text) hash = (hash ^ c) * 0x100000001b3;
  return hash;
}

}  // namespace

Result<GroupPlace> find_groups(std::string_view mountinfo, std::string_view cgroup) {
  GroupPlace place;
  std::string root;
  for (std::string_view line : split(mountinfo, '\n')) {
    Mount mount;
    if (!is_version_2(line, &mount)) continue;
    place.mount = mount.point;
    root = mount.root == "/" ? "" : mount.root;
  }
  if (place.mount.empty()) return fail("no cgroup version 2 hierarchy is mounted");
  for (std::string_view line : split(cgroup, '\n')) {
    if (!line.starts_with("0::")) continue;
    std::string path(line.substr(3));
    if (path == "/") path.clear();
    // Outside of what is mounted here ("/../x" in a namespace of its own): the mounted root.
    if (path.find("/..") == std::string::npos && is_below(path, root)) {
      place.own = path.substr(root.size());
    }
  }
  return place;
}

std::string group_name(std::string_view site) {
  std::string out = "site-";
  for (unsigned char c : site) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '_' || c == '-' || c == '.';
    char hex[4];
    std::snprintf(hex, sizeof hex, "%%%02X", c);
    out += plain ? std::string(1, static_cast<char>(c)) : hex;
  }
  if (out.size() <= kNameMax) return out;
  char sum[24];
  std::snprintf(sum, sizeof sum, "~%016llx", static_cast<unsigned long long>(checksum(site)));
  return out.substr(0, kNameMax) + sum;
}

}  // namespace bulkhead::sandbox
