// What `bulkhead status` shows, as JSON.
//
// Runs in: master.  Names come from the configuration (trusted); sizes are bounded by it.
#include <unistd.h>

#include <cstdio>

#include "master/master.h"
#include "sandbox/landlock.h"
#include "sys/files.h"

namespace bulkhead::master {
namespace {

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (unsigned char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c < 0x20) {
      char hex[8];
      std::snprintf(hex, sizeof hex, "\\u%04x", c);
      out += hex;
    } else {
      out += static_cast<char>(c);
    }
  }
  return out + "\"";
}

// The children of a process, as the kernel lists them: the workers of a pool.
std::string children_of(pid_t pid) {
  std::string number = std::to_string(pid);
  auto text = sys::read_file("/proc/" + number + "/task/" + number + "/children", 1 << 20);
  if (!text) return "[]";
  std::string out = "[";
  for (size_t at = 0; at < text->size();) {
    size_t end = text->find(' ', at);
    if (end == std::string::npos) end = text->size();
    if (end > at) out += (out.size() > 1 ? "," : "") + text->substr(at, end - at);
    at = end + 1;
  }
  return out + "]";
}

}  // namespace

std::string Master::status_json() const {
  std::string out =
      "{\"version\":" + quoted(BH_VERSION) + ",\"role\":" + quoted(now_.snapshot.role) +
      ",\"pid\":" + std::to_string(::getpid()) +
      ",\"uptime_s\":" + std::to_string(Moment::now().seconds - started_at_) +
      ",\"generation\":" + std::to_string(configured_) +
      ",\"loops\":" + std::to_string(now_.snapshot.loops) +
      ",\"landlock_abi\":" + std::to_string(sandbox::landlock_abi()) + ",\"processes\":[";
  if (front_ != nullptr && front_->running()) {
    out += "{\"kind\":\"front\",\"pid\":" + std::to_string(front_->pid()) + "}";
  }
  for (const auto& [version, zygote] : zygotes_) {
    if (!zygote.current.process->running()) continue;
    out += std::string(out.back() == '[' ? "" : ",") +
           "{\"kind\":\"zygote\",\"pid\":" + std::to_string(zygote.current.process->pid()) + "}";
  }
  out += "],\"limits\":" + shares_->status_json() + ",\"listen\":[";
  for (const config::Listen& listen : now_.model->listens) {
    if (is_served(listen)) out += (out.back() == '[' ? "" : ",") + quoted(listen.text);
  }
  out += "],\"sites\":[";
  for (const Sites::Report& site : sites_->report()) {
    out += std::string(out.back() == '[' ? "" : ",") + "{\"id\":" + std::to_string(site.id) +
           ",\"name\":" + quoted(site.name) + ",\"user\":" + quoted(site.user) +
           ",\"kind\":" + (site.has_pool ? "\"pool\"" : "\"files\"") +
           ",\"state\":" + quoted(site.state) + ",\"sandbox\":" + quoted(site.sandbox) +
           ",\"layers_off\":" + quoted(site.layers_off) +
           ",\"view\":" + (site.wide ? "\"wide\"" : "\"narrow\"") + ",\"processes\":[";
    for (pid_t pid : site.pids) {
      out += std::string(out.back() == '[' ? "" : ",") + "{\"pid\":" + std::to_string(pid) +
             ",\"workers\":" + children_of(pid) + "}";
    }
    out += "]}";
  }
  return out + "]}\n";
}

}  // namespace bulkhead::master
