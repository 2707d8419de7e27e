// Access logs whose path has variables: opened by the site they belong to, kept open for a moment.
//
// Runs in: front.  Input: paths with values of requests in them (hostile): the site's opener opens
// them as the site's user, so only what that user may write can be written.
// Threads: one loop.  Bounded: kFilesMax open at once, kPendingBytes waiting for each.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

#include "front/site_client.h"
#include "loop/event_loop.h"
#include "sys/fd.h"

namespace bulkhead::front {

class PathLogs {
 public:
  static constexpr size_t kFilesMax = 64;
  static constexpr size_t kPendingBytes = 64 * 1024;
  // A renamed file is let go of after this long.
  static constexpr loop::Millis kKeep{1000};

  PathLogs(loop::EventLoop& loop, SiteClient& sites) : loop_(loop), sites_(sites) {}
  // `line` ends in a newline.  Lines that cannot be written are lost, as in nginx.
  void write(uint32_t site, std::string_view path, std::string_view line);
  void clear() { files_.clear(); }

 private:
  struct File {
    sys::Fd fd;
    FileTicket ticket;
    std::string pending;
    bool opening = false;
    loop::Clock::time_point opened{};
  };
  void open(const std::string& key, uint32_t site, std::string_view path, File& file);
  void make_room();
  loop::EventLoop& loop_;
  SiteClient& sites_;
  std::unordered_map<std::string, File> files_;  // "site:path"
};

}  // namespace bulkhead::front
