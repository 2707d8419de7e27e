// One end of the channel between master and a child, on an event loop: checked receive, queued
// send.
//
// Runs in: every process but workers.  Input: what the peer sends; checked by permit.h's table.
// Threads: the loop's own.
#pragma once

#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "ipc/permit.h"
#include "ipc/protocol.h"
#include "loop/event_loop.h"
#include "sys/fd.h"

namespace bulkhead::ipc {

// The bytes of a plain struct, to send.
template <class T>
[[nodiscard]] std::string_view body_bytes(const T& body) {
  static_assert(std::is_trivially_copyable_v<T>);
  return {reinterpret_cast<const char*>(&body), sizeof body};
}
// A plain struct from exactly its bytes, or from the front of a payload (`rest` gets what follows).
template <class T>
[[nodiscard]] std::optional<T> read_body(std::string_view payload,
                                         std::string_view* rest = nullptr) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (payload.size() < sizeof(T) || (rest == nullptr && payload.size() != sizeof(T))) return {};
  T body;
  std::memcpy(&body, payload.data(), sizeof body);
  if (rest != nullptr) *rest = payload.substr(sizeof(T));
  return body;
}

class Channel : private loop::IoHandler {
 public:
  // A message that the table allows.  Descriptors not moved out of `fds` are closed afterwards.
  // The handler may destroy the channel.
  using OnMessage = std::function<void(Op op, std::string_view payload, std::vector<sys::Fd>& fds)>;
  // The channel can carry nothing more; called once, from the loop.  `violation` is empty when the
  // peer closed or died, else it says what the peer did wrong (the receiver should kill it).
  using OnClosed = std::function<void(const std::string& violation)>;

  // Takes the socket.  `peer` and `phase` choose the rows of the table that apply.
  static Result<std::unique_ptr<Channel>> create(loop::EventLoop& loop, sys::Fd socket, Role peer,
                                                 Phase phase, OnMessage on_message,
                                                 OnClosed on_closed);
  ~Channel() override;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // Sends, or queues when the peer is slow (descriptors are duplicated while queued).
  // False: the channel is closed, or kQueueMax messages wait already; on_closed follows.
  bool send(Op op, std::string_view payload = {}, std::span<const sys::FdRef> fds = {});

  // The peer has ended: takes what it sent before.  Handlers are called from inside.
  void drain();

  void set_phase(Phase phase) { permit_.set_phase(phase); }
  [[nodiscard]] Phase phase() const { return permit_.phase(); }
  // Nothing waits to be sent.
  [[nodiscard]] bool flushed() const { return queue_.empty(); }
  // The socket, for a forked child that must close it.
  [[nodiscard]] sys::FdRef socket() const { return socket_; }

  static constexpr size_t kQueueMax = 4096;

 private:
  struct Queued {
    std::string bytes;
    std::vector<sys::Fd> fds;
  };
  Channel(loop::EventLoop& loop, sys::Fd socket, Role peer, Phase phase, OnMessage on_message,
          OnClosed on_closed);
  void on_ready(uint32_t events) override;
  void receive_some();
  void flush();
  void close(std::string violation);
  void want_write(bool on);

  loop::EventLoop& loop_;
  sys::Fd socket_;
  Permit permit_;
  OnMessage on_message_;
  OnClosed on_closed_;
  std::deque<Queued> queue_;
  std::shared_ptr<bool> alive_;  // false once destroyed: handlers may destroy us
  bool closed_ = false;
  bool writing_ = false;
};

}  // namespace bulkhead::ipc
