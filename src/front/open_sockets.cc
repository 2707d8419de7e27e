#include "front/open_sockets.h"

#include <sys/stat.h>

#include <optional>

namespace bulkhead::front {
namespace {

std::optional<ino_t> inode_of(const sys::Fd& fd) {
  struct stat facts {};
  if (!fd.valid() || ::fstat(fd.get(), &facts) != 0 || !S_ISSOCK(facts.st_mode)) return {};
  return facts.st_ino;
}

}  // namespace

OpenSockets::OpenSockets(const Runtime* active) {
  if (active == nullptr) return;
  for (const auto* sockets : {&active->listeners, &active->pool_listeners}) {
    for (const std::shared_ptr<sys::Fd>& fd : *sockets) {
      if (auto inode = inode_of(*fd)) open_.emplace(*inode, fd);
    }
  }
}

std::shared_ptr<sys::Fd> OpenSockets::share(sys::Fd received) const {
  if (auto inode = inode_of(received)) {
    if (auto known = open_.find(*inode); known != open_.end()) return known->second;
  }
  return std::make_shared<sys::Fd>(std::move(received));
}

}  // namespace bulkhead::front
