// What both roles need: lines in, JSON out, a file read whole.
//
// Runs in: bulkhead-probe.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "probe/probe.h"

namespace bulkhead::probe {

const std::string& Facts::operator[](std::string_view key) const {
  static const std::string kNone;
  auto found = values_.find(key);
  return found == values_.end() ? kNone : found->second;
}

long Facts::number(std::string_view key) const {
  return std::strtol((*this)[key].c_str(), nullptr, 0);
}

std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (unsigned char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c < 0x20 || c >= 0x7f) {
      char hex[8];
      std::snprintf(hex, sizeof hex, "\\u%04x", c);
      out += hex;
    } else {
      out += static_cast<char>(c);
    }
  }
  return out + "\"";
}

std::string to_json(std::string_view id, const Finding& f) {
  return "{\"id\":" + json_text(id) + ",\"got\":" + json_text(f.got) +
         ",\"done\":" + (f.done ? "true" : "false") + ",\"errno\":" + std::to_string(f.error) +
         ",\"step\":" + json_text(f.step) + ",\"cannot\":" + json_text(f.cannot) + "}\n";
}

bool read_line(std::string* line) {
  static std::string buffer;
  for (;;) {
    if (size_t end = buffer.find('\n'); end != std::string::npos) {
      *line = buffer.substr(0, end);
      buffer.erase(0, end + 1);
      return true;
    }
    char bytes[4096];
    ssize_t n = ::read(0, bytes, sizeof bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    buffer.append(bytes, static_cast<size_t>(n));
  }
}

void write_out(std::string_view text) {
  while (!text.empty()) {
    ssize_t n = ::write(1, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    text.remove_prefix(static_cast<size_t>(n));
  }
}

namespace {
Finding read_from(const std::string& path, size_t bytes_max, off_t from) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return refused("open " + path);
  if (from > 0 && ::lseek(fd, from, SEEK_SET) < 0) {
    ::close(fd);
    return refused("read the end of " + path, ESPIPE);
  }
  std::string text;
  char bytes[4096];
  ssize_t n = 0;
  while (text.size() < bytes_max && (n = ::read(fd, bytes, sizeof bytes)) > 0) {
    text.append(bytes, static_cast<size_t>(n));
  }
  int error = errno;
  ::close(fd);
  if (n < 0 && text.empty()) return refused("read " + path, error);
  return obtained(std::move(text));
}
}  // namespace

Finding read_path(const std::string& path, size_t bytes_max) {
  return read_from(path, bytes_max, 0);
}
Finding read_end(const std::string& path, size_t bytes_max) {
  struct stat st {};
  bool longer = ::stat(path.c_str(), &st) == 0 && static_cast<size_t>(st.st_size) > bytes_max;
  return read_from(path, bytes_max, longer ? st.st_size - static_cast<off_t>(bytes_max) : 0);
}

Finding list_directory(const std::string& path) {
  DIR* dir = ::opendir(path.c_str());
  if (dir == nullptr) return refused("open directory " + path);
  std::string names;
  while (const dirent* entry = ::readdir(dir)) {
    names.append(entry->d_name).append("\n");
    if (names.size() > (1 << 20)) break;
  }
  ::closedir(dir);
  return obtained(std::move(names));
}

}  // namespace bulkhead::probe
