// Which application a request goes to: a site's ring or a FastCGI server's socket.
//
// Runs in: front.  Input: the target phases chose.  Threads: the loop's own.
#include "front/server_loop.h"

namespace bulkhead::front {

std::unique_ptr<AppStream> ServerLoop::start_app(const Exchange& ex, const AppRequest& request,
                                                 AppListener* listener) {
  return sites_->start(request, listener);
}

}  // namespace bulkhead::front
