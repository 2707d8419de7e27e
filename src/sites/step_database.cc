// Steps: a site's database and account in MariaDB.  The account is the site's Linux user and has no
// password: the server asks the kernel who is at the other end of its socket.
//
// Runs in: bulkhead-site (root, whom MariaDB knows the same way).
// Ref: MariaDB 10.11: unix_socket authentication, CREATE USER, GRANT ('_' in the name of a database
// is a wildcard there unless it is escaped).
#include <fcntl.h>
#include <unistd.h>

#include "sites/program.h"
#include "sites/step_kinds.h"
#include "sites/steps.h"
#include "sites/tree.h"
#include "sys/files.h"

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

std::string tell_database(const Step& step) {
  return "make database " + step.word("name") + " and account " + account(step) +
         " (unix_socket, no password), grant it all of that database";
}
Status apply_database(const Step& step) {
  std::string pattern = step.word("name");
  for (size_t at = 0; (at = pattern.find('_', at)) != std::string::npos; at += 2) {
    pattern.insert(at, "\\");
  }
  return run_sql(step, "CREATE DATABASE IF NOT EXISTS " + database(step) +
                           " CHARACTER SET utf8mb4;\nCREATE USER IF NOT EXISTS " + account(step) +
                           " IDENTIFIED VIA unix_socket;\nGRANT ALL PRIVILEGES ON `" + pattern +
                           "`.* TO " + account(step) + ";\n");
}
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

std::string tell_load(const Step& step) {
  return "load " + step.word("file") + " into database " + step.word("name");
}
Status apply_load(const Step& step) {
  const sys::Fd in = TRY(sys::open_trusted(step.word("file"), O_RDONLY));
  Program load = client("mariadb", step, {step.word("name")});
  load.in = in;
  return must_run(load);
}

constexpr StepKind kKinds[] = {
    {"database", tell_database, apply_database, drop},
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
Step load_step(const Places& places, const std::string& name, const std::string& file) {
  Step step = with_socket("load", places, name);
  step.with["file"] = file;
  return step;
}

}  // namespace bulkhead::sites
