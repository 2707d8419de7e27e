// Every message between master and its children, and who may send it when.
//
// Runs in: all processes.  Input: a message from a less privileged process is hostile.
// One message is one SOCK_SEQPACKET datagram: Header, then exactly `size` payload bytes, with up to
// kMaxFds descriptors.  See permit.h for the table master checks before it reads a payload.
#pragma once

#include <cstdint>

namespace bulkhead::ipc {

constexpr uint32_t kMaxPayload = 32 * 1024;
constexpr uint32_t kMaxFds = 96;

// How children are started: bulkhead-front has its channel as descriptor 3; bulkhead-php8.2 gets
// "--zygote" and PHP's own -c, -n, -d, channel 3; bulkhead-files gets the number of site channels
// as its only argument, master's channel as 3, the site channels from 4 on. kListeners: a socket
// this build does not serve (TLS, QUIC) is sent as a descriptor of /dev/null. kSiteUp with
// workers_max 0 is a file-only site: the descriptors are one channel per loop, no more. kLog with
// level 0 is a worker's line that goes to the log as it is (decorate_workers_output = no).

enum class Role : uint8_t { kMaster, kFront, kZygote, kPool, kOpener };

enum class Op : uint16_t {
  // any child -> master
  kReady = 1,  // -; child finished starting
  // front -> master
  kWakeSite = 10,     // u32 site id
  kConfigured = 11,   // u64 generation: front now serves this snapshot
  kDrained = 12,      // u64 generation: no connection of an older generation remains
  kSiteRefused = 13,  // u32 site id: its channel broke protocol; stop it
  kWantMetrics = 14,  // -; a client asks for what bulkhead_metrics answers: kMetrics follows
  // zygote -> master
  kForked = 20,      // ForkedBody + pidfd
  kForkFailed = 21,  // u32 site id, i32 errno
  // pool -> master
  kLog = 30,   // u8 FpmLevel, text (<= 4 KiB, one line): master writes it to php-fpm's error log as
               // [pool NAME]
  kIdle = 31,  // -; nothing to do for idle_timeout: may be stopped
  kPoolFailed = 32,  // text: could not start (missing extension, bad ini ...); last message
  // master -> front
  kSnapshot = 100,       // SnapshotBody + memfd
  kListeners = 101,      // DescriptorsBody + fds, in order of Model::listens (chunked)
  kPoolListeners = 102,  // DescriptorsBody + fds, in order of Snapshot::pool_listen_sites
  kLogFiles = 103,       // DescriptorsBody + fds, in order of Model::log_files; also after USR1
  kActivate = 104,       // u64 generation: everything for this snapshot has been sent
  kSiteUp =
      105,  // SiteUpBody + fds: [bell memfd, then per loop: segment memfd, wake eventfd, channel]
  kSiteDown = 106,  // SiteDownBody
  kQuit = 107,      // graceful: stop accepting, finish, exit
  kCounters = 108,  // u32 loops + memfd (site_block.h); before the first kSnapshot
  kMetrics = 109,   // - + memfd of the text; without one: it could not be had
  // master -> zygote
  kFork = 120,  // ForkBody + fds: [pool config memfd, master channel, access log or -, bell, then
                // per loop segment, eventfd, channel; the group when has_group]
  // master -> pool
  kStop = 140,    // u8: 0 fast, 1 graceful (finish running requests)
  kReopen = 141,  // + new access log descriptor
  kResize = 142,  // new pool config memfd: only pm numbers changed
  kExec = 143,    // a session of exec/protocol.h: somebody wants to run a command in the site
};

struct Header {
  uint16_t op;
  uint16_t fds;
  uint32_t size;
};
static_assert(sizeof(Header) == 8);

struct SnapshotBody {
  uint64_t generation;
  uint64_t bytes;
};
struct DescriptorsBody {
  uint64_t generation;
  uint32_t first;
  uint32_t total;
};
struct SiteUpBody {
  uint32_t site;
  uint32_t epoch;
  uint32_t loops;
  uint32_t workers_max;
};
struct SiteDownBody {
  uint32_t site;
  uint32_t epoch;
  uint32_t reason;
};  // reason: 0 exited, 1 failed to start, 2 stopped
struct ForkBody {
  uint32_t site;
  uint32_t epoch;
  uint32_t loops;
  uint32_t has_access_log;
  uint64_t config_bytes;
  uint32_t uid;
  uint32_t gid;
  uint32_t change_user;
  uint16_t has_group;    // the last descriptor is the directory of the run's group
  uint16_t controllers;  // sandbox::Controller: which limits that group keeps
};
struct ForkedBody {
  uint32_t site;
  uint32_t epoch;
  int32_t pid;
  uint32_t reserved;
};

}  // namespace bulkhead::ipc
