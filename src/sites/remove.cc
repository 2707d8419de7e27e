// bulkhead site remove and restore.
//
// Runs in: bulkhead-site (root).  Input: the administrator's command line; an archive of our own.
#include <algorithm>

#include "sandbox/state_dir.h"
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

// Files, database and configuration, before anything is taken away.
Status plan_archive(const Common& common, const Record& record, const std::string& archive,
                    Plan* plan) {
  const Places& places = common.places;
  plan->add(
      archive_step(archive, record.home, joined(record.folders), record.user, to_json(record)));
  TRY_STATUS(plan->add(write_step(archive + "/server.conf",
                                  TRY(sys::read_file(places.available(record.name))), {0600, ""})));
  if (record.has_pool) {
    TRY_STATUS(plan->add(write_step(archive + "/pool.conf",
                                    TRY(sys::read_file(served_file(places, record))), {0600, ""})));
  }
  if (exists(places.keys(record.user))) {
    TRY_STATUS(plan->add(
        write_step(archive + "/keys", TRY(sys::read_file(places.keys(record.user))), {0600, ""})));
  }
  if (exists(places.cron(record.user))) {
    TRY_STATUS(plan->add(
        write_step(archive + "/cron", TRY(sys::read_file(places.cron(record.user))), {0600, ""})));
  }
  if (record.database == "mariadb") {
    plan->add(dump_step(places, record.database_name, archive + "/database.sql"));
  }
  return {};
}

Status check_mounts(const Record& record) {
  const std::string mount = TRY(mount_below(record.home));
  if (mount.empty()) return {};
  return fail("something is mounted on " + mount + ": umount it first");
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
  TRY_STATUS(plan_no_sftp(common, record, Keys::kRemove, plan));
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
  if (record.own_user) plan->finish(remove_user_step(record.user));
  std::string text = "site " + name + " removed";
  if (keep == Keep::kArchive) text += "; it can be restored from " + archive;
  if (below_home(record).empty()) text += "\n  " + record.root + " is left as it is";
  return Outcome{name, true, text};
}

Result<Outcome> plan_restore(const Common& common, const std::string& given, Plan* plan) {
  Places places = common.places;
  const std::string archive = given.starts_with('/') ? given : places.archives() + "/" + given;
  auto facts = sys::read_file(archive + "/site.json", 1 << 20);
  if (!facts) return fail("there is no archive " + archive + "; see " + places.archives());
  Record record = TRY(parse_record(*facts));
  if (exists(places.record(record.name))) {
    return fail("site " + record.name + " is there: remove or rename it first");
  }
  record.disabled = false;
  if (!record.database_socket.empty()) places.db_socket = record.database_socket;
  if (record.own_user && user_exists(record.user)) {
    return fail("user " + record.user + " exists already: it would become the site's");
  }
  TRY_STATUS(check_names(common, record));
  TRY_STATUS(plan_setup(common, record, plan));
  if (record.own_user) plan->add(user_step(record.user, record.home, record.name));
  TRY_STATUS(plan_home(common, record, plan));
  plan->add(unpack_step(archive, record.home, record.user));
  if (record.database == "mariadb") {
    if (TRY(database_exists(places, record.database_name))) {
      return fail("database " + record.database_name + " exists already");
    }
    plan->add(database_step(places, record.database_name, record.user));
    plan->add(load_step(places, record.database_name, archive + "/database.sql", record.user));
  }
  Texts texts{TRY(sys::read_file(archive + "/server.conf")), ""};
  if (record.has_pool) texts.pool = TRY(sys::read_file(archive + "/pool.conf"));
  TRY_STATUS(plan->add(write_step(places.record(record.name), to_json(record), {0600, ""})));
  TRY_STATUS(plan_serving(common, record, texts, plan));
  const std::string keys = exists(archive + "/keys") ? TRY(sys::read_file(archive + "/keys")) : "";
  TRY_STATUS(plan_sftp(common, record, keys, plan));
  if (exists(archive + "/cron")) {
    TRY_STATUS(
        plan->add(write_step(places.cron(record.user), TRY(sys::read_file(archive + "/cron")))));
  }
  return Outcome{record.name, true, "site " + record.name + " restored from " + archive};
}

}  // namespace

int remove_site(const Common& common, const std::string& name, Keep keep) {
  return run_command(common, [&](Plan* plan) { return plan_remove(common, name, keep, plan); });
}
int restore_site(const Common& common, const std::string& archive) {
  return run_command(common, [&](Plan* plan) { return plan_restore(common, archive, plan); });
}

}  // namespace bulkhead::sites
