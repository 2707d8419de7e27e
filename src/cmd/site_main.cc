// bulkhead-site: adds, shows, changes and removes sites; each command wholly or not at all.
//
// Runs in: bulkhead-site (root).  Input: the administrator's command line.
#include <CLI/CLI.hpp>
#include <cstdlib>
#include <functional>
#include <string>

#include "cli/complete.h"
#include "cli/describe.h"
#include "cli/usage.h"
#include "sites/commands.h"

namespace bulkhead {
namespace {

using sites::Common;

std::string from_environment(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

// Options that every command takes.
void add_common(CLI::App* verb, Common* common) {
  auto& places = common->places;
  verb->add_option("--etc", places.etc, "configuration (BULKHEAD_ETC)")
      ->type_name("DIR")
      ->capture_default_str();
  verb->add_option("--state", places.state, "state (BULKHEAD_STATE)")
      ->type_name("DIR")
      ->capture_default_str();
  verb->add_option("--homes", places.homes, "where homes of sites are made (BULKHEAD_HOMES)")
      ->type_name("DIR")
      ->capture_default_str();
  verb->add_option("--pid", places.pid, "pid file of the running server")->type_name("FILE");
  verb->add_flag("--json", common->json, "print JSON");
}
void add_changing(CLI::App* verb, Common* common) {
  add_common(verb, common);
  verb->add_option("--ssh", common->places.ssh, "OpenSSH's configuration (BULKHEAD_SSH)")
      ->type_name("DIR")
      ->capture_default_str();
  verb->add_option("--cron", common->places.cron_dir, "cron's directory (BULKHEAD_CRON)")
      ->type_name("DIR")
      ->capture_default_str();
  verb->add_option("--db-socket", common->places.db_socket, "MariaDB's socket")->type_name("FILE");
  verb->add_flag("--dry-run", common->dry_run, "print every step, change nothing");
  verb->add_option_function<int>(
          "--wait", [common](const int& s) { common->wait = std::chrono::seconds(s); },
          "seconds to wait for another command to end (30)")
      ->check(CLI::Range(0, 86400));
}

// The command as typed, for the journal, for whoever waits and for the server's log: without the
// values of variables, which may be secrets.
std::string joined(int argc, char** argv) {
  std::string line = "site";
  for (int i = 1; i < argc; ++i) {
    std::string_view word = argv[i];
    const bool is_variable = word.starts_with("--env=") || word.starts_with("env[") ||
                             std::string_view(argv[i - 1]) == "--env";
    const size_t equals = word.find('=', word.starts_with("--env=") ? 6 : 0);
    if (is_variable && equals != std::string_view::npos) word = word.substr(0, equals);
    line.append(" ").append(word).append(is_variable ? "=..." : "");
  }
  return line;
}

// "aliases (NAME,NAME...), sftp (on or off), ..." -> "aliases=" with those words.
std::vector<cli::Candidate> keys_of_set() {
  std::vector<cli::Candidate> out;
  const std::string all = sites::set_keys();
  for (size_t at = 0; at < all.size();) {
    const size_t open = all.find(" (", at), close = all.find(')', at);
    if (open == std::string::npos || close == std::string::npos || close < open) break;
    out.push_back({all.substr(at, open - at) + "=", all.substr(open + 2, close - open - 2)});
    at = all.find_first_not_of(", ", close + 1);
  }
  return out;
}
std::vector<cli::Candidate> names(std::string_view kind, const cli::Typed& typed) {
  return kind == "KEY=VALUE" ? keys_of_set() : cli::names_of_machine(kind, typed);
}

class Line {
 public:
  int run(int argc, char** argv) {
    common_.places.etc = from_environment("BULKHEAD_ETC", "/etc/bulkhead");
    common_.places.state = from_environment("BULKHEAD_STATE", "/var/lib/bulkhead");
    common_.places.homes = from_environment("BULKHEAD_HOMES", "/srv/bulkhead");
    common_.places.ssh = from_environment("BULKHEAD_SSH", "/etc/ssh");
    common_.places.cron_dir = from_environment("BULKHEAD_CRON", "/etc/cron.d");
    common_.line = joined(argc, argv);
    app_.require_subcommand(1, 1);
    add();
    look();
    change();
    take_away();
    copy();
    access();
    cron();
    if (argc > 1 && std::string_view(argv[1]) == cli::kAsk) {
      return cli::answer_shell(cli::describe(app_), {argv + 2, static_cast<size_t>(argc - 2)},
                               names);
    }
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return cli::end_parse(app_, error, {argv + 1, static_cast<size_t>(argc - 1)},
                            sites::kExitUsage);
    }
    return todo_();
  }

 private:
  CLI::App* verb(const char* name, const char* help, std::function<int()> todo) {
    return verb_of(&app_, name, help, std::move(todo));
  }
  CLI::App* verb_of(CLI::App* above, const char* name, const char* help,
                    std::function<int()> todo) {
    CLI::App* made = above->add_subcommand(name, help);
    made->callback([this, todo] { todo_ = todo; });
    return made;
  }
  CLI::App* named(CLI::App* verb) {
    verb->add_option("name", name_, "the site")->required()->type_name("SITE");
    return verb;
  }

  void add() {
    CLI::App* v = verb("add", "make a site: user, files, configuration, database",
                       [this] { return sites::add_site(common_, add_); });
    v->add_option("name", add_.name, "canonical host name")->required();
    v->add_option("--alias", add_.aliases, "another name (repeatable)");
    v->add_option("--www", add_.www, "what www.NAME does")
        ->check(CLI::IsMember({"redirect", "serve", "none"}))
        ->capture_default_str();
    v->add_option("--listen", add_.listen, "address to listen at (repeatable; 80 and [::]:80)");
    v->add_option("--user", add_.user, "its Linux user (made from the name)");
    v->add_option("--root", add_.root, "web root (HOMES/NAME/public)")->type_name("DIR");
    v->add_option("--template", add_.made_from,
                  "php, wordpress, laravel, symfony, drupal, mediawiki, static, or a file of "
                  "ETC/templates")
        ->type_name("TEMPLATE")
        ->capture_default_str();
    v->add_option("--php", add_.pool.php, "PHP version")->type_name("VERSION");
    v->add_option("--db", add_.database, "database")
        ->check(CLI::IsMember({"mariadb", "sqlite", "none"}))
        ->capture_default_str();
    v->add_option("--memory", add_.pool.memory, "memory of the whole site: 512M");
    v->add_option("--cpu", add_.pool.cpu, "share of a core: 150%");
    v->add_option("--tasks", add_.pool.tasks, "processes and threads");
    v->add_option("--disk", add_.pool.disk, "space in its private directories: 2G");
    v->add_option("--env", add_.env, "NAME=VALUE for PHP (repeatable)");
    v->add_flag("--sftp", add_.sftp, "let its user in by sftp, into its home only");
    v->add_flag("--shell", add_.shell, "let its user in by ssh, into its sandbox (sftp too)");
    v->add_option("--ssh-key", add_.key_file, "file of public keys for ssh and sftp")
        ->type_name("FILE");
    add_changing(v, &common_);
  }

  void look() {
    add_common(verb("list", "every site", [this] { return sites::list_sites(common_); }), &common_);
    add_common(named(verb("show", "what is in force for a site, and from which file",
                          [this] { return sites::show_site(common_, name_); })),
               &common_);
    CLI::App* v = named(verb("logs", "its access and error log", [this] {
      return sites::show_logs(common_, name_, follow_ ? sites::Follow::kYes : sites::Follow::kNo,
                              lines_);
    }));
    v->add_flag("-f,--follow", follow_, "go on as lines come");
    v->add_option("-n,--lines", lines_, "lines of each")->check(CLI::Range(0, 1000000));
    add_common(v, &common_);
  }

  void change() {
    CLI::App* v = named(verb("set", "change settings: key=value ...",
                             [this] { return sites::set_site(common_, name_, words_); }));
    v->add_option("changes", words_, "key=value")->required()->type_name("KEY=VALUE");
    v->footer("Keys: " + sites::set_keys());
    add_changing(v, &common_);
    struct Row {
      const char *name, *help;
      int (*todo)(const Common&, const std::string&);
    };
    for (const Row& row : {Row{"disable", "answer 503, end its processes", sites::disable_site},
                           Row{"enable", "serve it again", sites::enable_site},
                           Row{"restart", "start its PHP anew", sites::restart_site}}) {
      add_changing(
          named(verb(row.name, row.help, [this, row] { return row.todo(common_, name_); })),
          &common_);
    }
  }

  void take_away() {
    CLI::App* v =
        named(verb("remove", "archive it, then remove user, files, configuration", [this] {
          return sites::remove_site(common_, name_,
                                    purge_ ? sites::Keep::kNothing : sites::Keep::kArchive);
        }));
    v->add_flag("--purge", purge_, "keep no archive");
    add_changing(v, &common_);
    v = verb("restore", "bring a removed site back",
             [this] { return sites::restore_site(common_, name_); });
    v->add_option("archive", name_, "name or path of the archive")
        ->required()
        ->type_name("ARCHIVE");
    add_changing(v, &common_);
    v = verb("recover", "finish or undo what an interrupted command left",
             [this] { return sites::recover(common_); });
    add_changing(v, &common_);
  }

  void copy() {
    CLI::App* v = named(verb("copy-in", "copy a tree into the site, all of it its user's",
                             [this] { return sites::copy_in(common_, name_, word_); }));
    v->add_option("--from", word_, "the tree: a directory")->required()->type_name("DIR");
    add_changing(v, &common_);
    struct Row {
      const char *name, *help;
      int (*todo)(const Common&, const std::string&, const std::string&);
    };
    for (const Row& row :
         {Row{"clone", "a copy of a site: files, settings, database", sites::clone_site},
          Row{"rename", "another name: home, files, configuration", sites::rename_site}}) {
      v = named(verb(row.name, row.help, [this, row] { return row.todo(common_, name_, word_); }));
      v->add_option("new-name", word_, "canonical host name")->required();
      add_changing(v, &common_);
    }
  }

  void cron() {
    CLI::App* jobs = app_.add_subcommand("cron", "commands at times, inside the site's sandbox");
    jobs->require_subcommand(1, 1);
    CLI::App* v = named(verb_of(jobs, "add", "add one", [this] {
      return sites::add_cron(common_, name_, word_, command_);
    }));
    v->add_option("schedule", word_, "\"*/5 * * * *\" or @daily, as in crontab(5)")->required();
    v->add_option("command", command_, "for sh -c, one word: \"php artisan schedule:run\"")
        ->required();
    add_changing(v, &common_);
    add_common(named(verb_of(jobs, "list", "print them",
                             [this] { return sites::list_cron(common_, name_); })),
               &common_);
    v = named(verb_of(jobs, "remove", "remove the one whose line holds a text",
                      [this] { return sites::remove_cron(common_, name_, word_); }));
    v->add_option("text", word_, "part of its line")->required();
    add_changing(v, &common_);
  }

  void access() {
    CLI::App* secret =
        named(verb("password", "make a password for its user (sftp), print it once", [this] {
          return sites::set_password(common_, name_,
                                     purge_ ? sites::Password::kNone : sites::Password::kNew);
        }));
    secret->add_flag("--none", purge_, "no password: keys alone");
    add_changing(secret, &common_);
    CLI::App* keys = app_.add_subcommand("ssh-key", "public keys for ssh and sftp");
    keys->require_subcommand(1, 1);
    CLI::App* v = named(verb_of(keys, "add", "add the keys of a file",
                                [this] { return sites::add_key(common_, name_, word_); }));
    v->add_option("file", word_, "a .pub file")->required()->type_name("FILE");
    add_changing(v, &common_);
    v = named(verb_of(keys, "remove", "remove the key whose line holds a text",
                      [this] { return sites::remove_key(common_, name_, word_); }));
    v->add_option("text", word_, "its comment, or part of the key")->required();
    add_changing(v, &common_);
    add_common(named(verb_of(keys, "list", "print them",
                             [this] { return sites::list_keys(common_, name_); })),
               &common_);
  }

  CLI::App app_{"Sites: each command is done wholly or not at all.", "bulkhead site"};
  Common common_;
  sites::AddRequest add_;
  std::string name_, word_, command_;
  std::vector<std::string> words_;
  bool follow_ = false, purge_ = false;
  int lines_ = 20;
  std::function<int()> todo_;
};

}  // namespace
}  // namespace bulkhead

int main(int argc, char** argv) { return bulkhead::Line().run(argc, argv); }
