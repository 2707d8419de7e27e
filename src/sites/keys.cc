// bulkhead site ssh-key and logs.
//
// Runs in: bulkhead-site (root).  Input: the administrator's command line; log files that root
// writes in a directory of root's.
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "sites/program.h"
#include "sites/site_plan.h"
#include "sites/steps.h"
#include "sites/tree.h"
#include "sys/files.h"

namespace bulkhead::sites {
namespace {

constexpr size_t kKeysMax = 1 << 20;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    if (end > at) lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

Result<std::string> present_keys(const Places& places, const Record& record) {
  auto text = sys::read_file(places.keys(record.user), kKeysMax);
  if (!text && text.error().errno_value == ENOENT) return std::string();
  return text;
}

Result<Outcome> plan_add_key(const Common& common, const std::string& name, const std::string& file,
                             Plan* plan) {
  const Record record = TRY(read_record(common.places, name));
  std::string keys = TRY(present_keys(common.places, record));
  const auto before = lines_of(keys);
  size_t added = 0;
  for (const std::string& line : lines_of(TRY(read_keys(file)))) {
    if (line[0] == '#' || std::find(before.begin(), before.end(), line) != before.end()) continue;
    keys += line + "\n";
    ++added;
  }
  if (added == 0) return Outcome{name, false, "site " + name + " has this key already"};
  TRY_STATUS(plan->add(write_step(common.places.keys(record.user), keys, {0640, record.user, ""})));
  return Outcome{name, true,
                 "key added for user " + record.user +
                     (record.comes_in()
                          ? ""
                          : "; nobody can use it before: bulkhead site set " + name + " sftp=on")};
}

Result<Outcome> plan_remove_key(const Common& common, const std::string& name,
                                const std::string& which, Plan* plan) {
  const Record record = TRY(read_record(common.places, name));
  std::string keys;
  size_t removed = 0;
  for (const std::string& line : lines_of(TRY(present_keys(common.places, record)))) {
    if (!which.empty() && line.find(which) != std::string::npos) {
      ++removed;
    } else {
      keys += line + "\n";
    }
  }
  if (removed == 0) return fail("site " + name + " has no key with \"" + which + "\" in its line");
  if (removed > 1) {
    return fail(std::to_string(removed) + " keys have \"" + which +
                "\" in their lines: say more of it");
  }
  TRY_STATUS(plan->add(write_step(common.places.keys(record.user), keys, {0640, record.user, ""})));
  return Outcome{name, true, "key removed"};
}

}  // namespace

int add_key(const Common& common, const std::string& name, const std::string& file) {
  return run_command(common, [&](Plan* plan) { return plan_add_key(common, name, file, plan); });
}
int remove_key(const Common& common, const std::string& name, const std::string& which) {
  return run_command(common,
                     [&](Plan* plan) { return plan_remove_key(common, name, which, plan); });
}

int list_keys(const Common& common, const std::string& name) {
  auto record = read_record(common.places, name);
  if (!record) return complain(common, record.error());
  auto keys = present_keys(common.places, *record);
  if (!keys) return complain(common, keys.error());
  print_lines(common, lines_of(*keys), "no keys; one is added by: bulkhead site ssh-key add");
  return kExitDone;
}

int show_logs(const Common& common, const std::string& name, Follow follow, int lines) {
  auto record = read_record(common.places, name);
  if (!record) return complain(common, record.error());
  std::vector<std::string> words{"tail", "-n", std::to_string(lines)};
  if (follow == Follow::kYes) words.emplace_back("-F");
  words.push_back(record->home + "/logs/access.log");
  words.push_back(record->home + "/logs/error.log");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv("/usr/bin/tail", argv.data());
  return complain(common, {"cannot run /usr/bin/tail", errno});
}

}  // namespace bulkhead::sites
