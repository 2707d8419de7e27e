#include "front/path_logs.h"

#include "sys/stream_io.h"

namespace bulkhead::front {

void PathLogs::make_room() {
  if (files_.size() < kFilesMax) return;
  auto oldest = files_.begin();
  for (auto it = files_.begin(); it != files_.end(); ++it) {
    if (it->second.opened < oldest->second.opened) oldest = it;
  }
  files_.erase(oldest);
}

void PathLogs::open(const std::string& key, uint32_t site, std::string_view path, File& file) {
  file.opening = true;
  file.opened = loop_.now();
  file.fd.reset();
  file.ticket = sites_.append(site, path, [this, key](FileResult&& result) {
    auto found = files_.find(key);
    if (found == files_.end()) return;
    File& file = found->second;
    file.opening = false;
    if (result.error != 0) {
      files_.erase(found);
      return;
    }
    file.fd = std::move(result.fd);
    sys::append(file.fd, file.pending.data(), file.pending.size());
    file.pending.clear();
  });
}

void PathLogs::write(uint32_t site, std::string_view path, std::string_view line) {
  std::string key = std::to_string(site);
  key.append(":").append(path);
  auto found = files_.find(key);
  if (found == files_.end()) {
    make_room();
    found = files_.try_emplace(key).first;
    open(key, site, path, found->second);
  }
  File& file = found->second;
  if (!file.opening && loop_.now() - file.opened > kKeep) open(key, site, path, file);
  if (file.opening) {
    if (file.pending.size() + line.size() <= kPendingBytes) file.pending.append(line);
    return;
  }
  sys::append(file.fd, line.data(), line.size());
}

}  // namespace bulkhead::front
