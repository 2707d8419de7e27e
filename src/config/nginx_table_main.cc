// Rows: main, events, upstream.
#include "config/nginx_rows.h"

namespace bulkhead::config {
namespace {

// What the parser has done already while it read (relative_to, sites).
void done_in_reading(Builder&, const Directive&) {}

// clang-format off
constexpr DirectiveRow kRows[] = {
    // main
    {"daemon", kMain, kFlag, Support::kInForce, set_flag<&Model::daemon>, "on", Merge::kOverride, ReloadEffect::kRestart, "Whether the server leaves the terminal."},
    {"master_process", kMain, kFlag, Support::kInForce, set_flag<&Model::master_process>, "on", Merge::kOverride, ReloadEffect::kRestart, "Kept for nginx's sake; Bulkhead always has a master."},
    {"user", kMain, kTake12, Support::kInForce, set_user, "nobody nobody", Merge::kOverride, ReloadEffect::kServing, "Linux user and group that open files of servers without one of their own."},
    {"user", kServer, kTake12, Support::kInForce, set_user, "", Merge::kOverride, ReloadEffect::kServing, "Linux user and group that open this server's files.", true},
    {"pools", kMain, kTake1, Support::kInForce, set_pools, "", Merge::kAppend, ReloadEffect::kServing, "Files in the php-fpm language that define the pools.", true},
    {"relative_to", kMain, kTake1, Support::kInForce, done_in_reading, "", Merge::kOverride, ReloadEffect::kServing, "Directory that relative includes and files of what follows start in, as if bulkhead.conf lay there.", true},
    {"sites", kMain, kTake1, Support::kInForce, done_in_reading, "", Merge::kAppend, ReloadEffect::kServing, "Files with server blocks, read as if they were included at the end of http.", true},
    {"worker_processes", kMain, kTake1, Support::kInForce, set_worker_processes, "1", Merge::kOverride, ReloadEffect::kRestart, "Number of event loops; auto: one per processor."},
    {"worker_priority", kMain, kTake1, Support::kInForce, set_worker_priority, "0", Merge::kOverride, ReloadEffect::kRestart, "Scheduling priority of front."},
    {"worker_rlimit_nofile", kMain, kTake1, Support::kInForce, set_number<&Model::worker_rlimit_nofile>, "", Merge::kOverride, ReloadEffect::kRestart, "Most open descriptors of front."},
    {"worker_rlimit_core", kMain, kTake1, Support::kInForce, set_worker_rlimit_core, "", Merge::kOverride, ReloadEffect::kRestart, "Largest core file of front."},
    {"worker_shutdown_timeout", kMain, kTake1, Support::kInForce, set_millis<&Model::worker_shutdown_timeout>, "", Merge::kOverride, ReloadEffect::kServing, "How long a graceful stop waits for connections."},
    {"working_directory", kMain, kTake1, Support::kInForce, set_text<&Model::working_directory>, "", Merge::kOverride, ReloadEffect::kRestart, "Current directory of the processes (core files)."},
    {"pid", kMain, kTake1, Support::kInForce, set_path<&Model::pid_path>, "logs/nginx.pid", Merge::kOverride, ReloadEffect::kRestart, "File that holds the master's process number."},
    {"env", kMain, kTake1, Support::kInForce, set_env, "TZ", Merge::kAppend, ReloadEffect::kRestart, "Environment variable the processes keep or get."},
    {"error_log", kMain | kHSL, k1More, Support::kInForce, set_error_log, "logs/error.log error", Merge::kReplaceList, ReloadEffect::kLogs, "Where errors of this level and above are written."},
    {"events", kMain, kNone0 | kBlock, Support::kInForce, set_events, "", Merge::kNotMerged, ReloadEffect::kServing, "How connections are handled."},
    {"http", kMain, kNone0 | kBlock, Support::kInForce, set_http, "", Merge::kNotMerged, ReloadEffect::kServing, "The web servers."},
    {"include", kMain | kEvents | kHSLI | kServerIf | kUpstream, kTake1, Support::kInForce, nullptr, "", Merge::kAppend, ReloadEffect::kServing, "Reads another file, or every file matching a pattern, in this place."},
    idle("lock_file", kMain, kTake1, "no lock between processes is needed"),
    idle("pcre_jit", kMain, kFlag, "patterns are always compiled to machine code"),
    idle("timer_resolution", kMain, kTake1, "time is read from the processor", check_millis),
    idle("worker_cpu_affinity", kMain, k1More, "the kernel places the threads", check_cpu_affinity),
    idle("debug_points", kMain, kTake1, "for nginx's own developers", set_debug_points),
    idle("ssl_engine", kMain, kTake1, "TLS arrives in a later version"),
    idle_list("thread_pool", kMain, kTake23, "files never block the event loop"),
    idle_list("load_module", kMain, kTake1, "modules are built in", set_load_module),
    refused("google_perftools_profiles", kMain, kTake1, "there is no profiler of this kind; use perf"),
    refused("mail", kMain, kNone0 | kBlock, "there is no mail proxy"),
    refused("stream", kMain, kNone0 | kBlock, "there is no TCP and UDP proxy"),
    refused("mgmt", kMain, kNone0 | kBlock, "NGINX Plus only"),
    // events
    {"worker_connections", kEvents, kTake1, Support::kInForce, set_worker_connections, "512", Merge::kOverride, ReloadEffect::kServing, "Most connections of one event loop at once."},
    {"multi_accept", kEvents, kFlag, Support::kInForce, set_flag<&Model::multi_accept>, "off", Merge::kOverride, ReloadEffect::kServing, "Whether all waiting connections are taken at once."},
    idle("use", kEvents, kTake1, "epoll is the only method", set_event_method),
    idle("accept_mutex", kEvents, kFlag, "event loops do not compete for connections"),
    idle("accept_mutex_delay", kEvents, kTake1, "event loops do not compete for connections", check_millis),
    idle_list("debug_connection", kEvents, kTake1, "set the level in error_log"),
    idle("worker_aio_requests", kEvents, kTake1, "there is no such queue", check_number),
    idle("devpoll_changes", kEvents, kTake1, "not on Linux"),
    idle("devpoll_events", kEvents, kTake1, "not on Linux"),
    idle("kqueue_changes", kEvents, kTake1, "not on Linux"),
    idle("kqueue_events", kEvents, kTake1, "not on Linux"),
    idle("epoll_events", kEvents, kTake1, "the number is fixed"),
    // upstream
    {"upstream", kHttp, kTake1 | kBlock, Support::kInForce, set_upstream, "", Merge::kNotMerged, ReloadEffect::kServing, "A named group of FastCGI servers."},
    {"server", kUpstream, k1More, Support::kInForce, set_upstream_server, "", Merge::kAppend, ReloadEffect::kServing, "One server of the group."},
    {"keepalive", kUpstream, kTake1, Support::kInForce, set_upstream_keepalive, "", Merge::kOverride, ReloadEffect::kServing, "Idle connections kept per event loop."},
    {"keepalive_requests", kUpstream, kTake1, Support::kInForce, set_number<&Upstream::keepalive_requests>, "1000", Merge::kOverride, ReloadEffect::kServing, "Requests before a kept connection is closed."},
    {"keepalive_time", kUpstream, kTake1, Support::kInForce, set_millis<&Upstream::keepalive_time>, "1h", Merge::kOverride, ReloadEffect::kServing, "Longest life of a kept connection."},
    {"keepalive_timeout", kUpstream, kTake1, Support::kInForce, set_millis<&Upstream::keepalive_timeout>, "60s", Merge::kOverride, ReloadEffect::kServing, "Longest idle time of a kept connection."},
    {"ip_hash", kUpstream, kNone0, Support::kInForce, set_upstream_method, "", Merge::kAppend, ReloadEffect::kServing, "The client's address chooses the server."},
    {"least_conn", kUpstream, kNone0, Support::kInForce, set_upstream_method, "", Merge::kAppend, ReloadEffect::kServing, "The server with the fewest connections is chosen."},
    {"hash", kUpstream, kTake12, Support::kInForce, set_upstream_method, "", Merge::kAppend, ReloadEffect::kServing, "A text chooses the server."},
    {"random", kUpstream, kNone0 | kTake12, Support::kInForce, set_upstream_method, "", Merge::kAppend, ReloadEffect::kServing, "Chance chooses the server."},
    idle("zone", kUpstream, kTake12, "event loops share nothing"),
    idle("ntlm", kUpstream, kNone0, "NGINX Plus only"),
    idle("queue", kUpstream, kTake12, "NGINX Plus only"),
    idle("least_time", kUpstream, kTake12, "NGINX Plus only; servers are taken in turn"),
    refused("sticky", kUpstream, k1More, "sessions are not tied to servers"),
    refused("state", kUpstream, kTake1, "the servers would be unknown"),
    refused("resolver", kUpstream, k1More, "names are looked up once, at start"),
    idle("resolver_timeout", kUpstream, kTake1, "names are looked up once, at start", check_millis),
};
// clang-format on

}  // namespace

std::span<const DirectiveRow> main_rows() { return kRows; }

}  // namespace bulkhead::config
