// The report for people.
#include <algorithm>

#include "import/report.h"

namespace bulkhead::import {
namespace {

std::string joined(const std::vector<std::string>& words, std::string_view none = "") {
  std::string out;
  for (const std::string& word : words) (out += out.empty() ? "" : " ") += word;
  return out.empty() ? std::string(none) : out;
}

// Names and paths come from files: nothing in them may reach a terminal raw.
std::string plain(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 && c != '\n') c = '?';
    if (c == 0x7f) c = '?';
  }
  return text;
}

void heading(std::string* out, const std::string& text) { *out += "\n" + text + "\n"; }

void sites(const Report& report, std::string* out) {
  heading(out, "Will be served: " + std::to_string(report.sites.size()) +
                   (report.sites.size() == 1 ? " server" : " servers"));
  for (const ServedSite& site : report.sites) {
    *out += "  " + joined(site.names, "(no name)") + "\n";
    *out += "      at " + joined(site.listens, "no address (TLS only: not opened)") + ", user " +
            site.user + (site.pool.empty() ? ", no PHP" : ", pool " + site.pool) + "\n";
    *out += "      root " + (site.root.empty() ? "(none, or of variables)" : site.root) + ", " +
            site.file + ":" + std::to_string(site.line) + "\n";
  }
}

void problems(const Report& report, std::string* out) {
  if (report.problems.empty()) return;
  heading(out, "Not as nginx does it:");
  for (const Problem& problem : report.problems) {
    *out += "  " + problem.where + ": " + problem.directive + ": " + problem.outcome + ": " +
            problem.reason + "\n      " + problem.advice + "\n";
  }
}

void dangers(const Report& report, std::string* out) {
  for (const SharedUser& shared : report.shared) {
    heading(out, "One user, " + shared.user + ", for " + std::to_string(shared.sites.size()) +
                     " sites: each can read and change the others");
    for (size_t index : shared.sites) {
      const ServedSite& site = report.sites[index];
      *out += "  " + joined(site.names, "(no name)") + " (" + site.root + ")\n";
    }
    *out += "  To give each its own user (copies its files; move its database by hand):\n";
    for (const std::string& command : shared.commands) *out += "      " + command + "\n";
  }
  if (!report.sockets.empty())
    heading(out, "Sockets that anybody on the machine may order PHP by:");
  for (const OpenSocket& socket : report.sockets) {
    *out += "  " + socket.path + " (pool " + socket.pool + ", " + socket.where +
            "): set listen.mode = 0660 with listen.owner and listen.group\n";
  }
  if (!report.secrets.empty()) heading(out, "Secrets that anybody on the machine can read:");
  for (const OpenSecret& secret : report.secrets) {
    *out += "  " + secret.path + " (mode " + secret.mode + ", " + secret.kind + "): chmod o-r\n";
  }
  for (const std::string& root : report.not_searched) {
    *out += "  (not searched to its end: " + root + ")\n";
  }
}

void rest(const Report& report, std::string* out) {
  if (!report.notes.empty()) heading(out, "Warnings:");
  for (const std::string& note : report.notes) *out += "  " + note + "\n";
  if (!report.ignored.empty()) heading(out, "Recognised, without effect here:");
  for (const IgnoredDirective& one : report.ignored) {
    *out += "  " + one.name + (one.times > 1 ? " (" + std::to_string(one.times) + " times)" : "") +
            ": " + one.reason + "\n";
  }
  if (!report.taken.empty()) {
    heading(out, "In use by another server now: " + joined(report.taken));
  }
}

}  // namespace

std::string to_text(const Report& report) {
  std::string out = report.nginx + (report.fpm.empty() ? "" : " and " + report.fpm) + "\n";
  if (!report.error.empty()) {
    heading(&out, "Cannot be served: " + report.error);
  } else {
    sites(report, &out);
  }
  problems(report, &out);
  dangers(report, &out);
  rest(report, &out);
  return plain(std::move(out));
}

}  // namespace bulkhead::import
