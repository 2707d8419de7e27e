// bulkhead site copy-in, clone, rename.
//
// Runs in: bulkhead-site (root).  Input: the administrator's command line; trees that sites own or
// that come from elsewhere (hostile: copied by descriptors, no link followed).
#include <algorithm>

#include "sandbox/state_dir.h"
#include "sites/names.h"
#include "sites/site_plan.h"
#include "sites/steps.h"
#include "sites/tree.h"
#include "sys/files.h"

namespace bulkhead::sites {
namespace {

std::string stamp() {
  std::string text = utc_now();
  std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
  return text;
}

// The folder of the home that holds the web root: "public", or "app" of app/public.
Result<std::string> project_of(const Record& record) {
  const std::string inside = below_home(record);
  if (inside.empty()) {
    return fail("the root of " + record.name + " is " + record.root +
                ", not in its home: copy there");
  }
  return record.home + "/" + inside.substr(0, inside.find('/'));
}

Result<Outcome> plan_copy_in(const Common& common, const std::string& name,
                             const std::string& given, Plan* plan) {
  const Record record = TRY(read_record(common.places, name));
  std::string from = given;
  while (from.size() > 1 && from.ends_with('/')) from.pop_back();
  if (!from.starts_with('/')) return fail("--from takes an absolute path, not \"" + given + "\"");
  const std::string target = TRY(project_of(record));
  if (from == "/" || from == record.home || from.starts_with(record.home + "/") ||
      record.home.starts_with(from + "/")) {
    return fail(from + " and the site's home " + record.home + " lie within each other");
  }
  if (!exists(from)) return fail("there is no " + from);
  const std::string coming = record.home + "/.coming", before = target + ".before-" + stamp();
  if (exists(coming)) return fail(coming + " is in the way: remove it");
  plan->add(copy_step(from, coming, record.user));
  plan->add(move_step(target, before));
  plan->add(move_step(coming, target));
  TRY_STATUS(
      plan_db_page(common, record, TRY(read_template(common.places, record.made_from)), plan));
  return Outcome{name, true,
                 from + " copied to " + target + ", all of it user " + record.user +
                     "'s; what was there is in " + before};
}

// A text of one site said of another: whole words only, in the places where we write them.
std::string retold(const Places& places, std::string text, const Record& from, const Record& to) {
  auto joined = [](const std::vector<std::string>& words) {
    std::string out;
    for (const std::string& word : words) out += " " + word;
    return out;
  };
  const std::pair<std::string, std::string> words[] = {
      {"server_name" + joined(served_names(from)) + ";",
       "server_name" + joined(served_names(to)) + ";"},
      {"server_name www." + from.name + ";", "server_name www." + to.name + ";"},
      {"://" + from.name + "$request_uri", "://" + to.name + "$request_uri"},
      {from.home + "/", to.home + "/"},
      {places.socket(from.user), places.socket(to.user)},
      {"[" + from.name + "]\n", "[" + to.name + "]\n"},
      {"; The PHP of " + from.name + ":", "; The PHP of " + to.name + ":"},
      {"\nuser = " + from.user + "\n", "\nuser = " + to.user + "\n"},
      {"\ngroup = " + from.user + "\n", "\ngroup = " + to.user + "\n"},
      {"user " + from.user + ";", "user " + to.user + ";"},
      {"env[DB_DATABASE] = " + from.database_name + "\n",
       "env[DB_DATABASE] = " + to.database_name + "\n"},
      {"env[DB_USERNAME] = " + from.user + "\n", "env[DB_USERNAME] = " + to.user + "\n"},
      {"//" + from.user + "@localhost/" + from.database_name + "?",
       "//" + to.user + "@localhost/" + to.database_name + "?"},
  };
  for (const auto& [old, now] : words) {
    for (size_t at = 0; (at = text.find(old, at)) != std::string::npos; at += now.size()) {
      text.replace(at, old.size(), now);
    }
  }
  return text;
}

std::string pool_file(const Places& places, const Record& record) {
  return places.pool(record.name) + (record.disabled ? ".off" : "");
}

Result<Texts> texts_of(const Places& places, const Record& from, const Record& to) {
  Texts texts;
  texts.server = retold(places, TRY(sys::read_file(places.available(from.name))), from, to);
  if (from.has_pool) {
    texts.pool = retold(places, TRY(sys::read_file(pool_file(places, from))), from, to);
  }
  return texts;
}

// Home and web root below another name; a root elsewhere stays where it is.
void move_home(const Places& places, Record* record) {
  const std::string inside = below_home(*record);
  record->home = places.home(record->name);
  if (!inside.empty()) record->root = record->home + "/" + inside;
}

Status plan_clone_database(const Places& places, const Record& from, const Record& to, Plan* plan) {
  if (from.database != "mariadb") return {};
  TRY_STATUS(check_database_free(places, to.database_name, to.user));
  const std::string dump = places.archives() + "/.clone-" + to.user + ".sql";
  plan->add(dump_step(places, from.database_name, dump));
  plan->add(database_step(places, to.database_name, to.user));
  plan->add(load_step(places, to.database_name, dump, to.user));
  plan->finish(remove_tree_step(dump));
  return {};
}

Result<Outcome> plan_clone(const Common& common, const std::string& source,
                           const std::string& target, Plan* plan) {
  Places places = common.places;
  const Record from = TRY(read_record(places, source));
  (void)TRY(project_of(from));
  if (!from.database_socket.empty()) places.db_socket = from.database_socket;
  Record to = from;
  to.name = TRY(checked_site_name(target));
  if (exists(places.record(to.name))) return fail("site " + to.name + " is there already");
  to.aliases.clear();
  to.user = TRY(free_user(common, to.name));
  to.own_user = true;
  to.disabled = to.sftp = to.shell = false;
  to.created = utc_now();
  if (from.database == "mariadb") to.database_name = database_name_for(to.name);
  move_home(places, &to);
  TRY_STATUS(check_names(common, to));
  if (exists(to.home)) return fail(to.home + " exists already: move it away");
  TRY_STATUS(plan_setup(common, to, plan));
  plan->add(user_step(to.user, to.home, to.name));
  plan->add(directory_step(to.home, 0750, "", to.user));
  plan->add(directory_step(to.home + "/logs", 0750, "", to.user));
  for (const std::string& folder : from.folders) {
    plan->add(copy_step(from.home + "/" + folder, to.home + "/" + folder, to.user));
  }
  TRY_STATUS(plan_clone_database(places, from, to, plan));
  if (from.database == "mariadb" && from.made_from == "wordpress") {
    plan->add(retell_step(
        to.root, "wp-config.php", to.user,
        {{"'DB_NAME', '" + from.database_name + "'", "'DB_NAME', '" + to.database_name + "'"},
         {"'DB_USER', '" + from.user + "'", "'DB_USER', '" + to.user + "'"}}));
  }
  TRY_STATUS(plan->add(write_step(places.record(to.name), to_json(to), {0600, "", ""})));
  TRY_STATUS(plan_serving(common, to, TRY(texts_of(places, from, to)), plan));
  return Outcome{to.name, true,
                 "site " + to.name + " is a copy of " + from.name + ": user " + to.user +
                     ", files in " + to.root +
                     "\n  addresses that the application itself stores are still those of " +
                     from.name};
}

Result<Outcome> plan_rename(const Common& common, const std::string& source,
                            const std::string& target, Plan* plan) {
  const Places& places = common.places;
  const Record from = TRY(read_record(places, source));
  Record to = from;
  to.name = TRY(checked_site_name(target));
  if (to.name == from.name) return Outcome{to.name, false, "that is its name already"};
  if (exists(places.record(to.name))) return fail("site " + to.name + " is there already");
  if (from.disabled) return fail("site " + from.name + " is disabled: enable it first");
  const std::string mount = TRY(mount_below(from.home));
  if (!mount.empty()) return fail("something is mounted on " + mount + ": umount it first");
  move_home(places, &to);
  Record fresh = to;  // the names that are new must be free; aliases are its own
  fresh.aliases.clear();
  TRY_STATUS(check_names(common, fresh));
  if (exists(to.home)) return fail(to.home + " exists already: move it away");
  Texts texts = TRY(texts_of(places, from, to));
  texts.server_look.like = places.available(from.name);
  if (from.has_pool) texts.pool_look.like = places.pool(from.name);
  TRY_STATUS(plan_unserving(common, from, plan));
  plan->add(kill_step(from.user));
  plan->add(move_step(from.home, to.home));
  const std::string state = sandbox::site_state(places.state, from.name);
  if (exists(state)) plan->add(move_step(state, sandbox::site_state(places.state, to.name)));
  if (from.own_user) plan->add(home_step(from.user, from.home, to.home));
  TRY_STATUS(plan->add(delete_step(places.record(from.name))));
  TRY_STATUS(plan->add(write_step(places.record(to.name), to_json(to), {0600, "", ""})));
  TRY_STATUS(plan_serving(common, to, texts, plan));
  TRY_STATUS(plan_ssh(common, to, "", plan));
  return Outcome{to.name, true,
                 "site " + from.name + " is now " + to.name + ", files in " + to.root};
}

}  // namespace

int copy_in(const Common& common, const std::string& name, const std::string& from) {
  return run_command(common, [&](Plan* plan) { return plan_copy_in(common, name, from, plan); });
}
int clone_site(const Common& common, const std::string& from, const std::string& to) {
  return run_command(common, [&](Plan* plan) { return plan_clone(common, from, to, plan); });
}
int rename_site(const Common& common, const std::string& from, const std::string& to) {
  return run_command(common, [&](Plan* plan) { return plan_rename(common, from, to, plan); });
}

}  // namespace bulkhead::sites
