// One event loop's cache of opened files and of misses, with the contents of small files.
//
// Runs in: front.  Input: descriptors that sites' openers pass; their stat values are hostile.
// Threads: one event loop.
//
// An entry is valid while fstat() of its descriptor says the same (nlink, ctime, mtime, size, mode,
// uid, gid), asked at every hit, and for at most kReopenAfter; then the site's opener is asked
// again. A miss keeps a descriptor of the deepest directory that exists, and is valid while that
// has not changed.  Other errors are not kept.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "front/files.h"
#include "front/site_client.h"

namespace bulkhead::front {

class FileCache : public Files {
 public:
  struct Limits {
    size_t entries_max = 1000;                     // each holds at most one descriptor
    size_t content_bytes_max = 32 * 1024;          // of one file
    size_t contents_bytes_max = 16 * 1024 * 1024;  // of all
    std::chrono::milliseconds reopen_after{1000};
    // A file or directory that changed less than this ago may change again unseen.
    std::chrono::milliseconds settle{20};
  };
  FileCache(loop::EventLoop& loop, SiteClient& sites, Limits limits);
  FileCache(loop::EventLoop& loop, SiteClient& sites);
  ~FileCache() override;
  FileCache(const FileCache&) = delete;
  FileCache& operator=(const FileCache&) = delete;

  // Files.  A hit does not allocate; equal questions share one request to the opener.
  [[nodiscard]] FileRef open(const FileQuery& query, FileWaiter& waiter) override;
  void list(const FileQuery& query, FileWaiter& waiter) override;
  void realpath(const FileQuery& query, FileWaiter& waiter) override;

  // A valid entry, or null; asks nobody.
  [[nodiscard]] FileRef find(const FileQuery& query);
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
