// Steps: a site's database and account in MariaDB.  The account is the site's Linux user and has no
// password: the server asks the kernel who is at the other end of its socket.
//
// Runs in: bulkhead-site (root, whom MariaDB knows the same way).  Input: names of ours; dumps,
// whose text is in good part a site's (hostile: read and executed as the site's user only).
// Ref: MariaDB 10.11: unix_socket authentication, CREATE USER, GRANT ('_' in the name of a database
// is a wildcard there unless it is escaped).
#include <fcntl.h>
#include <unistd.h>

#include "sites/program.h"
#include "sites/step_kinds.h"
#include "sites/steps.h"
#include "sites/tree.h"
#include "sys/files.h"
#include "sys/users.h"

namespace bulkhead::sites {
namespace {

// Names are checked where they are made (letters, digits, '-', '_'); quoted all the same.
std::string quoted(const std::string& name, char quote) {
  std::string out(1, quote);
  for (char c : name) {
    if (c == quote || c == '\\') out += c;
    out += c;
  }
  return out + quote;
}
std::string account(const Step& step) { return quoted(step.word("user"), '\'') + "@'localhost'"; }
std::string database(const Step& step) { return quoted(step.word("name"), '`'); }

Program client(const char* program, const Step& step, std::vector<std::string> more) {
  Program out;
  out.argv = {program};
  if (step.has("socket")) out.argv.push_back("--socket=" + step.word("socket"));
  out.argv.insert(out.argv.end(), more.begin(), more.end());
  return out;
}
Status run_sql(const Step& step, const std::string& sql) {
  Program mariadb = client("mariadb", step, {"--batch", "--skip-column-names"});
  mariadb.input = sql;
  auto done = must_run(mariadb);
  if (!done)
    return fail(done.error().describe() + "; does MariaDB run, and is root let in by unix_socket?");
  return {};
}

Result<bool> ask_sql(const Step& step, const std::string& sql) {
  Program mariadb = client("mariadb", step, {"--batch", "--skip-column-names"});
  mariadb.input = sql;
  const Ran ran = TRY(run_program(mariadb));
  if (ran.status == 0) return !ran.output.empty();
  return fail("cannot ask MariaDB: " + ran.errors + "; does it run, and is root let in?");
}
Result<bool> account_there(const Step& step) {
  return ask_sql(step, "SELECT 1 FROM mysql.user WHERE user = " + quoted(step.word("user"), '\'') +
                           " AND host = 'localhost';\n");
}
Status account_taken(const std::string& user) {
  return fail("MariaDB has an account '" + user +
              "'@'localhost' already, with a way in and rights of its own: take another --user, or "
              "--db none, or remove it: DROP USER '" +
              user + "'@'localhost'");
}

std::string tell_database(const Step& step) {
  return "make database " + step.word("name") + " and account " + account(step) +
         " (unix_socket, no password), grant it all of that database";
}
// What says that a database, and with it the account, was made by this step: neither has an owner.
std::string mark_of(const Step& step) {
  return quoted("Bulkhead: made for user " + step.word("user"), '\'');
}
Result<bool> is_ours(const Step& step) {
  return ask_sql(step, "SELECT 1 FROM information_schema.schemata WHERE schema_name = " +
                           quoted(step.word("name"), '\'') +
                           " AND schema_comment = " + mark_of(step) + ";\n");
}
// Nobody's account is taken over: one that is there has its own way in and its own rights.  The
// mark comes first and goes last, so whatever ends us in between, revert knows whose the account
// is.
Status apply_database(const Step& step) {
  std::string pattern = step.word("name");
  for (size_t at = 0; (at = pattern.find('_', at)) != std::string::npos; at += 2) {
    pattern.insert(at, "\\");
  }
  const bool again = TRY(is_ours(step));
  if (!again) {
    if (TRY(account_there(step))) return account_taken(step.word("user"));
    TRY_STATUS(run_sql(step, "CREATE DATABASE " + database(step) +
                                 " CHARACTER SET utf8mb4 COMMENT = " + mark_of(step) + ";\n"));
  }
  if (!again || !TRY(account_there(step))) {
    auto made = run_sql(step, "CREATE USER " + account(step) + " IDENTIFIED VIA unix_socket;\n");
    if (!made) {
      TRY_STATUS(run_sql(step, "DROP DATABASE " + database(step) + ";\n"));
      return made;
    }
  }
  return run_sql(step, "GRANT ALL PRIVILEGES ON `" + pattern + "`.* TO " + account(step) + ";\n");
}
Status revert_database(const Step& step) {
  if (!TRY(is_ours(step))) return {};
  return run_sql(step, "DROP USER IF EXISTS " + account(step) + ";\nDROP DATABASE IF EXISTS " +
                           database(step) + ";\n");
}
// Of a site that goes: its record says that both are its own.
Status drop(const Step& step) {
  return run_sql(step, "DROP DATABASE IF EXISTS " + database(step) + ";\nDROP USER IF EXISTS " +
                           account(step) + ";\n");
}
std::string tell_drop(const Step& step) {
  return "remove database " + step.word("name") + " and account " + account(step);
}

std::string tell_dump(const Step& step) {
  return "dump database " + step.word("name") + " to " + step.word("file");
}
Status apply_dump(const Step& step) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC;
  sys::Fd out(::open(step.word("file").c_str(), kFlags, 0600));
  if (!out.valid()) return fail_errno("cannot write " + step.word("file"));
  Program dump =
      client("mariadb-dump", step,
             {"--single-transaction", "--routines", "--triggers", "--events", step.word("name")});
  dump.out = out;
  TRY_STATUS(must_run(dump));
  return ::fsync(out.get()) == 0 ? Status() : fail_errno("cannot write " + step.word("file"));
}
Status revert_dump(const Step& step) { return remove_tree(step.word("file")); }

// The client runs what it takes for a statement, and does not agree with the server on where the
// bodies of routines end.  So it has the site's rights, not root's, starts no program (where it
// knows that option: 10.11.8), and every DEFINER, which only an administrator may name, becomes the
// site.
constexpr const char* kLoad = R"(set -o pipefail; LC_ALL=C sed -E "$0" | mariadb "$@")";
constexpr const char* kOwnDefiner =
    R"(s/^((\/\*!50[^`]*|CREATE )DEFINER=)`([^`]|``)*`@`([^`]|``)*`/\1CURRENT_USER/)";

std::string tell_load(const Step& step) {
  return "load " + step.word("file") + " into database " + step.word("name") + " (as user " +
         step.word("user") + ")";
}
Status apply_load(const Step& step) {
  const auto who = TRY(site_user(step.word("user")));
  const sys::Fd in = TRY(sys::open_trusted(step.word("file"), O_RDONLY));
  Program load{
      .argv = {"bash", "-c", kLoad, kOwnDefiner, "--loose-sandbox", "--user=" + step.word("user")}};
  if (step.has("socket")) load.argv.push_back("--socket=" + step.word("socket"));
  load.argv.push_back(step.word("name"));
  load.user = &who;
  load.in = in;
  auto done = must_run(load);
  if (done) return done;
  return fail("loading " + step.word("file") + " as user " + who.name + ": " + done.error().text);
}

constexpr StepKind kKinds[] = {
    {"database", tell_database, apply_database, revert_database},
    {"drop-database", tell_drop, drop, nullptr},
    {"dump", tell_dump, apply_dump, revert_dump},
    {"load", tell_load, apply_load, nullptr},
};

Step with_socket(const char* kind, const Places& places, const std::string& name) {
  Step step{kind, {{"name", name}}};
  if (!places.db_socket.empty()) step.with["socket"] = places.db_socket;
  return step;
}

}  // namespace

std::span<const StepKind> database_kinds() { return kKinds; }

Status check_database_free(const Places& places, const std::string& name, const std::string& user) {
  Step step = with_socket("database", places, name);
  step.with["user"] = user;
  const std::string sql =
      "SELECT 1 FROM information_schema.schemata WHERE schema_name = " + quoted(name, '\'') + ";\n";
  if (TRY(ask_sql(step, sql))) {
    return fail("database " + name +
                " exists already, and is left alone: use --db none, or rename it");
  }
  return TRY(account_there(step)) ? account_taken(user) : Status();
}

Step database_step(const Places& places, const std::string& name, const std::string& user) {
  Step step = with_socket("database", places, name);
  step.with["user"] = user;
  return step;
}
Step drop_database_step(const Places& places, const std::string& name, const std::string& user) {
  Step step = with_socket("drop-database", places, name);
  step.with["user"] = user;
  return step;
}
Step dump_step(const Places& places, const std::string& name, const std::string& file) {
  Step step = with_socket("dump", places, name);
  step.with["file"] = file;
  return step;
}
Step load_step(const Places& places, const std::string& name, const std::string& file,
               const std::string& user) {
  Step step = with_socket("load", places, name);
  step.with["user"] = user;
  step.with["file"] = file;
  return step;
}

}  // namespace bulkhead::sites
