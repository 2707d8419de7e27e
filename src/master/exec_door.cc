#include "master/exec_door.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "ipc/channel.h"
#include "master/site_names.h"
#include "sys/files.h"
#include "sys/message.h"
#include "sys/sockets.h"
#include "sys/stream_io.h"
#include "sys/users.h"

namespace bulkhead::master {

using exec::Answer;
using exec::Question;
using exec::Verdict;

// One connection, until it is answered.
class ExecDoor::Caller final : private loop::IoHandler {
 public:
  Caller(ExecDoor& door, sys::Fd socket, uid_t uid)
      : door_(door), socket_(std::move(socket)), uid_(uid), patience_([this] { out_of_time(); }) {}
  ~Caller() override { close(); }
  // After this it can be destroyed at any time, also without the door.
  void close() {
    patience_.cancel();
    if (listening_) door_.w_.loop.remove(socket_, this);
    listening_ = false;
  }
  Status start() {
    TRY_STATUS(door_.w_.loop.add(socket_, EPOLLIN, this));
    listening_ = true;
    patience_.arm(door_.w_.loop, kQuestionPatience);
    return {};
  }
  [[nodiscard]] uid_t uid() const { return uid_; }
  [[nodiscard]] bool is_administrator() const { return uid_ == 0 || uid_ == ::geteuid(); }

  // The last thing that happens to it.
  void refuse(std::string_view text) {
    text = text.substr(0, exec::kAnswerTextMax);
    const Answer answer{Verdict::kRefused, 0, 0, static_cast<uint32_t>(text.size())};
    (void)sys::send_message(socket_, ipc::body_bytes(answer), text);
    door_.remove(this);
  }
  void admit(sys::FdRef session, const Answer& answer) {
    const sys::FdRef fds[] = {session};
    (void)sys::send_message(socket_, ipc::body_bytes(answer), {}, fds);
    door_.remove(this);
  }
  void wait_for(uint32_t site) {
    site_ = site;
    patience_.arm(door_.w_.loop, kStartWaitMax);
  }
  uint32_t site_ = 0;  // 0: not known yet

 private:
  void out_of_time() {
    if (site_ == 0) return door_.remove(this);
    refuse("the site does not become ready");
  }
  void on_ready(uint32_t) override {
    const sys::Moved got = sys::receive(socket_, buffer_ + have_, sizeof buffer_ - have_);
    if (got.must_wait()) return;
    // Anything after the question, also a caller's end, ends its wait.
    if (!got.ok() || got.bytes == 0 || site_ != 0) return door_.remove(this);
    have_ += got.bytes;
    if (have_ < sizeof(Question)) return;
    Question question;
    std::memcpy(&question, buffer_, sizeof question);
    if (question.version != exec::kVersion) {
      return refuse("this server speaks another version of the protocol: restart it");
    }
    if (question.name_size == 0 || question.name_size > exec::kSiteNameMax) {
      return refuse("that cannot be a site's name");
    }
    if (have_ < sizeof question + question.name_size) return;
    door_.decide(*this, {buffer_ + sizeof question, question.name_size});
  }

  ExecDoor& door_;
  sys::Fd socket_;
  const uid_t uid_;
  loop::Timer patience_;
  bool listening_ = false;
  size_t have_ = 0;
  char buffer_[sizeof(Question) + exec::kSiteNameMax];
};

ExecDoor::ExecDoor(Wiring wiring, std::string path, sys::Fd socket)
    : w_(wiring), path_(std::move(path)), socket_(std::move(socket)) {}

Result<std::unique_ptr<ExecDoor>> ExecDoor::create(Wiring wiring, std::string path) {
  const std::string address = TRY(sys::make_unix_address(path));
  sys::UnixAccess access;
  access.mode = 0666;  // who may do what is decided by the caller's uid
  auto socket = sys::listen_on(address, {.backlog = 64}, &access);
  if (!socket) {
    return fail_errno(socket.error().detail + " to unix:" + path + " failed",
                      socket.error().errno_value);
  }
  std::unique_ptr<ExecDoor> door(new ExecDoor(wiring, std::move(path), std::move(*socket)));
  TRY_STATUS(wiring.loop.add(door->socket_, EPOLLIN, door.get()));
  return door;
}

ExecDoor::~ExecDoor() {
  callers_.clear();
  w_.loop.remove(socket_, this);
  sys::remove_socket(path_);
}

void ExecDoor::on_ready(uint32_t) {
  sys::Fd connection = sys::accept_one(socket_);
  if (!connection.valid()) return;
  const auto uid = sys::peer_uid(connection);
  if (!uid) return;
  const auto of_user = std::count_if(callers_.begin(), callers_.end(),
                                     [&](const auto& caller) { return caller->uid() == *uid; });
  const bool one_too_many = *uid != 0 && static_cast<size_t>(of_user) >= kCallersOfOneUserMax;
  if (callers_.size() >= kCallersMax || one_too_many) return;  // closed: the caller says so
  auto caller = std::make_unique<Caller>(*this, std::move(connection), *uid);
  if (caller->start()) callers_.push_back(std::move(caller));
}

// It may be inside one of its own calls: it dies when the loop is back.
void ExecDoor::remove(Caller* caller) {
  auto at = std::find_if(callers_.begin(), callers_.end(),
                         [&](const auto& owned) { return owned.get() == caller; });
  if (at == callers_.end()) return;
  caller->close();
  w_.loop.defer([dead = std::shared_ptr<Caller>(std::move(*at))] {});
  callers_.erase(at);
}

void ExecDoor::decide(Caller& caller, std::string_view name) {
  const bool everything = caller.is_administrator();
  auto site = find_site_named(w_.loaded, name, [&](const config::Site& candidate) {
    return everything || w_.sites.user_of(candidate.id) == caller.uid();
  });
  if (!site) return caller.refuse(site.error().text);
  if (!(*site)->has_pool) {
    return caller.refuse("site \"" + (*site)->name +
                         "\" serves files only: without a pool it has no place to run commands in");
  }
  caller.wait_for((*site)->id);
  settle(caller);
}

void ExecDoor::settle(Caller& caller) {
  switch (w_.sites.ready_for_command(caller.site_)) {
    case Sites::CommandState::kReady:
      return hand_over(caller);
    case Sites::CommandState::kStarting:
      return;
    case Sites::CommandState::kFailed:
      return caller.refuse("the site cannot start now: the error log says why");
    case Sites::CommandState::kGone:
      return caller.refuse("the site is not served any more");
  }
}

void ExecDoor::hand_over(Caller& caller) {
  auto pair = sys::seqpacket_pair();
  if (!pair) return caller.refuse(pair.error().describe());
  auto who = w_.sites.begin_command(caller.site_, pair->first);
  if (!who) return caller.refuse(who.error().text);
  w_.log.fpm(FpmLevel::kNotice, "[pool " + who->name + "] command for user " +
                                    sys::user_name(caller.uid()) + " (bulkhead exec)");
  caller.admit(pair->second, {Verdict::kGo, who->uid, who->gid, 0});
}

void ExecDoor::look_again() {
  if (looking_) return;
  looking_ = true;
  // Called from inside a site's callbacks: wait until they are over.
  w_.loop.defer([this, alive = std::weak_ptr<int>(alive_)] {
    if (alive.expired()) return;
    looking_ = false;
    std::vector<Caller*> waiting;
    for (const auto& caller : callers_) {
      if (caller->site_ != 0) waiting.push_back(caller.get());
    }
    for (Caller* caller : waiting) settle(*caller);
  });
}

}  // namespace bulkhead::master
