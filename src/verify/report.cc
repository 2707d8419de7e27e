#include "verify/report.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "sys/files.h"

namespace bulkhead::verify {
namespace {

constexpr sys::FdRef kOut(1);

void print(const std::string& text) { sys::write_all(kOut, text); }

std::string padded(std::string_view text, size_t width) {
  std::string out(text);
  if (out.size() < width) out.append(width - out.size(), ' ');
  return out;
}

nlohmann::json counts_json(const Counts& c) {
  return {{"blocked", c.blocked},
          {"allowed", c.allowed},
          {"degraded", c.degraded},
          {"open", c.open},
          {"not_run", c.not_run}};
}

}  // namespace

std::string plain(std::string_view text) {
  std::string out;
  for (unsigned char c : text) out += c < 0x20 || c >= 0x7f ? '.' : static_cast<char>(c);
  return out;
}

std::string verdict_key(Verdict verdict) {
  switch (verdict) {
    case Verdict::kBlocked:
      return "blocked";
    case Verdict::kAllowed:
      return "allowed";
    case Verdict::kDegraded:
      return "degraded";
    case Verdict::kOpen:
      return "open";
    case Verdict::kNotRun:
      break;
  }
  return "not_run";
}

Counts count(const std::vector<Outcome>& outcomes) {
  Counts counts;
  for (const Outcome& outcome : outcomes) {
    switch (outcome.verdict) {
      case Verdict::kBlocked:
        ++counts.blocked;
        break;
      case Verdict::kAllowed:
        ++counts.allowed;
        break;
      case Verdict::kDegraded:
        ++counts.degraded;
        break;
      case Verdict::kOpen:
        ++counts.open;
        break;
      case Verdict::kNotRun:
        ++counts.not_run;
        break;
    }
  }
  return counts;
}

Screen::Screen(bool is_silent)
    : silent_(is_silent), tty_(::isatty(1) == 1 && ::getenv("NO_COLOR") == nullptr) {}

std::string Screen::painted(Verdict verdict, std::string_view text) const {
  if (!tty_) return std::string(text);
  const char* colour = verdict == Verdict::kBlocked                                 ? "\033[32m"
                       : verdict == Verdict::kAllowed                               ? "\033[1;31m"
                       : verdict == Verdict::kDegraded || verdict == Verdict::kOpen ? "\033[33m"
                                                                                    : "\033[2m";
  return colour + std::string(text) + "\033[0m";
}

void Screen::clear_progress() {
  if (progress_) print("\r\033[K");
  progress_ = false;
}

void Screen::heading(const std::string& text) {
  if (silent_) return;
  clear_progress();
  group_ = 0;
  print("\n== " + text + "\n");
}

void Screen::note(const std::string& text) {
  if (silent_) return;
  clear_progress();
  print(text + "\n");
}

void Screen::shout(const std::string& text) {
  if (silent_) return;
  clear_progress();
  print(painted(Verdict::kAllowed, "WARNING: " + text) + "\n");
}

void Screen::outcome(const Outcome& outcome, size_t done, size_t all) {
  if (silent_) return;
  clear_progress();
  const Probe& probe = *outcome.probe;
  if (probe.id[0] != group_) {
    group_ = probe.id[0];
    print("\n" + std::string(1, group_) + "  " + std::string(group_title(group_)) + "\n");
  }
  std::string line = "  " + painted(outcome.verdict, padded(name_of(outcome.verdict), 9)) +
                     padded(probe.id, 6) + padded(probe.want, 66);
  if (!outcome.by.empty()) line += " " + outcome.by;
  if (!outcome.detail.empty()) line += (outcome.by.empty() ? " " : ": ") + plain(outcome.detail);
  print(line + "\n");
  if (tty_ && done < all) {
    print("  " + std::to_string(done) + " of " + std::to_string(all) + " probes");
    progress_ = true;
  }
}

void Screen::summary(const Report& report) {
  if (silent_) return;
  clear_progress();
  print("\n");
  int allowed = 0;
  for (const PairReport& pair : report.pairs) {
    Counts c = count(pair.outcomes);
    allowed += c.allowed;
    print(padded(pair.column, 16) + " " + plain(pair.attacker) + " -> " + plain(pair.victim) +
          ": " +
          painted(c.allowed > 0 ? Verdict::kAllowed : Verdict::kNotRun,
                  std::to_string(c.allowed) + " allowed") +
          ", " + std::to_string(c.blocked) + " blocked, " + std::to_string(c.degraded) +
          " degraded, " + std::to_string(c.open) + " open by decision, " +
          std::to_string(c.not_run) + " not run\n");
  }
  for (const std::string& warning : report.warnings) print("warning: " + plain(warning) + "\n");
  char time[64];
  std::snprintf(time, sizeof time, " (%.0f s, %s)\n", report.seconds, report.kernel.c_str());
  print((allowed == 0 ? painted(Verdict::kBlocked, "Nothing was allowed.")
                      : painted(Verdict::kAllowed,
                                std::to_string(allowed) + " probes obtained what they wanted.")) +
        time);
}

void Screen::comparison(const PairReport& stock, const PairReport& ours) {
  if (silent_) return;
  clear_progress();
  char group = 0;
  print("\n" + padded("", 75) + padded("nginx + php-fpm", 17) + "Bulkhead\n");
  for (const Outcome& outcome : ours.outcomes) {
    const Probe& probe = *outcome.probe;
    const Outcome* other = nullptr;
    for (const Outcome& o : stock.outcomes) {
      if (o.probe == &probe) other = &o;
    }
    if (probe.id[0] != group) {
      group = probe.id[0];
      print("\n" + std::string(1, group) + "  " + std::string(group_title(group)) + "\n");
    }
    Verdict theirs = other == nullptr ? Verdict::kNotRun : other->verdict;
    print("  " + padded(probe.id, 6) + padded(probe.want, 67) +
          painted(theirs, padded(name_of(theirs), 17)) +
          painted(outcome.verdict, padded(name_of(outcome.verdict), 9)) + outcome.by + "\n");
  }
}

std::string to_json(const Report& report) {
  using nlohmann::json;
  json pairs = json::array();
  int allowed = 0;
  for (const PairReport& pair : report.pairs) {
    json outcomes = json::array();
    for (const Outcome& o : pair.outcomes) {
      json row = {{"id", std::string(o.probe->id)},
                  {"group", std::string(1, o.probe->id[0])},
                  {"want", std::string(o.probe->want)},
                  {"verdict", verdict_key(o.verdict)},
                  {"by", o.by},
                  {"detail", plain(o.detail)}};
      if (o.busy_ms > 0) {
        row["quiet_p99_ms"] = o.quiet_ms;
        row["attacked_p99_ms"] = o.busy_ms;
      }
      outcomes.push_back(std::move(row));
    }
    Counts c = count(pair.outcomes);
    allowed += c.allowed;
    pairs.push_back({{"attacker", pair.attacker},
                     {"victim", pair.victim},
                     {"server", pair.column},
                     {"counts", counts_json(c)},
                     {"probes", std::move(outcomes)}});
  }
  json all = {{"title", report.title}, {"kernel", report.kernel},     {"seconds", report.seconds},
              {"allowed", allowed},    {"warnings", report.warnings}, {"pairs", std::move(pairs)}};
  return all.dump(2, ' ', true, json::error_handler_t::replace) + "\n";
}

std::string list_probes() {
  std::string out;
  char group = 0;
  for (const Probe& probe : probes()) {
    if (probe.id[0] != group) {
      group = probe.id[0];
      out += std::string(out.empty() ? "" : "\n") + group + "  " + std::string(group_title(group)) +
             "\n";
    }
    out += "  " + padded(probe.id, 6) + padded(probe.want, 67) +
           std::string(probe.how == How::kNever ? probe.note : probe.layers) + "\n";
  }
  return out;
}

}  // namespace bulkhead::verify
