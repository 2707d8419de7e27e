// The page of --html: one file without any outside resource; the matrix of sites, each cell
// leading to its probes; light and dark, readable on a phone.
//
// Runs in: bulkhead-verify.  Every text that a site may have influenced is escaped.
#include "base/html.h"

#include <algorithm>
#include <map>

#include "verify/embedded.h"
#include "verify/report.h"

namespace bulkhead::verify {
namespace {

std::string escaped(std::string_view text) {
  std::string out;
  append_html_escaped(out, plain(text));
  return out;
}

Verdict worst(const Counts& c) {
  if (c.allowed > 0) return Verdict::kAllowed;
  if (c.degraded > 0) return Verdict::kDegraded;
  if (c.open > 0) return Verdict::kOpen;
  return c.blocked > 0 ? Verdict::kBlocked : Verdict::kNotRun;
}

std::string badge(Verdict verdict) {
  return "<span class=\"badge " + std::string(verdict_key(verdict)) + "\">" +
         std::string(name_of(verdict)) + "</span>";
}

std::string cell(const PairReport& pair, size_t index) {
  Counts c = count(pair.outcomes);
  Verdict verdict = worst(c);
  std::string main = c.allowed > 0 ? std::to_string(c.allowed) + " allowed"
                                   : std::to_string(c.blocked) + " blocked";
  std::string more;
  for (auto [n, what] : {std::pair{c.degraded, " degraded"}, std::pair{c.open, " open"},
                         std::pair{c.not_run, " not run"}}) {
    if (n > 0) more += (more.empty() ? "" : ", ") + std::to_string(n) + what;
  }
  return "<a class=\"cell " + std::string(verdict_key(verdict)) + "\" href=\"#pair" +
         std::to_string(index) + "\"><b>" + main + "</b><small>" + more + "</small></a>";
}

// Attackers down, victims across.
std::string matrix(const Report& report) {
  std::vector<std::string> names;
  for (const PairReport& pair : report.pairs) {
    for (const std::string& name : {pair.attacker, pair.victim}) {
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  std::string out =
      "<div class=\"scroll\"><table class=\"matrix\"><thead><tr><td>attacker \\ victim</td>";
  for (const std::string& name : names) out += "<th scope=\"col\">" + escaped(name) + "</th>";
  out += "</tr></thead><tbody>";
  for (const std::string& attacker : names) {
    out += "<tr><th scope=\"row\">" + escaped(attacker) + "</th>";
    for (const std::string& victim : names) {
      std::string inside;
      for (size_t i = 0; i < report.pairs.size(); ++i) {
        const PairReport& pair = report.pairs[i];
        if (pair.attacker == attacker && pair.victim == victim) inside += cell(pair, i);
      }
      out += inside.empty() ? "<td class=\"none\">&#8211;</td>" : "<td>" + inside + "</td>";
    }
    out += "</tr>";
  }
  return out + "</tbody></table></div>";
}

std::string probe_row(const Outcome& o) {
  std::string out = "<li class=\"" + std::string(verdict_key(o.verdict)) +
                    "\"><span class=\"id\">" + escaped(o.probe->id) +
                    "</span><span class=\"want\">" + escaped(o.probe->want) + "</span>" +
                    badge(o.verdict) + "<span class=\"why\">";
  if (!o.by.empty()) {
    out += "<b title=\"" + escaped(layer_meaning(o.by)) + "\">" + escaped(o.by) + "</b> ";
  }
  return out + escaped(o.detail) + "</span></li>";
}

std::string pair_section(const PairReport& pair, size_t index) {
  Counts c = count(pair.outcomes);
  std::string out =
      "<section id=\"pair" + std::to_string(index) + "\"><h2>" + escaped(pair.attacker) +
      " <span class=\"arrow\">attacks</span> " + escaped(pair.victim) + "</h2><p class=\"sub\">" +
      escaped(pair.column) + ": " + std::to_string(c.blocked) + " blocked, " +
      std::to_string(c.allowed) + " allowed, " + std::to_string(c.degraded) + " degraded, " +
      std::to_string(c.open) + " open by decision, " + std::to_string(c.not_run) + " not run</p>";
  for (size_t i = 0; i < pair.outcomes.size();) {
    char group = pair.outcomes[i].probe->id[0];
    std::vector<Outcome> rows;
    while (i < pair.outcomes.size() && pair.outcomes[i].probe->id[0] == group) {
      rows.push_back(pair.outcomes[i++]);
    }
    Counts of_group = count(rows);
    Verdict verdict = worst(of_group);
    out += "<details" + std::string(of_group.allowed > 0 ? " open" : "") +
           "><summary><span class=\"dot " + std::string(verdict_key(verdict)) +
           "\"></span><span class=\"name\">" + std::string(group_title(group)) +
           "</span><span class=\"tally\">" + std::to_string(of_group.blocked) + " of " +
           std::to_string(rows.size() - static_cast<size_t>(of_group.not_run)) +
           " blocked</span></summary><ul>";
    for (const Outcome& row : rows) out += probe_row(row);
    out += "</ul></details>";
  }
  return out + "</section>";
}

// When the same pair was attacked on both servers: one row per probe, two columns.
std::string comparison(const PairReport& stock, const PairReport& ours) {
  std::string out =
      "<section><h2>Side by side</h2><p class=\"sub\">The same two sites, the same files, the same "
      "attacks.</p><table class=\"both\"><thead><tr><th>Attack</th><th>nginx + php-fpm</th>"
      "<th>Bulkhead</th></tr></thead><tbody>";
  char group = 0;
  for (const Outcome& o : ours.outcomes) {
    Verdict theirs = Verdict::kNotRun;
    for (const Outcome& other : stock.outcomes) {
      if (other.probe == o.probe) theirs = other.verdict;
    }
    if (theirs == Verdict::kNotRun && o.verdict == Verdict::kNotRun) continue;
    if (o.probe->id[0] != group) {
      group = o.probe->id[0];
      out += "<tr class=\"group\"><th colspan=\"3\" scope=\"rowgroup\">" +
             std::string(group_title(group)) + "</th></tr>";
    }
    out += "<tr><td><span class=\"id\">" + escaped(o.probe->id) + "</span> " +
           escaped(o.probe->want) + "</td><td>" + badge(theirs) + "</td><td>" + badge(o.verdict) +
           "</td></tr>";
  }
  return out + "</tbody></table></section>";
}

std::string headline(const Report& report, bool is_comparison) {
  int allowed = 0, stock = 0, tried = 0;
  for (const PairReport& pair : report.pairs) {
    Counts c = count(pair.outcomes);
    if (pair.column != "bulkhead") {
      stock += c.allowed;
      continue;
    }
    allowed += c.allowed;
    tried += c.allowed + c.blocked + c.degraded + c.open;
  }
  std::string text =
      allowed == 0 ? "Nothing was allowed." : std::to_string(allowed) + " attacks succeeded.";
  if (is_comparison) {
    text = std::to_string(stock) + " attacks succeed on nginx + php-fpm, " +
           (allowed == 0 ? "none" : std::to_string(allowed)) + " on Bulkhead.";
  }
  return "<p class=\"verdict " + std::string(allowed == 0 ? "blocked" : "allowed") + "\">" + text +
         "</p><p class=\"sub\">" + std::to_string(tried) +
         " attacks tried, each for a marker planted just before. " + escaped(report.kernel) +
         "</p>";
}

}  // namespace

std::string to_html(const Report& report) {
  bool is_comparison = report.pairs.size() == 2 && report.pairs[0].column != report.pairs[1].column;
  std::string out =
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
      "<meta name=\"color-scheme\" content=\"light dark\"><title>" +
      escaped(report.title) + "</title><style>" + std::string(page_css()) +
      "</style></head><body><main><header><h1>" + escaped(report.title) + "</h1>" +
      headline(report, is_comparison);
  for (const std::string& warning : report.warnings) {
    out += "<p class=\"warning\">" + escaped(warning) + "</p>";
  }
  out += "</header>";
  // The same pair on two servers needs no matrix: the two columns are the picture.
  out += is_comparison ? comparison(report.pairs[0], report.pairs[1]) : matrix(report);
  for (size_t i = 0; i < report.pairs.size(); ++i) out += pair_section(report.pairs[i], i);
  return out + "</main></body></html>\n";
}

}  // namespace bulkhead::verify
