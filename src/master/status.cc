// What `bulkhead status` shows, as JSON, and who is asked for it.  See status.h.
#include "master/status.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "master/master.h"
#include "sandbox/landlock.h"
#include "sys/files.h"
#include "sys/shared_memory.h"

namespace bulkhead::master {
namespace {

std::string number(uint64_t value) { return std::to_string(value); }

// Microseconds as seconds.
std::string seconds(uint64_t micros) {
  char text[40];
  std::snprintf(text, sizeof text, "%llu.%06llu", static_cast<unsigned long long>(micros / 1000000),
                static_cast<unsigned long long>(micros % 1000000));
  return text;
}

std::string list(auto begin, auto end, auto to_text) {
  std::string out = "[";
  for (auto at = begin; at != end; ++at) out += (out.size() > 1 ? "," : "") + to_text(*at);
  return out + "]";
}

const char* source_name(MemorySource from) {
  switch (from) {
    case MemorySource::kCgroup:
      return "cgroup";
    case MemorySource::kPss:
      return "pss";
    case MemorySource::kRss:
      return "rss";
    case MemorySource::kNone:
      break;
  }
  return "";
}

std::string counts_json(const SiteView& view) {
  const SiteTotals& c = view.counts;
  std::string out = ",\"requests\":{";
  uint64_t all = 0;
  for (size_t i = 0; i < ipc::kStatusClasses; ++i) {
    out += "\"" + number(i + 2) + "xx\":" + number(c.requests[i]) + ",";
    all += c.requests[i];
  }
  out += "\"all\":" + number(all) + "},\"bytes_in\":" + number(c.bytes_in) +
         ",\"bytes_out\":" + number(c.bytes_out) +
         ",\"last_request\":" + (c.last_s == 0 ? "null" : number(c.last_s)) +
         ",\"active\":" + number(c.active) + ",\"queued\":" + number(c.queued);
  out += ",\"latency\":{\"sum_s\":" + seconds(c.time_us) +
         ",\"up_to_s\":" + list(ipc::kTimeBounds_us.begin(), ipc::kTimeBounds_us.end(), seconds) +
         ",\"requests\":" + list(std::begin(c.times), std::end(c.times), number) + "}";
  return out;
}

}  // namespace

std::string json_text(std::string_view text) {
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

uint64_t SiteView::busy() const {
  const uint64_t at_work = counts.active - std::min(counts.queued, counts.active);
  return std::min<uint64_t>(at_work, figures.workers);
}

std::string json_of(const SiteView& view) {
  const Sites::Report& site = view.site;
  const SiteFigures& now = view.figures;
  std::string out = "{\"id\":" + std::to_string(site.id) + ",\"name\":" + json_text(site.name) +
                    ",\"user\":" + json_text(site.user) +
                    ",\"kind\":" + (site.has_pool ? "\"pool\"" : "\"files\"") +
                    ",\"php\":" + json_text(site.php) + ",\"state\":" + json_text(site.state) +
                    ",\"why\":" + json_text(site.why) + ",\"restarts\":" + number(site.restarts) +
                    ",\"sandbox\":" + json_text(site.sandbox) +
                    ",\"layers_off\":" + json_text(site.layers_off) +
                    ",\"view\":" + (site.wide ? "\"wide\"" : "\"narrow\"");
  auto pid_text = [](pid_t pid) { return std::to_string(pid); };
  out += ",\"processes\":" +
         list(now.processes.begin(), now.processes.end(), [&](const SiteFigures::Process& p) {
           return "{\"pid\":" + pid_text(p.pid) +
                  ",\"workers\":" + list(p.workers.begin(), p.workers.end(), pid_text) + "}";
         });
  out += ",\"workers_busy\":" + number(view.busy()) +
         ",\"workers_idle\":" + number(now.workers - view.busy()) +
         ",\"workers_max\":" + number(site.workers_max) +
         ",\"memory_bytes\":" + number(now.memory_bytes) +
         ",\"memory_from\":" + json_text(source_name(now.memory_from)) +
         ",\"cpu_s\":" + seconds(now.cpu_us);
  return out + counts_json(view) + "}";
}

std::string Master::brief_json() const {
  return "\"version\":" + json_text(BH_VERSION) + ",\"role\":" + json_text(now_.snapshot.role) +
         ",\"pid\":" + std::to_string(::getpid()) +
         ",\"uptime_s\":" + std::to_string(Moment::now().seconds - started_at_) +
         ",\"generation\":" + std::to_string(configured_) +
         ",\"reloads_refused\":" + std::to_string(refused_) +
         ",\"refused_because\":" + json_text(refusal_) +
         ",\"loops\":" + std::to_string(now_.snapshot.loops) +
         ",\"landlock_abi\":" + std::to_string(sandbox::landlock_abi());
}

std::string Master::status_json(const std::string& brief, Depth depth) const {
  std::string out =
      "{" + brief + ",\"time\":" + std::to_string(Moment::now().seconds) + ",\"processes\":[";
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
    if (is_served(listen)) out += (out.back() == '[' ? "" : ",") + json_text(listen.text);
  }
  out += "],\"sites\":[";
  for (const SiteView& view : site_views(depth)) {
    out += (out.back() == '[' ? "" : ",") + json_of(view);
  }
  return out + "]}\n";
}

std::vector<SiteView> Master::site_views(Depth depth) const {
  std::string default_php;
  if (auto program = find_php_program("")) {
    const size_t at = program->rfind("bulkhead-php");
    if (at != std::string::npos) default_php = program->substr(at + 12);
  }
  const TotalsByName totals = counters_.totals();
  const FigureReader figures(kFiguresBudget);
  std::vector<SiteView> out;
  for (Sites::Report& site : sites_->report()) {
    SiteView view;
    if (auto at = totals.find(site.name); at != totals.end()) view.counts = at->second;
    view.figures = depth == Depth::kProcesses
                       ? FigureReader::processes_of(site.pids)
                       : figures.read(site.pids, shares_->group_of(site.name));
    if (site.has_pool && site.php.empty()) site.php = default_php;
    view.site = std::move(site);
    out.push_back(std::move(view));
  }
  return out;
}

std::string Master::metrics() const {
  const ServerView server{BH_VERSION, now_.snapshot.role, started_at_, Moment::now().seconds,
                          configured_};
  return metrics_text(server, site_views(Depth::kFigures));
}

void Master::answer(std::string_view question, sys::Fd connection) {
  if (question == "brief") {
    // One short answer into an empty socket buffer.
    sys::write_all(connection, "{" + brief_json() + "}\n");
    return;
  }
  Reports::Order order;
  order.out = std::move(connection);
  order.needs = [this] { return counters_.memory(); };
  if (question == "status" || question == "sites") {
    const Depth depth = question == "sites" ? Depth::kProcesses : Depth::kFigures;
    order.text = [this, depth, brief = brief_json()] { return status_json(brief, depth); };
  } else if (question == "metrics") {
    order.text = [this] { return metrics(); };
  } else {
    return;
  }
  if (auto started = reports_.start(std::move(order)); !started) {
    log_.nginx(LogLevel::kWarn,
               "a question for the status is refused: " + started.error().describe());
  }
}

// A client of front's asks for the metrics; front asks for one report at a time.
void Master::write_metrics(uint32_t front) {
  auto tell = [this, front](std::span<const sys::FdRef> fds) {
    (void)to_front(front, ipc::Op::kMetrics, {}, fds);
  };
  auto memory = sys::create_text("metrics");
  auto out = memory ? sys::duplicate(*memory) : Result<sys::Fd>(std::unexpected(memory.error()));
  if (!out) return tell({});
  Reports::Order order;
  order.out = std::move(*out);
  order.needs = [this] { return counters_.memory(); };
  order.text = [this] { return metrics(); };
  order.done = [tell, held = std::make_shared<sys::Fd>(std::move(*memory))](Reports::End end) {
    const sys::FdRef fds[] = {*held};
    end == Reports::End::kWhole ? tell(fds) : tell({});
  };
  if (!reports_.start(std::move(order))) tell({});
}

}  // namespace bulkhead::master
