// Front's end of one site channel: sends file questions, checks the answers, rings the doorbell.
//
// Runs in: front.  Input: datagrams and descriptors from a site's opener (hostile).
// Threads: one event loop.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "front/site_client.h"
#include "ipc/site_channel.h"
#include "loop/event_loop.h"
#include "sys/fd.h"

namespace bulkhead::front {

// A question somebody waits for.
struct FileOperation {
  ipc::FileOp op = ipc::FileOp::kOpen;
  ipc::SymlinkRule rule = ipc::SymlinkRule::kOwned;
  uint16_t from = 0;
  bool repeated = false;  // its first opener died over it
  std::string path;
  FileCallback done;
  std::shared_ptr<bool> cancelled;

  // Calls back, unless cancelled; at most once.
  void answer(FileResult&& result);
  void fail(int error);
};

class FileChannel : private loop::IoHandler {
 public:
  // The channel is of no use any more: `why` is empty when the peer closed it, else what it did
  // wrong.  Called once, from the loop; the channel may be destroyed after, not inside, the call.
  using OnClosed = std::function<void(std::string_view why)>;
  static Result<std::unique_ptr<FileChannel>> create(loop::EventLoop& loop, sys::Fd socket,
                                                     const SiteClient::Limits& limits,
                                                     OnClosed on_closed);
  ~FileChannel() override;

  void ask(FileOperation operation);
  // FileOp::kSpawn; sent as soon as a full channel has room.
  void ring_doorbell();
  [[nodiscard]] size_t waiting() const { return waiting_.size(); }
  // Everything unanswered, for somebody else to ask.
  std::vector<FileOperation> take_waiting();

 private:
  FileChannel(loop::EventLoop& loop, sys::Fd socket, const SiteClient::Limits& limits,
              OnClosed on_closed);
  // The opener has something to answer, or has just answered: it gets its time from now on.
  void watch_silence();
  void on_ready(uint32_t events) override;
  // Returns what is wrong with the datagram; empty: nothing.
  std::string_view take_reply(std::string_view bytes, std::vector<sys::Fd>& fds);
  bool send(uint32_t id, const FileOperation& operation);
  bool send_doorbell();
  void send_queued();
  void close(std::string_view why);

  loop::EventLoop& loop_;
  sys::Fd socket_;
  bool fuse_allowed_;
  loop::Millis silence_max_;
  loop::Timer silence_;
  OnClosed on_closed_;
  uint32_t next_id_ = 1;
  bool closed_ = false;
  bool doorbell_due_ = false;  // the socket had no room for it
  std::unordered_map<uint32_t, FileOperation> waiting_;
  std::deque<uint32_t> unsent_;  // ids in waiting_ that the socket had no room for
  std::string buffer_;
};

}  // namespace bulkhead::front
