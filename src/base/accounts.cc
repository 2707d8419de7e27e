#include "base/accounts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <string_view>
#include <unordered_map>

namespace bulkhead {
namespace {

constexpr int64_t kLookAgainNs = 1'000'000;
constexpr size_t kFileMax = 256u << 20;
constexpr std::array kFiles = {"passwd", "group", "nsswitch.conf"};
// Where systemd keeps or hands out members of groups that the files do not know.  Ref:
// nss-systemd(8), systemd-userdbd(8) of systemd 252.
constexpr const char* kOtherMembers[] = {"/etc/userdb",
                                         "/run/userdb",
                                         "/run/host/userdb",
                                         "/usr/lib/userdb",
                                         "/run/systemd/userdb/io.systemd.Multiplexer",
                                         "/run/systemd/userdb/io.systemd.Home"};

using Stamp = std::array<int64_t, 7>;

Stamp stamp_of(const std::string& path) {
  struct stat st {};
  if (::stat(path.c_str(), &st) < 0) return {};
  return {static_cast<int64_t>(st.st_dev),
          static_cast<int64_t>(st.st_ino),
          st.st_size,
          st.st_mtim.tv_sec,
          st.st_mtim.tv_nsec,
          st.st_ctim.tv_sec,
          st.st_ctim.tv_nsec};
}

bool read_all(const std::string& path, std::string* out) {
  out->clear();
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  char buffer[65536];
  ssize_t n;
  while ((n = ::read(fd, buffer, sizeof buffer)) > 0 && out->size() < kFileMax) {
    out->append(buffer, static_cast<size_t>(n));
  }
  ::close(fd);
  return n == 0;
}

// "a:b:c" -> its fields, empty ones too.
std::vector<std::string_view> fields_of(std::string_view line, char between) {
  std::vector<std::string_view> out;
  for (size_t at = 0; at <= line.size();) {
    const size_t end = std::min(line.find(between, at), line.size());
    out.push_back(line.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

template <class Each>
void each_line(std::string_view text, Each each) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    if (!line.empty() && line[0] != '#') each(line);
    at = end + 1;
  }
}

bool number_of(std::string_view text, uint32_t* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

class Files {
 public:
  // Whether the answers can be had here; reads what has changed.
  bool fresh() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    const int64_t at = now.tv_sec * 1'000'000'000 + now.tv_nsec;
    if (looked_at_ != 0 && at - looked_at_ < kLookAgainNs) return usable_;
    looked_at_ = at;
    std::array<Stamp, kFiles.size()> stamps{};
    for (size_t i = 0; i < kFiles.size(); ++i) stamps[i] = stamp_of(directory_ + "/" + kFiles[i]);
    if (stamps == stamps_) return usable_;
    stamps_ = stamps;
    read();
    return usable_;
  }
  void move_to(const std::string& directory) {
    directory_ = directory;
    looked_at_ = 0;
    stamps_ = {};
  }

  std::unordered_map<std::string, UserRecord> users;
  std::unordered_map<uid_t, const UserRecord*> by_uid;
  std::unordered_map<std::string, gid_t> groups;
  std::unordered_map<std::string, std::vector<gid_t>> members;
  bool knows_all_members = false;

 private:
  void read() {
    users.clear();
    by_uid.clear();
    groups.clear();
    members.clear();
    std::string passwd, group, rules;
    (void)read_all(directory_ + "/nsswitch.conf", &rules);  // without it: files alone
    usable_ = files_come_first(rules) && read_all(directory_ + "/passwd", &passwd) &&
              read_all(directory_ + "/group", &group);
    if (!usable_) return;
    each_line(passwd, [this](std::string_view line) { add_user(line); });
    each_line(group, [this](std::string_view line) { add_group(line); });
  }

  bool files_come_first(const std::string& rules) {
    bool good = true;
    knows_all_members = true;
    each_line(rules, [&](std::string_view line) {
      const size_t colon = line.find(':');
      if (colon == std::string_view::npos) return;
      const std::string_view what = line.substr(0, colon);
      if (what == "initgroups") knows_all_members = false;
      if (what != "passwd" && what != "group") return;
      bool first = true;
      for (std::string_view word : fields_of(line.substr(colon + 1), ' ')) {
        while (word.starts_with('\t')) word.remove_prefix(1);
        while (word.ends_with('\t')) word.remove_suffix(1);
        if (word.empty()) continue;
        if (first) good = good && word == "files";
        if (!first && what == "group" && (word != "systemd" || others_name_members())) {
          knows_all_members = false;
        }
        first = false;
      }
    });
    return good;
  }
  static bool others_name_members() {
    for (const char* path : kOtherMembers) {
      if (::access(path, F_OK) == 0) return true;
    }
    return false;
  }

  void add_user(std::string_view line) {
    const auto fields = fields_of(line, ':');
    UserRecord record;
    if (fields.size() < 7 || !number_of(fields[2], &record.uid) ||
        !number_of(fields[3], &record.gid)) {
      return;
    }
    record.name = fields[0];
    record.home = fields[5];
    record.shell = fields[6];
    const auto [at, added] = users.try_emplace(record.name, record);
    if (added) by_uid.try_emplace(record.uid, &at->second);
  }
  void add_group(std::string_view line) {
    const auto fields = fields_of(line, ':');
    uint32_t gid = 0;
    if (fields.size() < 4 || !number_of(fields[2], &gid)) return;
    groups.try_emplace(std::string(fields[0]), gid);
    for (const std::string_view member : fields_of(fields[3], ',')) {
      if (!member.empty()) members[std::string(member)].push_back(gid);
    }
  }

  std::string directory_ = "/etc";
  std::array<Stamp, kFiles.size()> stamps_{};
  int64_t looked_at_ = 0;
  bool usable_ = false;
};

Files& files() {
  thread_local Files held;
  return held;
}

template <class Map, class Key>
const typename Map::mapped_type* find_in(const Map& map, const Key& key) {
  const auto at = map.find(key);
  return at == map.end() ? nullptr : &at->second;
}

}  // namespace

const UserRecord* user_of_files(const std::string& name) {
  return files().fresh() ? find_in(files().users, name) : nullptr;
}
const UserRecord* user_of_files(uid_t uid) {
  const auto* found = files().fresh() ? find_in(files().by_uid, uid) : nullptr;
  return found == nullptr ? nullptr : *found;
}
const gid_t* group_of_files(const std::string& name) {
  return files().fresh() ? find_in(files().groups, name) : nullptr;
}
const std::vector<gid_t>* groups_of_files(const std::string& user) {
  static const std::vector<gid_t> kNone;
  if (!files().fresh() || !files().knows_all_members) return nullptr;
  const auto* found = find_in(files().members, user);
  return found == nullptr ? &kNone : found;
}

void read_accounts_from(const std::string& directory) { files().move_to(directory); }

}  // namespace bulkhead
