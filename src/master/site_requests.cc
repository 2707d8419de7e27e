#include "master/site_requests.h"

#include "base/check.h"
#include "ipc/channel.h"

namespace bulkhead::master {
namespace {

struct ForkFailed {
  uint32_t site;
  int32_t error;
};

// The table lets only this size through: anything else is a mistake of ours.
template <class T>
T body_of(std::string_view payload) {
  auto body = ipc::read_body<T>(payload);
  BH_CHECK(body);
  return *body;
}

}  // namespace

bool take_site_request(Sites& sites, uint32_t front, ipc::Op op, std::string_view payload,
                       std::vector<sys::Fd>& fds) {
  switch (op) {
    case ipc::Op::kWakeSite:
      sites.wake(front, body_of<uint32_t>(payload));
      return true;
    case ipc::Op::kSiteRefused:
      sites.refused(front, body_of<uint32_t>(payload));
      return true;
    case ipc::Op::kForked:
      BH_CHECK(fds.size() == 1);
      sites.on_forked(body_of<ipc::ForkedBody>(payload), std::move(fds[0]));
      return true;
    case ipc::Op::kForkFailed: {
      auto body = body_of<ForkFailed>(payload);
      sites.on_fork_failed(body.site, body.error);
      return true;
    }
    default:
      return false;
  }
}

}  // namespace bulkhead::master
