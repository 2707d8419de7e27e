#include "front/fastcgi_client.h"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "front/fastcgi_stream.h"
#include "sys/stream_connect.h"

namespace bulkhead::front {
namespace {
constexpr size_t kSpareBuffersMax = 16;
}

bool is_critical_connect_error(std::string_view detail) {
  constexpr std::string_view kStart = "connect() to ", kFailed = " failed (";
  if (detail.substr(0, kStart.size()) != kStart) return false;
  const size_t at = detail.find(kFailed);
  if (at == std::string_view::npos) return false;
  detail.remove_prefix(at + kFailed.size());
  int number = 0;
  std::from_chars(detail.data(), detail.data() + detail.size(), number);
  constexpr int kOrdinary[] = {ECONNREFUSED, EAGAIN,    ECONNRESET,  ENETDOWN,
                               ENETUNREACH,  EHOSTDOWN, EHOSTUNREACH};
  return std::find(std::begin(kOrdinary), std::end(kOrdinary), number) == std::end(kOrdinary);
}

// A connection nobody uses: anything that happens on it ends it.
class FastcgiClient::Idle : public loop::IoHandler {
 public:
  Idle(FastcgiClient& owner, const FastcgiTarget& target, Connection kept)
      : owner_(owner),
        sockaddr(target.sockaddr),
        upstream(target.upstream),
        connection(std::move(kept)),
        timer_([this] { owner_.drop_idle(this); }) {}
  ~Idle() override {
    if (registered_) owner_.loop_.remove(connection.fd, this);
  }
  bool start(loop::Millis timeout) {
    registered_ = owner_.loop_.add(connection.fd, EPOLLIN | EPOLLRDHUP, this).has_value();
    if (registered_) timer_.arm(owner_.loop_, timeout);
    return registered_;
  }
  Connection take() {
    if (registered_) owner_.loop_.remove(connection.fd, this);
    registered_ = false;
    return std::move(connection);
  }
  void on_ready(uint32_t) override { owner_.drop_idle(this); }

 private:
  FastcgiClient& owner_;

 public:
  const std::string sockaddr, upstream;
  Connection connection;

 private:
  loop::Timer timer_;
  bool registered_ = false;
};

FastcgiClient::FastcgiClient(loop::EventLoop& loop, Connect connect)
    : loop_(loop), connect_(std::move(connect)) {}
FastcgiClient::~FastcgiClient() = default;

std::unique_ptr<AppStream> FastcgiClient::start(const FastcgiTarget& target,
                                                const AppRequest& request, AppListener* listener) {
  return std::make_unique<FastcgiStream>(*this, target, request, listener);
}

FastcgiClient::Connection FastcgiClient::take_idle(const FastcgiTarget& target) {
  if (!target.keep_conn || target.keepalive == 0) return {};
  // The most recently used one is the likeliest to live.
  for (auto it = idle_.end(); it != idle_.begin();) {
    --it;
    if ((*it)->sockaddr != target.sockaddr || (*it)->upstream != target.upstream) continue;
    Connection found = (*it)->take();
    it = idle_.erase(it);
    if (sys::is_quiet(found.fd)) return found;
  }
  return {};
}

void FastcgiClient::keep(const FastcgiTarget& target, Connection connection) {
  if (target.keepalive == 0 || connection.requests >= target.keepalive_requests) return;
  if (loop_.now() - connection.opened > target.keepalive_time) return;
  const auto is_same = [&](const auto& idle) { return idle->upstream == target.upstream; };
  const auto same = std::count_if(idle_.begin(), idle_.end(), is_same);
  if (static_cast<uint64_t>(same) >= target.keepalive) {
    idle_.erase(std::find_if(idle_.begin(), idle_.end(), is_same));
  }
  auto idle = std::make_unique<Idle>(*this, target, std::move(connection));
  if (idle->start(target.keepalive_timeout)) idle_.push_back(std::move(idle));
}

void FastcgiClient::drop_idle(const Idle* which) {
  std::erase_if(idle_, [which](const auto& idle) { return idle.get() == which; });
}

size_t FastcgiClient::close_idle() {
  const size_t count = idle_.size();
  idle_.clear();
  return count;
}

std::unique_ptr<char[]> FastcgiClient::take_buffer() {
  if (spare_buffers_.empty()) {
    return std::make_unique_for_overwrite<char[]>(FastcgiStream::kBufferSize);
  }
  auto buffer = std::move(spare_buffers_.back());
  spare_buffers_.pop_back();
  return buffer;
}

void FastcgiClient::give_buffer(std::unique_ptr<char[]> buffer) {
  if (spare_buffers_.size() < kSpareBuffersMax) spare_buffers_.push_back(std::move(buffer));
}

}  // namespace bulkhead::front
