#include "front/file_channel.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "sys/message.h"
#include "sys/stream_io.h"

namespace bulkhead::front {
namespace {

constexpr int kRepliesPerTurn = 64;
constexpr long kFuseMagic = 0x65735546;

// Files of the kernel's own (proc(5), sysfs, cgroups, tracing, BPF) call themselves regular, too,
// but reading one can cost as much as its owner likes, or act: an honest opener never gives one
// away.
bool is_of_kernel(long type) {
  constexpr long kTypes[] = {PROC_SUPER_MAGIC,    SYSFS_MAGIC,   CGROUP_SUPER_MAGIC,
                             CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC,
                             SECURITYFS_MAGIC,    BPF_FS_MAGIC};
  return std::find(std::begin(kTypes), std::end(kTypes), type) != std::end(kTypes);
}

// Front will read (or write) this descriptor without ever waiting for it: only a regular file will
// do, and not one whose every read is answered by a process of the site.
int check_regular(sys::FdRef fd, bool fuse_allowed) {
  struct stat st {};
  if (::fstat(fd.get(), &st) < 0) return errno;
  if (!S_ISREG(st.st_mode)) return EACCES;
  struct statfs fs {};
  if (::fstatfs(fd.get(), &fs) < 0) return errno;
  const bool is_refused = is_of_kernel(fs.f_type) || (!fuse_allowed && fs.f_type == kFuseMagic);
  return is_refused ? EACCES : 0;
}

// What front is to speak FastCGI over; it never waits for it, whoever else holds it.
int check_stream(sys::FdRef fd) {
  int domain = 0, type = 0;
  socklen_t size = sizeof domain;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0) return errno;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_TYPE, &type, &size) < 0) return errno;
  if (domain != AF_UNIX || type != SOCK_STREAM) return EPROTOTYPE;
  sys::set_nonblocking(fd);
  return 0;
}

bool is_directory(sys::FdRef fd) {
  struct stat st {};
  return ::fstat(fd.get(), &st) == 0 && S_ISDIR(st.st_mode);
}

}  // namespace

void FileOperation::answer(FileResult&& result) {
  FileCallback call;
  call.swap(done);
  if (call && !(cancelled && *cancelled)) call(std::move(result));
}

void FileOperation::fail(int error) {
  FileResult result;
  result.error = error;
  answer(std::move(result));
}

Result<std::unique_ptr<FileChannel>> FileChannel::create(loop::EventLoop& loop, sys::Fd socket,
                                                         const SiteClient::Limits& limits,
                                                         OnClosed on_closed) {
  sys::set_nonblocking(socket);
  std::unique_ptr<FileChannel> channel(
      new FileChannel(loop, std::move(socket), limits, std::move(on_closed)));
  TRY_STATUS(loop.add(channel->socket_, EPOLLIN, channel.get()));
  return channel;
}

FileChannel::FileChannel(loop::EventLoop& loop, sys::Fd socket, const SiteClient::Limits& limits,
                         OnClosed on_closed)
    : loop_(loop),
      socket_(std::move(socket)),
      fuse_allowed_(limits.fuse_allowed),
      silence_max_(limits.silence_max),
      silence_([this] { close("no answer about files for too long"); }),
      on_closed_(std::move(on_closed)),
      buffer_(sizeof(ipc::FileReply) + ipc::kPathMax + 1, '\0') {}

FileChannel::~FileChannel() {
  if (!closed_) loop_.remove(socket_, this);
}

void FileChannel::close(std::string_view why) {
  if (closed_) return;
  closed_ = true;
  silence_.cancel();
  loop_.remove(socket_, this);
  on_closed_(why);
}

void FileChannel::ask(FileOperation operation) {
  uint32_t id = next_id_++;
  if (id == 0) id = next_id_++;
  auto [it, fresh] = waiting_.try_emplace(id, std::move(operation));
  if (!fresh) return;  // four thousand million questions ago: dropped, its asker times out
  if (!silence_.armed()) watch_silence();
  if (!closed_ && unsent_.empty() && send(id, it->second)) return;
  if (unsent_.empty() && !doorbell_due_ && !closed_) {
    (void)loop_.modify(socket_, EPOLLIN | EPOLLOUT, this);
  }
  unsent_.push_back(id);
}

void FileChannel::watch_silence() {
  silence_.cancel();
  if (!closed_ && !waiting_.empty()) silence_.arm(loop_, silence_max_);
}

bool FileChannel::send(uint32_t id, const FileOperation& operation) {
  ipc::FileRequest request{};
  request.id = id;
  request.op = operation.op;
  request.rule = operation.rule;
  request.path_size = static_cast<uint16_t>(operation.path.size());
  request.from_size = operation.from;
  std::string_view head(reinterpret_cast<const char*>(&request), sizeof request);
  // kClosed is noticed by on_ready() as well, with everything still waiting.
  return sys::send_message(socket_, head, operation.path) == sys::SendResult::kSent;
}

void FileChannel::send_queued() {
  if (doorbell_due_ && !send_doorbell()) return;
  doorbell_due_ = false;
  while (!unsent_.empty()) {
    auto it = waiting_.find(unsent_.front());
    if (it != waiting_.end() && !send(it->first, it->second)) return;
    unsent_.pop_front();
  }
  (void)loop_.modify(socket_, EPOLLIN, this);
}

// The pool was told to expect it (Bell::pool_sleeps is taken): were it dropped, requests would wait
// for the pool's next look at its workers, a second later.
void FileChannel::ring_doorbell() {
  if (closed_ || doorbell_due_ || send_doorbell()) return;
  doorbell_due_ = true;
  if (unsent_.empty()) (void)loop_.modify(socket_, EPOLLIN | EPOLLOUT, this);
}

// True: sent, or the peer is gone.
bool FileChannel::send_doorbell() {
  ipc::FileRequest request{};
  request.op = ipc::FileOp::kSpawn;
  const std::string_view bytes(reinterpret_cast<const char*>(&request), sizeof request);
  return sys::send_message(socket_, bytes, {}) != sys::SendResult::kWouldBlock;
}

std::vector<FileOperation> FileChannel::take_waiting() {
  std::vector<FileOperation> all;
  for (auto& [id, operation] : waiting_) all.push_back(std::move(operation));
  waiting_.clear();
  unsent_.clear();
  silence_.cancel();
  return all;
}

void FileChannel::on_ready(uint32_t events) {
  if ((events & EPOLLOUT) != 0) send_queued();
  std::vector<sys::Fd> fds;
  for (int turn = 0; turn < kRepliesPerTurn && !closed_; ++turn) {
    size_t size = 0;
    switch (sys::receive_message(socket_, {buffer_.data(), buffer_.size()}, &size, &fds)) {
      case sys::ReceiveResult::kMessage: {
        std::string_view wrong = take_reply({buffer_.data(), size}, fds);
        if (!wrong.empty()) close(wrong);
        break;
      }
      case sys::ReceiveResult::kWouldBlock:
        return;
      case sys::ReceiveResult::kClosed:
        close({});
        return;
      case sys::ReceiveResult::kInvalid:
        close("an oversized file answer");
        return;
    }
  }
}

std::string_view FileChannel::take_reply(std::string_view bytes, std::vector<sys::Fd>& fds) {
  ipc::FileReply reply;
  if (bytes.size() < sizeof reply) return "a short file answer";
  std::memcpy(&reply, bytes.data(), sizeof reply);
  bytes.remove_prefix(sizeof reply);
  if (reply.payload_size != bytes.size() || bytes.size() > ipc::kPathMax) {
    return "a file answer of the wrong size";
  }
  if (fds.size() != (reply.has_fd != 0 ? 1U : 0U)) return "a file answer without its descriptor";
  if (reply.type > ipc::FileType::kDirectory || reply.error < 0 || reply.error > 4095) {
    return "a file answer with an impossible value";
  }
  auto it = waiting_.find(reply.id);
  if (it == waiting_.end()) return "a file answer nobody asked for";
  FileOperation operation = std::move(it->second);
  waiting_.erase(it);
  watch_silence();

  FileResult result;
  result.error = reply.error;
  result.type = reply.type;
  result.fd_is_parent = reply.fd_is_parent != 0;
  result.payload = bytes;
  if (!fds.empty()) result.fd = std::move(fds[0]);
  bool wants_file =
      operation.op != ipc::FileOp::kRealpath &&
      !(operation.op == ipc::FileOp::kOpen && reply.type == ipc::FileType::kDirectory);
  if (result.error == 0 && wants_file) {
    if (!result.fd.valid() || result.fd_is_parent) return "a file answer without a file";
    result.error = operation.op == ipc::FileOp::kConnect ? check_stream(result.fd)
                                                         : check_regular(result.fd, fuse_allowed_);
    if (result.error != 0) result.fd.reset();
  } else if (result.fd.valid() && !is_directory(result.fd)) {
    return "a file answer whose directory is none";
  }
  operation.answer(std::move(result));
  return {};
}

}  // namespace bulkhead::front
