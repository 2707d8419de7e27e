// The commands of `bulkhead site`: what was asked for, and the function that does it.
//
// Runs in: bulkhead-site (root).  Input: the administrator's command line, checked in each command.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/error.h"
#include "sites/places.h"
#include "sites/site_files.h"

namespace bulkhead::sites {

// Exit codes, documented in bulkhead-site(1).
enum Exit : int {
  kExitDone = 0,
  kExitFailed = 1,  // nothing was changed
  kExitUsage = 2,   // the command line makes no sense
  kExitBusy = 3,    // another command holds the lock
};

struct Common {
  Places places;
  bool json = false, dry_run = false;
  std::chrono::seconds wait{30};  // for another command to end
  std::string line;               // as typed, for the journal
};

struct AddRequest {
  std::string name, www = "none", user, root, made_from = "php", database = "none", key_file;
  std::vector<std::string> aliases, listen, env;
  PoolWishes pool;
  bool sftp = false, shell = false;
};

int add_site(const Common& common, const AddRequest& request);
int list_sites(const Common& common);
int show_site(const Common& common, const std::string& name);
// `changes`: key=value; the keys are told by its help (set_keys()).
int set_site(const Common& common, const std::string& name,
             const std::vector<std::string>& changes);
[[nodiscard]] std::string set_keys();
int disable_site(const Common& common, const std::string& name);
int enable_site(const Common& common, const std::string& name);
enum class Keep : uint8_t { kArchive, kNothing };
int remove_site(const Common& common, const std::string& name, Keep keep);
// `archive`: a directory of STATE/archive, by its name or path.
int restore_site(const Common& common, const std::string& archive);
int copy_in(const Common& common, const std::string& name, const std::string& from);
int clone_site(const Common& common, const std::string& from, const std::string& to);
int rename_site(const Common& common, const std::string& from, const std::string& to);
int restart_site(const Common& common, const std::string& name);
enum class Follow : uint8_t { kNo, kYes };
int show_logs(const Common& common, const std::string& name, Follow follow, int lines);
int add_key(const Common& common, const std::string& name, const std::string& file);
int remove_key(const Common& common, const std::string& name, const std::string& which);
int list_keys(const Common& common, const std::string& name);
// `schedule`: five fields as crontab(5), or @daily and the like.
int add_cron(const Common& common, const std::string& name, const std::string& schedule,
             const std::string& command);
int list_cron(const Common& common, const std::string& name);
int remove_cron(const Common& common, const std::string& name, const std::string& which);
// Makes a password for its user and prints it once; or takes it away.
enum class Password : uint8_t { kNew, kNone };
int set_password(const Common& common, const std::string& name, Password what);
// Finishes or undoes what an interrupted command left; says nothing when there is nothing.
int recover(const Common& common);

}  // namespace bulkhead::sites
