// Directives of the main and events levels.
//
// Runs in: master, front.  Input: configuration (trusted).  Blocks: looks users up (master only).
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include "base/accounts.h"
#include "config/nginx_setters.h"

namespace bulkhead::config {
namespace {

bool is_user(const std::string& name) {
  return user_of_files(name) != nullptr || ::getpwnam(name.c_str()) != nullptr;
}
bool is_group(const std::string& name) {
  return group_of_files(name) != nullptr || ::getgrnam(name.c_str()) != nullptr;
}

void check_user(Builder& b, const Directive& d) {
  if (!is_user(d.args[0].text)) {
    return b.fail(d, "getpwnam(\"" + d.args[0].text + "\") failed");
  }
  const std::string& group = d.args.back().text;
  if (!is_group(group)) b.fail(d, "getgrnam(\"" + group + "\") failed");
}

}  // namespace

void set_user(Builder& b, const Directive& d) {
  std::string group = d.args.size() > 1 ? d.args[1].text : "";
  if (b.scope().context == kServer) {
    b.scope().server->user = d.args[0].text;
    b.scope().server->group = group;
    if (b.on_the_machine()) {
      if (!is_user(d.args[0].text)) {
        b.fail(d, "getpwnam(\"" + d.args[0].text + "\") failed");
      } else if (!group.empty() && !is_group(group)) {
        b.fail(d, "getgrnam(\"" + group + "\") failed");
      }
    }
    return;
  }
  b.model().user = d.args[0].text;
  b.model().group = group;
  b.model().user_is_set = true;
  if (!b.on_the_machine()) return;
  if (::geteuid() != 0) {
    b.warn(d,
           "the \"user\" directive makes sense only if the master process runs with super-user "
           "privileges, ignored");
    return;
  }
  check_user(b, d);
}

void set_worker_processes(Builder& b, const Directive& d) {
  if (d.args[0].text == "auto") {
    b.model().worker_processes = 0;
    return;
  }
  auto value = parse_number(d.args[0].text);
  if (!value) return b.fail_value(d, "invalid value");
  // nginx starts nobody for 0; one loop is the least that serves.
  b.model().worker_processes = static_cast<uint32_t>(std::clamp<uint64_t>(*value, 1, 1024));
}

void set_worker_connections(Builder& b, const Directive& d) {
  auto value = parse_number(d.args[0].text);
  if (!value) return b.fail(d, "invalid number \"" + d.args[0].text + "\"");
  b.model().worker_connections = static_cast<uint32_t>(std::min<uint64_t>(*value, 1U << 30));
}

void set_worker_priority(Builder& b, const Directive& d) {
  std::string_view text = d.args[0].text;
  bool minus = text.starts_with('-');
  if (minus || text.starts_with('+')) text.remove_prefix(1);
  auto value = parse_number(text);
  if (!value) return b.fail_value(d, "invalid number");
  int priority = static_cast<int>(std::min<uint64_t>(*value, 20));
  b.model().worker_priority = minus ? -priority : priority;
}

void set_worker_rlimit_core(Builder& b, const Directive& d) {
  auto value = parse_size(d.args[0].text, true);
  if (!value) return b.fail_value(d, "invalid value");
  b.model().worker_rlimit_core = *value;
}

void set_event_method(Builder& b, const Directive& d) {
  for (std::string_view known : {"epoll", "poll", "select"}) {
    if (d.args[0].text == known) return;
  }
  b.fail(d, "invalid event type \"" + d.args[0].text + "\"");
}

void set_env(Builder& b, const Directive& d) { b.model().env.push_back(d.args[0].text); }

void set_pools(Builder& b, const Directive& d) {
  b.model().pools_globs.push_back(b.full_path(d.args[0].text));
}

void set_events(Builder& b, const Directive& d) {
  if (!b.seen_blocks.insert("events").second) return b.fail_value(d, "is duplicate");
  b.walk(d.children, b.open_scope(kEvents, d));
}

void set_http(Builder& b, const Directive& d) {
  if (!b.seen_blocks.insert("http").second) return b.fail_value(d, "is duplicate");
  b.model().has_http = true;
  b.http_scope = b.open_scope(kHttp, d);
  b.walk(d.children, b.http_scope);
}

void set_load_module(Builder& b, const Directive& d) {
  // Debian's packages load these for features that have their own rows in the table.
  if (d.args[0].text.find('.') == std::string::npos) {
    b.fail(d, "dlopen() \"" + b.full_path(d.args[0].text) + "\" failed (no such module)");
  }
}

void set_debug_points(Builder& b, const Directive& d) {
  if (d.args[0].text != "stop" && d.args[0].text != "abort") {
    b.fail(d, "invalid value \"" + d.args[0].text + "\"");
  }
}

}  // namespace bulkhead::config
