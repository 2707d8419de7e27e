// What one event loop of front says to the sites: requests over their rings, files over their
// channels.
//
// Runs in: front.  Input: rings and channels of sites, hostile.  Paths given to it come from
// routing. Threads: one event loop.  Blocks: never.  A site that is not up is woken; what was asked
// of it waits (bounded) until it is up or has failed.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "front/app_stream.h"
#include "ipc/site_channel.h"
#include "loop/event_loop.h"
#include "sys/fd.h"

namespace bulkhead::front {

// A loop's ends of one site, as Op::kSiteUp brings them.  For a file-only site only `channel`.
struct SiteEnds {
  sys::Fd bell, segment, wake, channel;
  uint32_t workers_max = 0;
};

// What the site's opener answered.
struct FileResult {
  int error =
      0;  // errno as the site's user got it.  ELOOP: refused by the symlink rule.
          // EHOSTDOWN: the site could not be started; ECONNRESET: it died; EBUSY: too many wait.
  ipc::FileType type = ipc::FileType::kNone;  // may be known beside EACCES: exists, but unreadable
  sys::Fd fd;  // regular file; directory: O_PATH, to validate by; list(): memfd of ListEntry
               // records; connect(): a nonblocking stream
  bool fd_is_parent = false;  // a miss: fd (O_PATH) is the deepest directory that exists
  std::string payload;        // realpath: the path
};
using FileCallback = std::function<void(FileResult&&)>;

// Holds a callback that has not been called yet; destroying it makes sure it never is.
class FileTicket {
 public:
  FileTicket() = default;
  explicit FileTicket(std::shared_ptr<bool> cancelled) : cancelled_(std::move(cancelled)) {}
  FileTicket(FileTicket&&) noexcept = default;
  FileTicket& operator=(FileTicket&& other) noexcept {
    cancel();
    cancelled_ = std::move(other.cancelled_);
    return *this;
  }
  ~FileTicket() { cancel(); }
  void cancel() {
    if (cancelled_) *cancelled_ = true;
    cancelled_.reset();
  }

 private:
  std::shared_ptr<bool> cancelled_;
};

// One request for start().
struct AppRequest {
  uint32_t site = 0;
  const Params* params = nullptr;  // copied
  uint64_t body_length = 0;        // total, inline bytes included; ring::kUnknownBody: unknown
  std::string_view
      inline_body;        // copied if it fits (see inline_body_max); the rest by write_body()
  uint32_t flags = 0;     // ring::RequestFlag
  std::string_view peer;  // who speaks FastCGI to the pool: 4 or 16 address bytes, or nobody
  loop::Millis read_timeout{60'000};  // no progress of the response
  loop::Millis send_timeout{60'000};  // no progress of the request body
  uint32_t head_max = 64 * 1024;      // larger CGI heads are kInvalid
  uint32_t queue_max = 511;           // requests that may wait for this site (listen.backlog)
};

class LoopShares;

class SiteClient : public loop::Poller {
 public:
  // Hooks only send messages: they do not call back into the SiteClient.
  struct Hooks {
    // Asks master (through control) to start the site; on_site_up or on_site_down answers.
    std::function<void(uint32_t site)> wake;
    // The site's channel or ring broke protocol: Op::kSiteRefused.
    std::function<void(uint32_t site, std::string_view why)> refused;
  };
  struct Limits {
    uint32_t files_waiting_max = 1024;  // file operations in flight or waiting, per site
    loop::Millis silence_max{60'000};   // an opener that answers nothing for so long has failed
    loop::Millis wake_timeout{60'000};  // a site that is neither up nor down by then has failed
    loop::Micros spin_max{100};         // most time poll() is repeated before sleeping; 0: never
    bool fuse_allowed = false;  // files on FUSE may stall front for ever: refused with EACCES
  };

  SiteClient(loop::EventLoop& loop, Hooks hooks, Limits limits);
  SiteClient(loop::EventLoop& loop, Hooks hooks);
  ~SiteClient() override;
  SiteClient(const SiteClient&) = delete;
  SiteClient& operator=(const SiteClient&) = delete;

  // From control, on this loop's thread.
  void on_site_up(uint32_t site, uint32_t epoch, SiteEnds ends);
  // `reason` as in ipc::SiteDownBody.  2 (stopped): nothing new goes there, what runs may finish.
  void on_site_down(uint32_t site, uint32_t epoch, uint32_t reason);
  // The site left the configuration: what waits fails, what runs may finish.
  void forget_site(uint32_t site);

  // File operations; the callback comes from the loop, never from inside the call.
  // `from`: disable_symlinks from=, the prefix of `path` that the rule does not check.
  [[nodiscard]] FileTicket open_file(uint32_t site, std::string_view path, ipc::SymlinkRule rule,
                                     uint16_t from, FileCallback done);
  [[nodiscard]] FileTicket list(uint32_t site, std::string_view path, ipc::SymlinkRule rule,
                                uint16_t from, FileCallback done);
  // An unlinked read-write file in the site's directory `path`.
  [[nodiscard]] FileTicket spool(uint32_t site, std::string_view path, FileCallback done);
  [[nodiscard]] FileTicket append(uint32_t site, std::string_view path, FileCallback done);
  // A connection to the Unix socket `path`, made with that site's rights.
  [[nodiscard]] FileTicket connect(uint32_t site, std::string_view path, FileCallback done);
  [[nodiscard]] FileTicket realpath(uint32_t site, std::string_view path, FileCallback done);

  // A site that hangs must leave connections for the others: at most `requests` wait for one site,
  // and as many for its files.
  void limit_waiting(uint32_t requests);
  // Where waiting requests are counted over all loops, and their limits; none by default.
  void count_in(LoopShares* shares);

  // Hands a request to the site.  Never null; refusals come through `listener`, which must outlive
  // the stream.  The stream must be destroyed before the SiteClient.
  [[nodiscard]] std::unique_ptr<AppStream> start(const AppRequest& request, AppListener* listener);
  // An inline body up to this size always fits beside params of `params_bytes` bytes in all.
  [[nodiscard]] static size_t inline_body_max(const Params& params);

  // loop::Poller
  bool poll() override;
  bool prepare_sleep() override;
  void end_turn() override;
  loop::Micros spin_budget() override;

  // Exchanges in flight or waiting, over all sites.
  [[nodiscard]] size_t outstanding() const;

 private:
  friend class RingStream;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bulkhead::front
