// Which application a request goes to: a site's ring or a FastCGI server's socket.
//
// Runs in: front.  Input: the target phases chose.  Threads: the loop's own.
#include "front/server_loop.h"

namespace bulkhead::front {

std::unique_ptr<AppStream> ServerLoop::start_app(const Exchange& ex, const AppRequest& request,
                                                 AppListener* listener) {
  if (ex.target.kind == AppTarget::Kind::kSite) return sites_->start(request, listener);
  const config::FastcgiConf& conf = ex.conf().fastcgi;
  FastcgiTarget target;
  target.address = ex.target.address;
  target.sockaddr = ex.target.sockaddr;
  target.connector = ex.plan->snapshot().connector;
  target.connect_timeout = conf.connect_timeout;
  target.keep_conn = conf.keep_conn;
  const auto& upstreams = ex.plan->upstreams();
  if (ex.target.upstream < upstreams.size()) {
    const config::Upstream& upstream = *upstreams[ex.target.upstream].source;
    target.upstream = upstream.name;
    target.keepalive = upstream.keepalive;
    target.keepalive_requests = upstream.keepalive_requests;
    target.keepalive_timeout = upstream.keepalive_timeout;
    target.keepalive_time = upstream.keepalive_time;
  }
  return fastcgi_->start(target, request, listener);
}

}  // namespace bulkhead::front
