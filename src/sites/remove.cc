// bulkhead site remove and restore.
//
// Runs in: bulkhead-site (root).  Input: the administrator's command line; an archive of our own.
#include <sys/stat.h>

#include <algorithm>

#include "sandbox/state_dir.h"
#include "sites/archive.h"
#include "sites/program.h"
#include "sites/site_plan.h"
#include "sites/steps.h"
#include "sites/tree.h"
#include "sys/files.h"

namespace bulkhead::sites {
namespace {

// "2026-11-23T19:40:00Z" -> "20261123T194000Z"
std::string stamp() {
  std::string text = utc_now();
  std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
  return text;
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) (out += out.empty() ? "" : " ") += word;
  return out;
}

std::string served_file(const Places& places, const Record& record) {
  return places.pool(record.name) + (record.disabled ? ".off" : "");
}

// As a file lets others read it, but root's alone to change.
FileLook kept_look(const std::string& path) {
  struct stat st {};
  return {::lstat(path.c_str(), &st) == 0 ? st.st_mode & 0755 : 0600, "", ""};
}

// Files, database and configuration, before anything is taken away.
Status plan_archive(const Common& common, const Record& record, const std::string& archive,
                    Plan* plan) {
  const Places& places = common.places;
  const bool elsewhere = below_home(record).empty();
  plan->add(archive_step(
      archive,
      {record.home, joined(record.folders), record.user, elsewhere ? record.root : std::string()},
      to_json(record)));
  TRY_STATUS(plan->add(write_step(archive + "/server.conf",
                                  TRY(sys::read_file(places.available(record.name))),
                                  kept_look(places.available(record.name)))));
  if (record.has_pool) {
    TRY_STATUS(plan->add(write_step(archive + "/pool.conf",
                                    TRY(sys::read_file(served_file(places, record))),
                                    kept_look(served_file(places, record)))));
  }
  if (exists(places.keys(record.user))) {
    TRY_STATUS(plan->add(write_step(
        archive + "/keys", TRY(sys::read_file(places.keys(record.user))), {0600, "", ""})));
  }
  if (exists(places.cron(record.user))) {
    TRY_STATUS(plan->add(write_step(
        archive + "/cron", TRY(sys::read_file(places.cron(record.user))), {0600, "", ""})));
  }
  if (record.database == "mariadb") {
    plan->add(dump_step(places, record.database_name, archive + "/database.sql"));
  }
  return {};
}

Status check_mounts(const Record& record) {
  for (const std::string& path : {record.home, record.root}) {
    const std::string mount = TRY(mount_below(path));
    const bool is_of_others = path == record.root && !record.own_root && mount == path;
    if (mount.empty() || is_of_others) continue;
    return fail("something is mounted on " + mount + ": umount it first");
  }
  return {};
}

// A root outside of the home: with the site if we made it; else it stays, as root's if its owner
// goes.
Status plan_root_away(const Record& record, Plan* plan, std::string* told) {
  if (!below_home(record).empty() || !exists(record.root)) return {};
  if (record.own_root) {
    const std::string aside = record.root + ".removed";
    if (exists(aside)) return fail(aside + " is in the way: remove it");
    plan->add(move_step(record.root, aside));
    plan->finish(remove_tree_step(aside));
    return {};
  }
  if (!record.own_user) {
    *told += "\n  " + record.root + " is left as it is, user " + record.user + " too";
    return {};
  }
  const auto who = TRY(site_user(record.user));
  plan->finish(release_step(record.root, record.user, who.uid));
  *told += "\n  " + record.root + " is left, what user " + record.user + " owned there is root's";
  return {};
}

Result<Outcome> plan_remove(const Common& common, const std::string& name, Keep keep, Plan* plan) {
  Places places = common.places;
  const Record record = TRY(read_record(places, name));
  if (!record.database_socket.empty()) places.db_socket = record.database_socket;
  TRY_STATUS(check_mounts(record));
  const std::string archive = places.archives() + "/" + name + "-" + stamp();
  const std::string aside = places.homes + "/." + name + ".removed";
  if (exists(aside)) return fail(aside + " is in the way: remove it");
  Common with_socket = common;
  with_socket.places = places;
  TRY_STATUS(plan_unserving(common, record, plan));
  if (record.own_user) plan->add(kill_step(record.user));
  if (keep == Keep::kArchive) TRY_STATUS(plan_archive(with_socket, record, archive, plan));
  TRY_STATUS(plan_no_ssh(common, record, Keys::kRemove, plan));
  if (exists(places.cron(record.user))) {
    TRY_STATUS(plan->add(delete_step(places.cron(record.user))));
  }
  plan->add(move_step(record.home, aside));
  TRY_STATUS(plan->add(delete_step(places.record(name))));
  plan->finish(remove_tree_step(aside));
  plan->finish(remove_tree_step(sandbox::site_state(places.state, name)));
  if (record.database == "mariadb") {
    plan->finish(drop_database_step(places, record.database_name, record.user));
  }
  std::string text = "site " + name + " removed";
  if (keep == Keep::kArchive) text += "; it can be restored from " + archive;
  TRY_STATUS(plan_root_away(record, plan, &text));
  if (record.own_user) plan->finish(remove_user_step(record.user));
  return Outcome{name, true, text};
}

// The record's files, database and configuration from the archive.
Result<Texts> texts_in(const Archive& archive) {
  Texts texts;
  texts.server = TRY(sys::read_file(archive.file("server.conf")));
  texts.server_look = kept_look(archive.file("server.conf"));
  if (!archive.record.has_pool) return texts;
  texts.pool = TRY(sys::read_file(archive.file("pool.conf")));
  texts.pool_look = kept_look(archive.file("pool.conf"));
  texts.pool_look.mode &= 0750;  // one of an earlier version let everybody read it
  return texts;
}

Status plan_root_back(const Archive& archive, Plan* plan, std::string* told) {
  const Record& record = archive.record;
  if (!below_home(record).empty()) return {};
  if (record.own_root && exists(archive.file("root.tar.zst"))) {
    plan->add(unpack_step(archive.file("root.tar.zst"), record.root, record.user));
  } else if (!record.own_root) {
    *told += "\n  " + record.root +
             " was left when the site was removed, as root's: if it is the " +
             "site's, chown it to " + record.user + " again";
  }
  return {};
}

Result<Outcome> plan_restore(const Common& common, const std::string& given, Plan* plan) {
  Archive archive = TRY(open_archive(common.places, given));
  Record& record = archive.record;
  Places places = common.places;
  if (exists(places.record(record.name))) {
    return fail("site " + record.name + " is there: remove or rename it first");
  }
  record.disabled = false;
  if (!record.database_socket.empty()) places.db_socket = record.database_socket;
  if (record.own_user && user_exists(record.user)) {
    return fail("user " + record.user + " exists already: it would become the site's");
  }
  if (below_home(record).empty() && record.own_root && exists(record.root)) {
    return fail("its root " + record.root + " exists already: move it away");
  }
  std::string told = "site " + record.name + " restored from " + archive.path;
  TRY_STATUS(check_names(common, record));
  TRY_STATUS(plan_setup(common, record, plan));
  if (record.own_user) plan->add(user_step(record.user, record.home, record.name));
  TRY_STATUS(plan_home(common, record, plan));
  plan->add(unpack_step(archive.file("files.tar.zst"), record.home, record.user));
  TRY_STATUS(plan_root_back(archive, plan, &told));
  if (record.database == "mariadb") {
    TRY_STATUS(check_database_free(places, record.database_name, record.user));
    plan->add(database_step(places, record.database_name, record.user));
    plan->add(load_step(places, record.database_name, archive.file("database.sql"), record.user));
  }
  TRY_STATUS(plan->add(write_step(places.record(record.name), to_json(record), {0600, "", ""})));
  TRY_STATUS(plan_serving(common, record, TRY(texts_in(archive)), plan));
  const std::string keys =
      exists(archive.file("keys")) ? TRY(sys::read_file(archive.file("keys"))) : "";
  TRY_STATUS(plan_ssh(common, record, keys, plan));
  if (exists(archive.file("cron"))) {
    TRY_STATUS(
        plan->add(write_step(places.cron(record.user), TRY(sys::read_file(archive.file("cron"))))));
  }
  return Outcome{record.name, true, told};
}

}  // namespace

int remove_site(const Common& common, const std::string& name, Keep keep) {
  return run_command(common, [&](Plan* plan) { return plan_remove(common, name, keep, plan); });
}
int restore_site(const Common& common, const std::string& archive) {
  return run_command(common, [&](Plan* plan) { return plan_restore(common, archive, plan); });
}

}  // namespace bulkhead::sites
