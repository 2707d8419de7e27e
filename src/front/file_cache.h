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

#include "front/files.h"
#include "front/site_client.h"
#include "ipc/site_channel.h"
#include "sys/fd.h"

namespace bulkhead::front {

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
