// One event loop's cache of opened files and of misses, with the contents of small files.
//
// Runs in: front.  Input: descriptors that sites' openers pass; their stat values are hostile
// numbers. Threads: one event loop.
//
// An entry is valid while fstat() of its descriptor says the same (nlink, ctime, mtime, size, mode,
// uid, gid), asked at every hit, and for at most kReopenAfter; then the site's opener is asked
// again. A miss keeps a descriptor of the deepest directory that exists, and is valid while that
// has not changed.  Other errors are not kept.
#pragma once

#include <sys/stat.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "front/site_client.h"
#include "ipc/site_channel.h"
#include "sys/fd.h"

namespace bulkhead::front {

// An answer of a site about a path.  Immutable once shared; stays usable after the cache drops it.
struct OpenFile {
  int error = 0;        // 0, or errno (see FileResult::error)
  bool exists = false;  // false with error 0 never happens; true with EACCES: there, but unreadable
  bool is_dir = false;
  sys::Fd fd;  // a regular file, for sendfile/pread; for others only the cache uses it
  uint64_t size = 0;
  int64_t mtime = 0;  // seconds
  uint32_t mtime_ns = 0;
  uint64_t inode = 0, device = 0;
  uint32_t mode = 0;
  bool has_content = false;
  std::string content;  // all of a small file, when has_content
};
using OpenFilePtr = std::shared_ptr<const OpenFile>;
using OpenFileCallback = std::function<void(OpenFilePtr)>;

class FileCache {
 public:
  struct Limits {
    size_t entries_max = 1000;                     // each holds at most one descriptor
    size_t content_bytes_max = 32 * 1024;          // of one file
    size_t contents_bytes_max = 16 * 1024 * 1024;  // of all
    std::chrono::milliseconds reopen_after{1000};
    std::chrono::milliseconds settle{
        20};  // a file or directory that changed less than this ago may change again unseen
  };
  FileCache(loop::EventLoop& loop, SiteClient& sites, Limits limits);
  FileCache(loop::EventLoop& loop, SiteClient& sites);
  ~FileCache();
  FileCache(const FileCache&) = delete;
  FileCache& operator=(const FileCache&) = delete;

  // A valid entry, or null: ask get().  Does not allocate.
  [[nodiscard]] OpenFilePtr find(uint32_t site, std::string_view path, ipc::SymlinkRule rule,
                                 uint16_t from);
  // Calls `done` with the answer: at once on a valid hit (the ticket is then empty), else later
  // from the loop.  Equal questions share one request to the opener.
  [[nodiscard]] FileTicket get(uint32_t site, std::string_view path, ipc::SymlinkRule rule,
                               uint16_t from, OpenFileCallback done);
  // Forgets everything (configuration changed, descriptors ran out).
  void clear();

  [[nodiscard]] size_t entries() const;
  [[nodiscard]] uint64_t hits() const;
  [[nodiscard]] uint64_t opens() const;  // questions that went to an opener

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bulkhead::front
