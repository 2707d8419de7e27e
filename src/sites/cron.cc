// bulkhead site cron and password.
//
// Runs in: bulkhead-site (root).  Input: the administrator's command line; cron files of root's.
// Ref: crontab(5) of Debian's cron 3.0: a file of /etc/cron.d has the user as its sixth field, and
// '%' in a command is a line end unless it is escaped.
#include <sys/random.h>

#include <algorithm>
#include <cstdio>

#include "base/check.h"
#include "master/control_socket.h"
#include "sites/program.h"
#include "sites/server.h"
#include "sites/site_plan.h"
#include "sites/steps.h"
#include "sites/tree.h"
#include "sys/files.h"
#include "sys/process.h"

namespace bulkhead::sites {
namespace {

constexpr size_t kCronMax = 1 << 20;

// One line of the file: what it says after the words that are the same in each.
bool is_schedule(const std::string& text) {
  if (text.starts_with('@')) {
    for (const char* known :
         {"@hourly", "@daily", "@weekly", "@monthly", "@yearly", "@midnight", "@annually"}) {
      if (text == known) return true;
    }
    return false;
  }
  size_t fields = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(' ', at), text.size());
    if (end > at) ++fields;
    at = end + 1;
  }
  constexpr const char* kKnown =
      "0123456789*/,- abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  return fields == 5 && text.find_first_not_of(kKnown) == std::string::npos;
}

// For sh within single quotes, and for cron.
Result<std::string> quoted(const std::string& command) {
  std::string out = "'";
  for (unsigned char c : command) {
    if (c < 0x20) return fail("a command for cron is one line");
    if (c == '%') out += '\\';
    out += c == '\'' ? "'\\''" : std::string(1, static_cast<char>(c));
  }
  return out + "'";
}

Result<std::string> present(const Places& places, const Record& record) {
  auto text = sys::read_file(places.cron(record.user), kCronMax);
  if (!text && text.error().errno_value == ENOENT) return std::string();
  return text;
}

std::vector<std::string> jobs_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    if (!line.empty() && line[0] != '#' && !line.starts_with("MAILTO=")) lines.push_back(line);
  }
  return lines;
}

Result<Outcome> plan_add_cron(const Common& common, const std::string& name,
                              const std::string& schedule, const std::string& command, Plan* plan) {
  const Places& places = common.places;
  const Record record = TRY(read_record(places, name));
  if (!record.has_pool) return fail("a static site has no sandbox to run commands in");
  if (!is_schedule(schedule)) {
    return fail("\"" + schedule + "\" is no schedule: five fields as in crontab(5), or @daily");
  }
  if (!exists(places.cron_dir)) {
    return fail("there is no " + places.cron_dir + ": install cron");
  }
  std::string text = TRY(present(places, record));
  if (text.empty()) {
    text = "# Site " + name + ", by: bulkhead site cron\nMAILTO=\"\"\n";
  }
  const std::string line = schedule + " " + record.user + " " + sys::program_directory() +
                           "/bulkhead exec --control " +
                           master::control_path(TRY(pid_path(places))) + " " + name + " -- sh -c " +
                           TRY(quoted(command));
  const auto before = jobs_of(text);
  if (std::find(before.begin(), before.end(), line) != before.end()) {
    return Outcome{name, false, "site " + name + " has this job already"};
  }
  TRY_STATUS(plan->add(write_step(places.cron(record.user), text + line + "\n")));
  return Outcome{name, true,
                 "job added; it runs as user " + record.user + " in the site's sandbox"};
}

Result<Outcome> plan_remove_cron(const Common& common, const std::string& name,
                                 const std::string& which, Plan* plan) {
  const Places& places = common.places;
  const Record record = TRY(read_record(places, name));
  const std::string text = TRY(present(places, record));
  const auto jobs = jobs_of(text);
  std::vector<std::string> found;
  for (const std::string& job : jobs) {
    if (!which.empty() && job.find(which) != std::string::npos) found.push_back(job);
  }
  if (found.size() != 1) {
    return fail(std::to_string(found.size()) + " jobs have \"" + which +
                "\" in their lines; see: bulkhead site cron list " + name);
  }
  if (jobs.size() == 1) {
    TRY_STATUS(plan->add(delete_step(places.cron(record.user))));
  } else {
    std::string left = text;
    left.erase(left.find(found[0] + "\n"), found[0].size() + 1);
    TRY_STATUS(plan->add(write_step(places.cron(record.user), left)));
  }
  return Outcome{name, true, "job removed"};
}

std::string new_password() {
  static constexpr char kAlphabet[] = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
  constexpr size_t kLetters = sizeof kAlphabet - 1, kLength = 24;
  std::string out;
  while (out.size() < kLength) {
    unsigned char byte = 0;
    BH_CHECK(::getrandom(&byte, 1, 0) == 1);
    if (byte < 256 / kLetters * kLetters) out += kAlphabet[byte % kLetters];
  }
  return out;
}

// Not a step: a journal holds no secrets, and one program does it wholly or not at all.
Result<Outcome> change_password(const Common& common, const std::string& name, Password what) {
  const Record record = TRY(read_record(common.places, name));
  if (common.dry_run) return Outcome{name, false, "would set the password of user " + record.user};
  if (what == Password::kNone) {
    TRY_STATUS(must_run({.argv = {"usermod", "--password", "*", record.user}}));
    return Outcome{name, true, "user " + record.user + " has no password any more"};
  }
  const std::string password = new_password();
  TRY_STATUS(must_run({.argv = {"chpasswd"}, .input = record.user + ":" + password + "\n"}));
  return Outcome{name, true,
                 "user " + record.user + ", password " + password +
                     (record.comes_in()
                          ? ""
                          : "; nobody can use it before: bulkhead site set " + name + " sftp=on")};
}

}  // namespace

int add_cron(const Common& common, const std::string& name, const std::string& schedule,
             const std::string& command) {
  return run_command(
      common, [&](Plan* plan) { return plan_add_cron(common, name, schedule, command, plan); });
}
int remove_cron(const Common& common, const std::string& name, const std::string& which) {
  return run_command(common,
                     [&](Plan* plan) { return plan_remove_cron(common, name, which, plan); });
}
int list_cron(const Common& common, const std::string& name) {
  auto record = read_record(common.places, name);
  if (!record) return complain(common, record.error());
  auto text = present(common.places, *record);
  if (!text) return complain(common, text.error());
  print_lines(common, jobs_of(*text), "no cron lines; one is made by: bulkhead site cron add");
  return kExitDone;
}
int set_password(const Common& common, const std::string& name, Password what) {
  return run_command(common, [&](Plan*) { return change_password(common, name, what); });
}

}  // namespace bulkhead::sites
