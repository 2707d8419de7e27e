#include "sites/archive.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "sandbox/site_policy.h"
#include "sandbox/tree_walk.h"
#include "sites/names.h"
#include "sites/site_plan.h"
#include "sites/tree.h"
#include "sys/files.h"
#include "sys/users.h"

namespace bulkhead::sites {
namespace {

constexpr uid_t kPersonMin = 1000;  // login.defs(5): system users are below
constexpr size_t kFactsMax = 1 << 20;
constexpr size_t kDatabaseNameMax = 64;  // MariaDB, "Identifier Names"
constexpr const char* kMembers[] = {"site.json", "server.conf",  "pool.conf",     "keys",
                                    "cron",      "root.tar.zst", "files.tar.zst", "database.sql"};

Status not_roots(const std::string& path) {
  return fail(path +
              " can be changed by others than root, so what it says is not to be trusted: look "
              "through the archive, copy it to a directory of root's, chown -R root: and "
              "chmod -R go-w it");
}

// In a directory with the sticky bit nobody but its owner moves root's entry away.
Status check_root_alone(const std::string& path, const struct stat& st, bool may_be_sticky) {
  const bool sticky = may_be_sticky && (st.st_mode & S_ISVTX) != 0;
  if (st.st_uid != 0 || ((st.st_mode & 0022) != 0 && !sticky)) return not_roots(path);
  return {};
}

// Every directory from "/" on.  `path` is without links; each step is taken on a descriptor.
Status check_chain(const std::string& path) {
  sys::Fd at(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (size_t begin = 1, end = 0; end != std::string::npos && begin < path.size();
       begin = end + 1) {
    end = path.find('/', begin);
    const std::string so_far = path.substr(0, end);
    at = TRY(open_below(at, path.substr(begin, end - begin), O_PATH | O_DIRECTORY));
    struct stat st {};
    if (::fstat(at.get(), &st) < 0) return fail_errno("cannot look at " + so_far);
    TRY_STATUS(check_root_alone(so_far, st, end != std::string::npos));
    if (end == std::string::npos) break;
  }
  return {};
}

Status check_members(const std::string& path) {
  for (const char* name : kMembers) {
    const std::string member = path + "/" + name;
    struct stat st {};
    if (::lstat(member.c_str(), &st) < 0) {
      if (errno == ENOENT) continue;
      return fail_errno("cannot look at " + member);
    }
    if (!S_ISREG(st.st_mode)) return fail(member + " is no file: this is no archive of ours");
    TRY_STATUS(check_root_alone(member, st, false));
  }
  return {};
}

bool is_plain(const std::string& text, const char* more) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [more](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view(more).find(c) != std::string_view::npos;
  });
}

bool is_one_of(const std::string& text, std::initializer_list<const char*> words) {
  return std::any_of(words.begin(), words.end(), [&](const char* word) { return text == word; });
}

Status check_database(const Record& record) {
  if (!is_one_of(record.database, {"mariadb", "sqlite", "none"})) {
    return fail("there is no kind of database \"" + record.database + "\"");
  }
  if (record.database != "mariadb") return {};
  const std::string& name = record.database_name;
  if (!is_plain(name, "_") || name.size() > kDatabaseNameMax ||
      is_one_of(name, {"mysql", "sys", "information_schema", "performance_schema"})) {
    return fail("\"" + name + "\" is no name for a site's database");
  }
  const std::string& socket = record.database_socket;
  if (socket.empty() || (socket[0] == '/' && is_plain(socket, "/._-"))) return {};
  return fail("\"" + socket + "\" is no path of a socket");
}

// Folders of the home: one name each, and not one that is root's.
Status check_folders(const Record& record) {
  for (const std::string& folder : record.folders) {
    if (is_plain(folder, "._-") && folder[0] != '.' && folder[0] != '-' && folder != "logs") {
      continue;
    }
    return fail("\"" + folder + "\" is no folder of a home");
  }
  return {};
}

// Whose directories no site may have: the system's, ours, and those of other sites.
Status check_place(const Places& places, const Record& record) {
  std::string root = record.root;
  if (char* real = ::realpath(root.c_str(), nullptr); real != nullptr) {
    root = real;
    std::free(real);
  }
  while (root.size() > 1 && root.back() == '/') root.pop_back();
  if (sandbox::is_within(root, record.home) && root != record.home) return {};
  const auto refuse = [&](const std::string& why) {
    return fail("--root " + record.root + ": " + why + "; take a directory of the site's own");
  };
  if (sandbox::is_common(root)) return refuse(root + " is the system's");
  for (const char* top : {"/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc",
                          "/root", "/run", "/sbin", "/sys", "/usr/bin", "/usr/lib", "/usr/sbin"}) {
    if (sandbox::is_within(root, top)) return refuse(root + " is the system's");
  }
  for (const std::string& ours : {places.etc, places.state}) {
    if (sandbox::is_within(root, ours)) return refuse(root + " is Bulkhead's own");
  }
  for (const std::string& ours : {places.etc, places.state, places.homes}) {
    if (sandbox::is_within(ours, root)) return refuse(ours + " is inside it");
  }
  if (sandbox::is_within(root, places.homes)) return refuse("it is where homes of sites are");
  return {};
}

}  // namespace

Status check_listen(const std::string& text) {
  if (is_plain(text, ".:[]*-/_")) return {};
  return fail(
      "--listen takes one address, as nginx's listen does: 80, 127.0.0.1:8080, [::]:80; not \"" +
      text + "\"");
}

Status check_root(const Places& places, const Record& record) {
  const std::string& root = record.root;
  const auto plain = [](char c) {
    return c != '"' && c != '\'' && c != '\\' && c != '$' && c != ';' && c != '{' && c != '}' &&
           static_cast<unsigned char>(c) > 0x20;
  };
  if (root.starts_with('/') && std::all_of(root.begin(), root.end(), plain) &&
      (root + "/").find("/../") == std::string::npos) {
    return check_place(places, record);
  }
  return fail("--root takes an absolute path without spaces, quotes or \"..\", not \"" + root +
              "\"");
}

Status check_existing_user(const std::string& name) {
  const auto uid = sys::find_uid(name);
  if (uid && *uid >= kPersonMin) return {};
  return fail("user " + name + " is one of the system's: leave --user out, or take a new name");
}

Status check_record(const Places& places, const Record& record) {
  if (TRY(checked_site_name(record.name)) != record.name) {
    return fail("the name \"" + record.name + "\" is not in lower case");
  }
  for (const std::string& alias : record.aliases) (void)TRY(checked_host_name(alias));
  for (const std::string& listen : record.listen) TRY_STATUS(check_listen(listen));
  if (record.listen.empty()) return fail("it names no address to listen at");
  TRY_STATUS(check_user_name(record.user));
  if (!record.own_user) {
    if (!user_exists(record.user)) return fail("there is no user " + record.user);
    TRY_STATUS(check_existing_user(record.user));
  }
  for (const Record& other : TRY(read_records(places))) {
    if (other.user == record.user && other.name != record.name) {
      return fail("user " + record.user + " is that of site " + other.name);
    }
  }
  if (record.home != places.home(record.name)) {
    return fail("its home is " + record.home + ", where homes are " + places.homes +
                "/NAME here: give --homes as it was");
  }
  TRY_STATUS(check_root(places, record));
  TRY_STATUS(check_folders(record));
  if (!is_one_of(record.www, {"redirect", "serve", "none"})) {
    return fail("there is no --www \"" + record.www + "\"");
  }
  if (!is_plain(record.made_from, "._-")) {
    return fail("\"" + record.made_from + "\" is no template's name");
  }
  return check_database(record);
}

Result<Archive> open_archive(const Places& places, const std::string& given) {
  if (given.empty() || given == ".." || given[0] == '.') {
    return fail("there is no archive \"" + given + "\"; see " + places.archives());
  }
  const std::string wanted = given.starts_with('/') ? given : places.archives() + "/" + given;
  char* real = ::realpath(wanted.c_str(), nullptr);
  if (real == nullptr) {
    return fail("there is no archive " + wanted + "; see " + places.archives());
  }
  Archive archive{real, {}};
  std::free(real);
  TRY_STATUS(check_chain(archive.path));
  TRY_STATUS(check_members(archive.path));
  auto facts = sys::read_file(archive.file("site.json"), kFactsMax);
  if (!facts) return fail("there is no archive " + wanted + "; see " + places.archives());
  auto record = parse_record(*facts);
  if (!record) return fail(archive.file("site.json") + " " + record.error().text);
  archive.record = std::move(*record);
  if (auto good = check_record(places, archive.record); !good) {
    return fail(archive.file("site.json") + " is refused: " + good.error().text);
  }
  return archive;
}

}  // namespace bulkhead::sites
