// One client's HTTP/1 connection: reads requests, lets phases decide, sends what they decided.
//
// Runs in: front.  Input: hostile bytes.
// Threads: one loop.  A connection is registered with epoll once, edge-triggered, and driven by
// readiness, its deadline, the application and phases; every event ends in drive().
// Ref: RFC 9112; nginx 1.22 for timeouts, limits and log lines.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "config/model.h"
#include "front/client_socket.h"
#include "front/deadline.h"
#include "front/exchange.h"
#include "loop/event_loop.h"
#include "sys/stream_io.h"

namespace bulkhead::front {

class ServerLoop;
struct FileResult;
struct Listener;
struct LoopGeneration;
struct Turn;

class Connection : public loop::IoHandler {
 public:
  explicit Connection(ServerLoop& loop);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Begins with a socket just accepted.
  void open(sys::Fd fd, const sys::SocketAddress& peer, std::shared_ptr<Listener> listener,
            uint64_t serial);
  // An idle connection: ends it (reload without its listener, shutdown, too many connections).
  void close_idle();
  // The same at the server's end: requests that have come, or are about to, are still answered.
  void finish_idle();
  [[nodiscard]] bool is_idle() const { return state_ == State::kIdle; }
  [[nodiscard]] const std::shared_ptr<Listener>& listener() const { return listener_; }

  void on_ready(uint32_t events) override;

  // ---- what phases decided (called by ServerLoop for the exchange's owner) ----
  void respond();
  void pass_to_app();
  void close_without_response();

  // The loop ends: forgets everything without logging.
  void shut();
  void mark_free() { state_ = State::kFree; }
  // Another turn of the loop has begun (after ServerLoop::continue_soon()).
  void go_on() {
    yielded_ = false;
    drive();
  }
  // Its place in the loop's order of turns has come (after ServerLoop::line_up()).
  void take_place() { drive(); }
  // Whose work this connection's events are: the site of its last request; before the first, its
  // client.
  [[nodiscard]] uint64_t account() const { return account_; }
  [[nodiscard]] uint64_t serial() const { return facts_.serial; }

  // ---- what the application says (called by AppBridge) ----
  void app_progress() { drive(); }
  // The response was cut short.
  void app_broke_response();

  // The loop has it in the line of those to be served in this iteration.
  bool in_line = false;
  // Neighbours in the loop's list of idle connections, oldest first.
  Connection* idle_before = nullptr;
  Connection* idle_after = nullptr;

 private:
  enum class State : uint8_t {
    kFree,        // in the pool
    kIdle,        // waits for the first byte of a request
    kHead,        // reads a head
    kDeciding,    // phases are at work
    kCollecting,  // reads a body that is needed as a whole
    kWaitingApp,  // an application is at work
    kResponding,  // sends the response
    kDraining,    // reads the rest of a body nobody wanted, then goes on
    kLingering,   // has said its last word, lets the client finish
    kClosed,
  };
  enum class Next : bool { kWait, kGoOn };

  void drive();
  Next step();
  // There is more to do, but the others are due first.
  void yield();
  void on_deadline();

  // connection.cc: waiting and closing
  Next step_idle();
  Next step_draining();
  Next step_lingering();
  void become_idle();
  void finish_turn();
  void release_turn();
  void end_connection();
  void linger_or_close();
  void close_now();
  void abandon(config::LogLevel level, std::string_view text, int errno_value);
  void time_out_sending();
  void log(config::LogLevel level, std::string_view text, int errno_value);
  void set_reading();
  void set_state(State state);
  void fill_facts(const sys::SocketAddress& peer);

  // connection_request.cc: heads and bodies
  void begin_turn();
  Next step_head();
  Next parse_head();
  Next head_failed(uint16_t status, std::string_view reason);
  Next head_complete();
  // How much of a body stays in memory.
  [[nodiscard]] size_t body_memory(const config::LocConf& conf, bool stream);
  Next step_collecting();
  Next body_failed();
  void ask_for_body_spool();
  void give_body_spool(FileResult&& result);
  void send_continue();
  void launch_app();

  // connection_response.cc: answers
  bool feed_app();
  Next step_waiting_app();
  Next step_responding();
  Next response_done();
  void discard_body();
  void ask_for_response_spool();
  void absorb();
  bool client_left();
  void note_app_body_verdict();

  ServerLoop& loop_;
  State state_ = State::kFree;
  bool driving_ = false, again_ = false;
  bool paused_ = false;   // limit_rate: the deadline only ends the pause
  bool yielded_ = false;  // go_on() will be called
  uint8_t begun_ = 0;     // requests begun in this drive()
  uint64_t account_ = 0;
  ClientSocket socket_;
  ConnectionFacts facts_;
  std::shared_ptr<Listener> listener_;
  Turn* turn_ = nullptr;
  Deadline deadline_;
  loop::Clock::time_point linger_until_{};
  uint8_t counted_ = 0;  // which of the server's counters this connection is counted in
};

}  // namespace bulkhead::front
