// What phases ask about files, and how the answer comes: at once from the cache, or later.
//
// Runs in: front.  Input: answers come from a site's opener (hostile: only sizes, times and types).
// Threads: one loop.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "ipc/site_channel.h"
#include "sys/fd.h"

namespace bulkhead::front {

// One file as its site's user sees it: an answer of the site's opener.  Immutable once shared;
// stays usable after the cache drops it, and the descriptor closes with the last reference.
struct OpenFile {
  int32_t error = 0;        // 0, or errno of the attempt (see FileResult::error)
  bool exists = false;      // true beside EACCES: there, but unreadable
  bool is_dir = false;      // the same as type == kDirectory
  bool executable = false;  // any x bit, as `if (-x)` asks: the same as mode & 0111
  ipc::FileType type = ipc::FileType::kNone;
  sys::Fd fd;  // regular files: readable by pread and sendfile; listings: the memfd
  uint64_t size = 0;
  int64_t mtime = 0;  // seconds
  uint32_t mtime_ns = 0;
  uint64_t inode = 0, device = 0;
  uint32_t mode = 0;
  bool has_content = false;
  std::string content;  // all of a small file, when has_content
};
using FileRef = std::shared_ptr<const OpenFile>;
using OpenFilePtr = FileRef;

struct FileQuery {
  uint32_t site = 0;      // whose opener is asked
  std::string_view path;  // absolute
  ipc::SymlinkRule rule = ipc::SymlinkRule::kOwned;
  uint16_t from_size = 0;  // disable_symlinks from=: leading bytes not checked
};

// Waits for one answer.  Destroying it (or cancel()) forgets the question.
class FileWaiter {
 public:
  virtual ~FileWaiter() { cancel(); }
  // The answer; never called from inside the asking call.  error kSiteDown* are ordinary errnos:
  // a site that cannot be started answers EHOSTDOWN.
  virtual void on_file(FileRef file) = 0;
  // The answer of realpath(): the path without links, or empty and an errno.
  virtual void on_realpath(std::string_view path, int error) = 0;
  void cancel() {
    if (pending_ != nullptr) *pending_ = nullptr;
    pending_ = nullptr;
  }
  [[nodiscard]] bool pending() const { return pending_ != nullptr; }

  // For Files: where the question keeps its pointer back to the waiter.
  FileWaiter** pending_ = nullptr;
};

// The files of every site.  A null return means: not known now, `waiter` is called later.
class Files {
 public:
  virtual ~Files() = default;
  // Opens (or finds in the cache) a file or a directory.
  [[nodiscard]] virtual FileRef open(const FileQuery& query, FileWaiter& waiter) = 0;
  // A directory's listing (ipc::ListEntry records in `fd`); never cached.
  virtual void list(const FileQuery& query, FileWaiter& waiter) = 0;
  // Resolves links; never cached longer than open() results are.
  virtual void realpath(const FileQuery& query, FileWaiter& waiter) = 0;
};

}  // namespace bulkhead::front
