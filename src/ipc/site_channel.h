// The channel between one event loop of front and a site's pool (or file opener): files to open.
//
// Runs in: front (asks), pool and bulkhead-files (answer, as the site's user).
// Input: each side treats the other's bytes as hostile.  SOCK_SEQPACKET, one message a datagram.
// PHP requests do not travel here: they use the ring.
#pragma once

#include <cstdint>

namespace bulkhead::ipc {

enum class FileOp : uint8_t {
  kOpen = 1,      // path: open for serving (regular file: descriptor; directory: none, is_dir)
  kList = 2,      // path: a directory for autoindex; answer carries a memfd with the listing
  kSpool = 3,     // path: directory; answer carries an unlinked O_TMPFILE descriptor, read-write
  kAppend = 4,    // path: open or create for appending (access_log with variables)
  kRealpath = 5,  // path: answer's payload is the path without links ($realpath_root)
  kSpawn = 6,     // no answer: a request waits and no worker is idle (the pool's doorbell)
  kConnect = 7,   // path: a Unix socket; answer carries a nonblocking stream connected to it
};
enum class SymlinkRule : uint8_t { kOwned = 0, kOff = 1 /* no links at all */, kIfNotOwner = 2 };

constexpr uint32_t kPathMax = 4096;
struct FileRequest {  // followed by path bytes (no NUL)
  uint32_t id;        // echoed
  FileOp op;
  SymlinkRule rule;
  uint16_t path_size;
  uint16_t from_size;  // disable_symlinks from=: prefix length that is not checked
  uint16_t reserved;
};
static_assert(sizeof(FileRequest) == 12);

enum class FileType : uint8_t { kNone, kRegular, kDirectory };
struct FileReply {  // with at most one descriptor
  uint32_t id;
  int32_t error;  // 0, or errno as the site's user got it; ELOOP: refused by the symlink rule
  FileType type;
  uint8_t has_fd;
  uint8_t fd_is_parent;  // for a miss: descriptor (O_PATH) of the deepest directory that exists
  uint8_t reserved;
  uint32_t payload_size;  // bytes that follow (kRealpath)
};
static_assert(sizeof(FileReply) == 16);

// kList payload in the memfd: entries of ListEntry followed by name bytes.
struct ListEntry {
  uint64_t size;
  int64_t mtime;
  uint8_t is_dir;
  uint8_t reserved;
  uint16_t name_size;
  uint32_t reserved2;
};

}  // namespace bulkhead::ipc
