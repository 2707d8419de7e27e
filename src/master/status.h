// What `bulkhead status` and the metrics tell, gathered once and written in two forms.
//
// Runs in: a report child of master (reports.h).  Names come from the configuration (trusted);
// counts come from front and last words from sites (hostile: numbers, and printable text).
#pragma once

#include <string>
#include <vector>

#include "master/site_counters.h"
#include "master/site_figures.h"
#include "master/sites.h"

namespace bulkhead::master {

struct SiteView {
  Sites::Report site;
  SiteTotals counts;
  SiteFigures figures;
  // Requests that workers are at, as far as there are workers.
  [[nodiscard]] uint64_t busy() const;
};

// How long reading the memory of processes may take in all.
constexpr std::chrono::milliseconds kFiguresBudget{3000};

// Whether what sites take is wanted, too: it takes time to find out.
enum class Depth : uint8_t { kProcesses, kFigures };
// One object; see bulkhead(1), STATUS.
[[nodiscard]] std::string json_of(const SiteView& view);
[[nodiscard]] std::string json_text(std::string_view text);

// What the server as a whole says in the metrics.
struct ServerView {
  std::string version, role;
  int64_t started_s = 0, now_s = 0;
  uint64_t generation = 0;
};
// Ref: Prometheus "Exposition formats", text format 0.0.4.
[[nodiscard]] std::string metrics_text(const ServerView& server,
                                       const std::vector<SiteView>& sites);

}  // namespace bulkhead::master
