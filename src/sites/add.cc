// bulkhead site add.
//
// Runs in: bulkhead-site (root).  Input: the administrator's command line.
#include <sys/stat.h>

#include <algorithm>

#include "sites/archive.h"
#include "sites/names.h"
#include "sites/site_plan.h"
#include "sites/steps.h"
#include "sites/tree.h"
#include "sys/files.h"
#include "sys/users.h"

namespace bulkhead::sites {
namespace {

bool has_ipv6() {
  auto text = sys::read_file("/proc/net/if_inet6", 1 << 20);
  return text && !text->empty();
}

Status choose_user(const Common& common, const AddRequest& request, Record* record) {
  if (request.user.empty()) {
    record->user = TRY(free_user(common, record->name));
    return {};
  }
  TRY_STATUS(check_user_name(request.user));
  record->user = request.user;
  for (const Record& other : TRY(read_records(common.places))) {
    if (other.user == record->user && other.name != record->name) {
      return fail("user " + record->user + " is that of site " + other.name +
                  ": a site has a user of its own");
    }
  }
  record->own_user = !user_exists(record->user);
  if (record->own_user) return {};
  return check_existing_user(record->user);
}

Result<Record> plan_record(const Common& common, const AddRequest& request, const Template& from) {
  Record record;
  record.name = TRY(checked_site_name(request.name));
  record.www = request.www;
  for (const std::string& alias : request.aliases) {
    add_alias(TRY(checked_host_name(alias)), &record);
  }
  record.made_from = request.made_from;
  record.has_pool = from.has_pool;
  record.home = common.places.home(record.name);
  record.root = request.root.empty() ? record.home + "/" + from.root : request.root;
  record.own_home = true;
  TRY_STATUS(check_root(common.places, record));
  record.own_root = below_home(record).empty() && !exists(record.root);
  record.folders = from.folders;
  const std::string inside = below_home(record);
  const std::string top = inside.substr(0, inside.find('/'));
  for (const std::string& folder : {top, std::string("private")}) {
    const auto& have = record.folders;
    if (!folder.empty() && std::find(have.begin(), have.end(), folder) == have.end()) {
      record.folders.push_back(folder);
    }
  }
  record.listen = request.listen;
  if (record.listen.empty()) record.listen = {"80"};
  if (request.listen.empty() && has_ipv6()) record.listen.push_back("[::]:80");
  for (const std::string& listen : record.listen) TRY_STATUS(check_listen(listen));
  record.database = request.database;
  if (record.database == "mariadb") {
    record.database_name = database_name_for(record.name);
    record.database_socket = common.places.db_socket;
  }
  record.sftp = request.sftp;
  record.shell = request.shell;
  record.created = utc_now();
  TRY_STATUS(choose_user(common, request, &record));
  return record;
}

// What differs from the site that is there; "" when the same was asked for.
std::string difference(const Record& there, const Record& asked, const AddRequest& request) {
  if (there.made_from != asked.made_from) return "its template is " + there.made_from;
  if (there.aliases != asked.aliases) return "its aliases are others";
  if (there.www != asked.www) return "its --www is " + there.www;
  if (there.database != asked.database) return "its --db is " + there.database;
  if (!request.user.empty() && there.user != request.user) return "its user is " + there.user;
  if (there.root != asked.root) return "its root is " + there.root;
  if (!request.listen.empty() && there.listen != asked.listen) return "it listens elsewhere";
  return "";
}

Result<std::string> fill_pages(const Common& common, const Record& record,
                               const std::string& page) {
  return fill(TRY(template_text(common.places, page)), common.places, record);
}

Status plan_pages(const Common& common, const Record& record, const Template& from, Plan* plan) {
  if (below_home(record).empty()) return {};  // a root of others: nothing is put there
  if (!from.page.empty()) {
    const std::string text = TRY(fill_pages(common, record, from.page));
    plan->add(page_step(record.root, from.page, text, record.user, 0640));
  }
  if (record.database == "sqlite") {
    plan->add(page_step(record.home + "/private", "database.sqlite", "", record.user, 0600));
  }
  return plan_db_page(common, record, from, plan);
}

Status plan_database(const Common& common, const Record& record, Plan* plan) {
  if (record.database != "mariadb") return {};
  TRY_STATUS(check_database_free(common.places, record.database_name, record.user));
  plan->add(database_step(common.places, record.database_name, record.user));
  return {};
}

Result<PoolWishes> pool_wishes(const AddRequest& request) {
  PoolWishes wishes = request.pool;
  for (const std::string& pair : request.env) {
    const size_t equals = pair.find('=');
    const std::string name = pair.substr(0, equals);
    const bool good = equals != std::string::npos && !name.empty() &&
                      name.find_first_not_of(
                          "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                          "0123456789_") == std::string::npos;
    if (!good) return fail("--env takes NAME=VALUE, not \"" + pair + "\"");
    wishes.env.emplace_back(name, pair.substr(equals + 1));
  }
  return wishes;
}

std::string summary(const Common& common, const Record& record, bool running) {
  std::string text = "site " + record.name + " added: user " + record.user + ", files in " +
                     record.root + "\n  configuration: " + common.places.available(record.name);
  if (record.has_pool) text += ", " + common.places.pool(record.name);
  if (record.database == "mariadb") {
    text += "\n  database: " + record.database_name + ", as user " + record.user +
            " over the local socket, no password";
  }
  if (record.comes_in()) {
    text += std::string(record.shell ? "\n  ssh and sftp into its sandbox" : "\n  sftp") +
            ": as user " + record.user + ", with the keys of site ssh-key";
  }
  return text +
         (running ? "\n  it is being served" : "\n  no server runs: it is served when one starts");
}

Result<Outcome> plan_add(const Common& common, const AddRequest& request, Plan* plan) {
  const Template from = TRY(read_template(common.places, request.made_from));
  Record record = TRY(plan_record(common, request, from));
  if (exists(common.places.record(record.name))) {
    const Record there = TRY(read_record(common.places, record.name));
    const std::string differs = difference(there, record, request);
    if (differs.empty()) {
      return Outcome{record.name, false,
                     "site " + record.name + " is there already: nothing to do"};
    }
    return fail("site " + record.name + " is there already, and " + differs +
                "; see: bulkhead site show, bulkhead site set");
  }
  const PoolWishes wishes = TRY(pool_wishes(request));
  if (!from.has_pool && (!wishes.env.empty() || !wishes.php.empty() || record.database != "none")) {
    return fail("a site of template " + record.made_from +
                " has no PHP: --php, --env and --db are not for it");
  }
  TRY_STATUS(check_names(common, record));
  const std::string keys = request.key_file.empty() ? "" : TRY(read_keys(request.key_file));
  TRY_STATUS(plan_setup(common, record, plan));
  if (record.own_user) plan->add(user_step(record.user, record.home, record.name));
  TRY_STATUS(plan_home(common, record, plan));
  TRY_STATUS(plan_database(common, record, plan));
  TRY_STATUS(plan_pages(common, record, from, plan));
  Texts texts;
  texts.server = server_text(common.places, record, from);
  if (from.has_pool) texts.pool = TRY(pool_text(common.places, record, from, wishes));
  TRY_STATUS(
      plan->add(write_step(common.places.record(record.name), to_json(record), {0600, "", ""})));
  TRY_STATUS(plan_serving(common, record, texts, plan));
  TRY_STATUS(plan_ssh(common, record, keys, plan));
  return Outcome{record.name, true, summary(common, record, server_runs(common.places))};
}

}  // namespace

int add_site(const Common& common, const AddRequest& request) {
  return run_command(common, [&](Plan* plan) { return plan_add(common, request, plan); });
}

}  // namespace bulkhead::sites
