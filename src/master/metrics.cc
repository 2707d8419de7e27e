// The metrics as Prometheus reads them.  See status.h.
//
// Runs in: a report child of master.
// Ref: Prometheus "Exposition formats", text format 0.0.4: one family after the other, HELP and
// TYPE before its samples; in label values backslash, quote and line feed are escaped; histograms
// have cumulative buckets that end with +Inf, a sum and a count.
#include <cstdio>
#include <functional>

#include "master/status.h"

namespace bulkhead::master {
namespace {

// A label's value, quoted.  Bytes that are no UTF-8 cannot come: names are those of pools and
// users.
std::string label(std::string_view value) {
  std::string out = "\"";
  for (char c : value) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string seconds(uint64_t micros) {
  char text[40];
  std::snprintf(text, sizeof text, "%.6f", static_cast<double>(micros) / 1e6);
  return text;
}

// "0.0005", "2.5", "10": without trailing zeros, as queries name them.
std::string bound(uint32_t micros) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", static_cast<double>(micros) / 1e6);
  return text;
}

class Text {
 public:
  void family(const char* name, const char* type, const char* help) {
    name_ = std::string("bulkhead_") + name;
    out_ += "# HELP " + name_ + " " + help + "\n# TYPE " + name_ + " " + type + "\n";
  }
  void sample(const std::string& labels, const std::string& value, const char* suffix = "") {
    out_ += name_;
    out_ += suffix;
    if (!labels.empty()) out_ += "{" + labels + "}";
    out_ += " " + value + "\n";
  }
  std::string take() { return std::move(out_); }

 private:
  std::string name_, out_;
};

struct Family {
  const char* name;
  const char* type;
  const char* help;
  std::string (*value)(const SiteView& view);
  enum class Of : uint8_t { kAll, kPools, kAsked } of;  // sites that have it
};

std::string number(uint64_t value) { return std::to_string(value); }

constexpr Family kFamilies[] = {
    {"site_up", "gauge", "1 when processes of the site run, 0 when it is asleep or has failed.",
     [](const SiteView& v) { return number(!v.site.pids.empty()); }, Family::Of::kAll},
    {"site_failed", "gauge", "1 when the newest start of the site failed.",
     [](const SiteView& v) { return number(v.site.state == "failed"); }, Family::Of::kAll},
    {"site_restarts_total", "counter", "How often the site's processes ended unasked.",
     [](const SiteView& v) { return number(v.site.restarts); }, Family::Of::kAll},
    {"site_received_bytes_total", "counter", "Bytes of requests, heads included.",
     [](const SiteView& v) { return number(v.counts.bytes_in); }, Family::Of::kAll},
    {"site_sent_bytes_total", "counter", "Bytes of responses, heads included.",
     [](const SiteView& v) { return number(v.counts.bytes_out); }, Family::Of::kAll},
    {"site_last_request_timestamp_seconds", "gauge", "When the last request ended.",
     [](const SiteView& v) { return number(v.counts.last_s); }, Family::Of::kAsked},
    {"site_queued_requests", "gauge", "Requests that wait for a worker.",
     [](const SiteView& v) { return number(v.counts.queued); }, Family::Of::kPools},
    {"site_workers_max", "gauge", "Most workers the pool may run (pm.max_children).",
     [](const SiteView& v) { return number(v.site.workers_max); }, Family::Of::kPools},
    {"site_memory_bytes", "gauge", "Memory of the site's processes.",
     [](const SiteView& v) { return number(v.figures.memory_bytes); }, Family::Of::kAll},
    {"site_cpu_seconds_total", "counter",
     "Processor time of the processes that run; begins anew when the site is woken.",
     [](const SiteView& v) { return seconds(v.figures.cpu_us); }, Family::Of::kAll},
};

std::string site_label(const SiteView& view) { return "site=" + label(view.site.name); }

void requests(const std::vector<SiteView>& sites, Text* text) {
  text->family("site_requests_total", "counter", "Requests answered, by class of status.");
  for (const SiteView& view : sites) {
    for (size_t i = 0; i < ipc::kStatusClasses; ++i) {
      text->sample(site_label(view) + ",code=\"" + number(i + 2) + "xx\"",
                   number(view.counts.requests[i]));
    }
  }
}

void workers(const std::vector<SiteView>& sites, Text* text) {
  text->family("site_workers", "gauge", "Workers that run, by what they do.");
  for (const SiteView& view : sites) {
    if (!view.site.has_pool) continue;
    text->sample(site_label(view) + ",state=\"busy\"", number(view.busy()));
    text->sample(site_label(view) + ",state=\"idle\"", number(view.figures.workers - view.busy()));
  }
}

void durations(const std::vector<SiteView>& sites, Text* text) {
  text->family("site_request_duration_seconds", "histogram",
               "Time from the first byte of a request to the last of its response.");
  for (const SiteView& view : sites) {
    uint64_t up_to = 0;
    for (size_t i = 0; i < ipc::kTimeClasses; ++i) {
      up_to += view.counts.times[i];
      const bool is_last = i == ipc::kTimeBounds_us.size();
      text->sample(
          site_label(view) + ",le=\"" + (is_last ? "+Inf" : bound(ipc::kTimeBounds_us[i])) + "\"",
          number(up_to), "_bucket");
    }
    text->sample(site_label(view), seconds(view.counts.time_us), "_sum");
    text->sample(site_label(view), number(up_to), "_count");
  }
}

bool has(const SiteView& view, Family::Of of) {
  switch (of) {
    case Family::Of::kPools:
      return view.site.has_pool;
    case Family::Of::kAsked:
      return view.counts.last_s != 0;
    case Family::Of::kAll:
      break;
  }
  return true;
}

}  // namespace

std::string metrics_text(const ServerView& server, const std::vector<SiteView>& sites) {
  Text text;
  text.family("build_info", "gauge", "The version that runs.");
  text.sample("version=" + label(server.version) + ",role=" + label(server.role), "1");
  text.family("start_time_seconds", "gauge", "When the server was started.");
  text.sample("", std::to_string(server.started_s));
  text.family("config_generation", "gauge", "Grows with every configuration put in force.");
  text.sample("", number(server.generation));
  text.family("sites", "gauge", "Sites configured.");
  text.sample("", number(sites.size()));
  text.family("site_info", "gauge", "Who and what the site is.");
  for (const SiteView& view : sites) {
    text.sample(site_label(view) + ",user=" + label(view.site.user) + ",kind=\"" +
                    (view.site.has_pool ? "pool" : "files") + "\",php=" + label(view.site.php),
                "1");
  }
  requests(sites, &text);
  for (const Family& family : kFamilies) {
    text.family(family.name, family.type, family.help);
    for (const SiteView& view : sites) {
      if (has(view, family.of)) text.sample(site_label(view), family.value(view));
    }
  }
  workers(sites, &text);
  durations(sites, &text);
  return text.take();
}

}  // namespace bulkhead::master
