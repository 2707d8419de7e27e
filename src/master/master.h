// The root process: starts, watches, restarts and reloads everything else; serves nobody itself.
//
// Runs in: master.  Input: configuration (trusted), signals, messages of children (hostile, checked
// by ipc/permit).  Threads: one.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "loop/event_loop.h"
#include "master/child_process.h"
#include "master/children.h"
#include "master/control_socket.h"
#include "master/exec_door.h"
#include "master/front_settings.h"
#include "master/listeners.h"
#include "master/load.h"
#include "master/log.h"
#include "master/options.h"
#include "master/plan.h"
#include "master/reports.h"
#include "master/site_counters.h"
#include "master/sites.h"
#include "master/status.h"
#include "sys/process.h"
#include "sys/signals.h"

namespace bulkhead::master {

class Master {
 public:
  explicit Master(Options options);
  ~Master();
  // Serves until it is told to stop.  Returns the exit code.
  int run();

 private:
  enum class State : uint8_t { kStarting, kServing, kStopping };
  enum class Stop : uint8_t { kFast, kGraceful };
  class SignalHandler : public loop::IoHandler {
   public:
    explicit SignalHandler(Master& master) : master_(master) {}
    void on_ready(uint32_t) override { master_.on_signals(); }

   private:
    Master& master_;
  };
  // A zygote of one PHP version, and how it is kept alive.
  struct Php {  // one process of it
    std::unique_ptr<ChildProcess> process;
    uint32_t number = 0;
    std::string settings;  // php_settings() when it was started
  };
  struct Zygote {
    Php current;
    Php successor;                // starting, with changed settings; no process: none
    std::map<uint32_t, Php> old;  // ending
    Backoff backoff;
    bool ready = false;         // current
    bool pools_follow = false;  // when the next one is ready, it gets all pools
    std::unique_ptr<loop::Timer> restart;
  };
  // A front that another has replaced: it finishes what it has begun.
  struct OldFront {
    std::unique_ptr<ChildProcess> process;
    std::unique_ptr<loop::Timer> patience;  // worker_shutdown_timeout, then the end
    bool told = false, hung_up = false;     // to finish; to end
  };

  // master.cc: from nothing to serving
  bool prepare();  // configuration, sockets, logs; false: exit_code_ is set
  bool prepare_state(Loaded* loaded);
  bool open_logs(const Loaded& loaded, std::vector<sys::Fd>* files);
  void use_logs(const Loaded& loaded, std::vector<sys::Fd> files);
  bool go_to_background();
  bool start_children();
  void maybe_started();
  void announce_start();
  void start_fail(const std::string& text, int code);
  void write_pid();
  void open_control();
  [[nodiscard]] std::string pid_path() const;
  void set_title();
  [[nodiscard]] bool wants_daemon() const;
  void warn_without_root();
  void open_shares();
  void choose_child_stderr();
  void report_load_error(const LoadError& error);
  void report_warnings(const Loaded& loaded);

  // master_children.cc: front and zygotes
  Status start_front();
  Status launch_front(FrontSettings settings);
  void give_counters();
  void configure_front();
  bool send_chunks(ipc::Op op, const std::vector<sys::FdRef>& fds);
  void on_front_message(uint32_t number, ipc::Op op, std::string_view payload);
  void on_front_ended(uint32_t number, pid_t pid, const sys::Ended& ended, Millis lived);

  // master_zygotes.cc
  Status start_zygote(const std::string& version);
  Status launch_php(const std::string& version, Php* php);
  uint32_t to_zygote(const std::string& version, ipc::Op op, std::string_view payload,
                     std::span<const sys::FdRef> fds);
  enum class Renew : uint8_t { kChanged, kAll };
  bool renew_zygotes(Renew which);
  void renew_zygote(const std::string& version, Zygote& zygote);
  void use_successor(Zygote& zygote);
  void pools_follow(const std::string& version);
  void signal_zygotes(int number);
  [[nodiscard]] bool zygotes_running() const;
  void on_zygote_message(const std::string& version, uint32_t number, ipc::Op op,
                         std::string_view payload, std::vector<sys::Fd>& fds);
  void on_zygote_ready(const std::string& version, uint32_t number);
  void on_zygote_ended(const std::string& version, uint32_t number, pid_t pid,
                       const sys::Ended& ended, Millis lived);
  void on_current_zygote_ended(const std::string& version, const std::string& text, Millis lived);

  // master_fronts.cc: one front follows another
  bool to_front(uint32_t number, ipc::Op op, std::string_view payload,
                std::span<const sys::FdRef> fds);
  [[nodiscard]] bool front_running() const { return front_ != nullptr && front_->running(); }
  bool renew_front();
  void retire_front();
  void quit_old_fronts();
  void hurry_old_front(uint32_t number);
  void quit_front(ChildProcess& front);
  void end_old_fronts(int signal);

  // master_upgrade.cc: another program takes the listening sockets over
  void change_binary(const sys::Signal& signal);
  Status start_new_binary();
  void on_new_binary_ended(const sys::Ended& ended);
  Status move_pid_file(const std::string& to);
  void stop_accepting(const sys::Signal& signal);
  [[nodiscard]] bool another_serves() const;

  // master_signals.cc: reload, reopen, stop
  void on_signals();
  void on_signal(const sys::Signal& signal);
  void log_signal(const sys::Signal& signal, std::string_view effect);
  void show_life();
  void reload();
  [[nodiscard]] bool take_configuration();  // false: refused, and said why
  void put_in_force();
  void reopen();
  void begin_stop(Stop how);
  void maybe_stopped();
  void finish();

  // status.cc: questions of people and programs
  void answer(std::string_view question, sys::Fd connection);
  void write_metrics(uint32_t front);
  [[nodiscard]] std::string brief_json() const;
  [[nodiscard]] std::string status_json(const std::string& brief, Depth depth) const;
  [[nodiscard]] std::string metrics() const;
  [[nodiscard]] std::vector<SiteView> site_views(Depth depth) const;
  [[nodiscard]] bool speaks_nginx() const { return options_.kind != Kind::kFpm; }
  [[nodiscard]] bool speaks_fpm() const {
    return options_.kind == Kind::kFpm || (now_.fpm && options_.kind == Kind::kServe);
  }

  Options options_;
  Log log_;
  Loaded now_;  // in force
  SiteIds ids_;
  std::vector<sys::Fd> log_files_;  // in order of Model::log_files
  sys::Daemon daemon_;
  sys::Fd child_stderr_;  // in the background; else children share ours
  std::unique_ptr<loop::EventLoop> loop_;
  std::optional<sys::SignalSource> signals_;
  SignalHandler signal_handler_{*this};
  Reaper reaper_;
  Reports reports_{reaper_};
  SiteCounters counters_;
  Listeners listeners_{log_};
  std::unique_ptr<ChildProcess> front_;
  uint32_t front_number_ = 0, next_front_ = 1;
  FrontSettings front_settings_;             // of front_
  std::map<uint32_t, OldFront> old_fronts_;  // by number
  Backoff front_backoff_;
  std::unique_ptr<loop::Timer> front_restart_;
  std::map<std::string, Zygote> zygotes_;  // by version as configured; "" is the default
  uint32_t next_php_ = 1;
  std::unique_ptr<Shares> shares_;  // outlives the sites
  std::unique_ptr<Sites> sites_;
  std::unique_ptr<ControlSocket> control_;
  std::unique_ptr<ExecDoor> exec_door_;
  std::unique_ptr<loop::Timer> deadline_, heartbeat_;
  State state_ = State::kStarting;
  Stop stop_how_ = Stop::kFast;
  pid_t parent_ = 0;        // who started us, as nginx counts it: before going to the background
  bool inherited_ = false;  // ... and gave us its listening sockets
  bool daemonized_ = false;
  bool no_accept_ = false;  // WINCH: front was told to finish, and no other is started
  sys::Child new_binary_;   // after USR2; pid -1: none
  uint64_t generation_ = 0, configured_ = 0, refused_ = 0;  // refused_: reloads
  std::string refusal_;                                     // what the last of them was for
  bool reload_when_started_ = false;
  bool configure_when_ready_ = false;  // php-fpm's reload: pools follow the new zygote
  bool front_ready_ = false, pid_written_ = false, done_ = false;
  bool state_is_given_ = false;  // --state
  int exit_code_ = 0;
  std::string pid_path_;
  int64_t started_at_ = 0;
};

// `bulkhead -t`, `nginx -t`, `php-fpm -t`: prints what those print and returns their exit code.
int test_configuration(const Options& options);

}  // namespace bulkhead::master
