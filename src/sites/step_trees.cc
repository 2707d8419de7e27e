// Steps: a site's own tree: moved, copied, archived, unpacked, removed; pages written as its user.
//
// Runs in: bulkhead-site (root); what reads or writes inside the tree does so as the site's user.
// Input: trees that a site owns (hostile).
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "sites/program.h"
#include "sites/step_kinds.h"
#include "sites/steps.h"
#include "sites/tree.h"
#include "sys/files.h"
#include "sys/users.h"

namespace bulkhead::sites {
namespace {

constexpr size_t kRetoldMax = 1 << 20;

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(' ', at), text.size());
    if (end > at) words.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

std::string tell_move(const Step& step) {
  return "move " + step.word("from") + " to " + step.word("to");
}
Status move_unless_done(const std::string& from, const std::string& to) {
  if (!exists(from) && exists(to)) return {};
  return move_tree(from, to);
}
Status apply_move(const Step& step) { return move_unless_done(step.word("from"), step.word("to")); }
Status revert_move(const Step& step) {
  if (exists(step.word("from"))) return {};  // not begun
  return move_unless_done(step.word("to"), step.word("from"));
}

std::string tell_copy(const Step& step) {
  return "copy " + step.word("from") + " to " + step.word("to") + " (all of it user " +
         step.word("user") + "'s)";
}
// In place of an empty directory; what was half copied is begun anew.
Status apply_copy(const Step& step) {
  const auto who = TRY(site_user(step.word("user")));
  TRY_STATUS(remove_tree(step.word("to")));
  uint64_t skipped = 0;
  TRY_STATUS(copy_tree(step.word("from"), step.word("to"), {who.uid, who.gid}, &skipped));
  if (skipped > 0) {
    sys::write_all(sys::FdRef(2), "bulkhead site: " + std::to_string(skipped) +
                                      " devices, sockets, pipes or hard links of others in " +
                                      step.word("from") + " were not copied\n");
  }
  return {};
}
Status revert_copy(const Step& step) { return remove_tree(step.word("to")); }

// Of an O_PATH descriptor.  A directory that its own user may not read is its own matter.
Status sync_directory(sys::FdRef directory) {
  const sys::Fd again(::openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!again.valid() && errno == EACCES) return {};
  if (again.valid() && ::fsync(again.get()) == 0) return {};
  return fail_errno("cannot bring a directory to the disk");
}

std::string tell_folder(const Step& step) {
  return "make directory " + step.word("home") + "/" + step.word("path") + " (as user " +
         step.word("user") + ")";
}
Status apply_folder(const Step& step) {
  const auto who = TRY(site_user(step.word("user")));
  const sys::Fd home = TRY(open_in_roots(step.word("home"), O_PATH | O_DIRECTORY));
  return as_user(who, [&]() -> Status {
    const std::string& path = step.word("path");
    const size_t slash = path.rfind('/');
    const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash);
    const sys::Fd at = TRY(open_below(home, parent, O_PATH | O_DIRECTORY));
    const std::string name = path.substr(slash + 1);  // npos + 1 is 0
    ::umask(0);
    if (::mkdirat(at.get(), name.c_str(), 0750) < 0 && errno != EEXIST) {
      return fail_errno("cannot make " + path);
    }
    return sync_directory(at);
  });
}

std::string tell_page(const Step& step) {
  return "write " + step.word("directory") + "/" + step.word("name") + " (as user " +
         step.word("user") + ")";
}
Status apply_page(const Step& step) {
  const auto who = TRY(site_user(step.word("user")));
  const sys::Fd directory = TRY(open_in_roots(step.word("directory"), O_PATH | O_DIRECTORY));
  return as_user(who, [&]() -> Status {
    ::umask(0);
    const auto mode = static_cast<mode_t>(std::strtoul(step.word("mode").c_str(), nullptr, 8));
    auto fd = open_below(directory, step.word("name"), O_WRONLY | O_CREAT | O_EXCL, mode);
    if (!fd && fd.error().errno_value == EEXIST) return {};
    if (!fd) return std::unexpected(fd.error());
    if (!sys::write_all(*fd, step.word("text")) || ::fsync(fd->get()) < 0) {
      return fail_errno("cannot write a page");
    }
    return sync_directory(directory);
  });
}

std::string tell_retell(const Step& step) {
  return "change names in " + step.word("directory") + "/" + step.word("name") + " (as user " +
         step.word("user") + ")";
}
Result<std::string> read_whole(sys::FdRef file) {
  std::string text;
  char buffer[16384];
  ssize_t n;
  while ((n = ::read(file.get(), buffer, sizeof buffer)) > 0) {
    text.append(buffer, static_cast<size_t>(n));
    if (text.size() > kRetoldMax) return fail("the file is too large");
  }
  return n < 0 ? Result<std::string>(fail_errno("cannot read the file")) : text;
}
Status apply_retell(const Step& step) {
  const auto who = TRY(site_user(step.word("user")));
  const sys::Fd directory = TRY(open_in_roots(step.word("directory"), O_PATH | O_DIRECTORY));
  return as_user(who, [&]() -> Status {
    auto file = open_below(directory, step.word("name"), O_RDWR | O_NONBLOCK);
    if (!file && file.error().errno_value == ENOENT) return {};
    if (!file) return std::unexpected(file.error());
    std::string text = TRY(read_whole(*file));
    for (int i = 0; step.has("old" + std::to_string(i)); ++i) {
      const std::string& old = step.word("old" + std::to_string(i));
      const std::string& now = step.word("new" + std::to_string(i));
      if (size_t at = text.find(old); at != std::string::npos) text.replace(at, old.size(), now);
    }
    const bool done = ::lseek(file->get(), 0, SEEK_SET) == 0 && ::ftruncate(file->get(), 0) == 0 &&
                      sys::write_all(*file, text) && ::fsync(file->get()) == 0;
    return done ? Status() : fail_errno("cannot write " + step.word("name"));
  });
}

std::string tell_release(const Step& step) {
  return "give what user " + step.word("user") + " owns in " + step.word("path") + " to root";
}
Status apply_release(const Step& step) {
  return give_to_root(step.word("path"),
                      static_cast<uid_t>(std::strtoul(step.word("uid").c_str(), nullptr, 10)));
}

std::string tell_remove_tree(const Step& step) {
  return "remove " + step.word("path") + " for good";
}
Status apply_remove_tree(const Step& step) { return remove_tree(step.word("path")); }

std::string tell_archive(const Step& step) { return "archive to " + step.word("file"); }
Status pack(const std::string& file, const std::string& directory,
            const std::vector<std::string>& folders, const sys::Identity& who) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC;
  sys::Fd out(::open(file.c_str(), kFlags, 0600));
  if (!out.valid()) return fail_errno("cannot write " + file);
  Program tar;
  tar.argv = {"tar", "--create", "--zstd", "--one-file-system", "--sparse", "--file=-", "--"};
  tar.argv.insert(tar.argv.end(), folders.begin(), folders.end());
  tar.user = &who;
  tar.directory = directory;
  tar.out = out;
  if (auto done = must_run(tar); !done) {
    return fail(done.error().text + "; nothing was removed: make the files readable for user " +
                who.name + ", or use --purge");
  }
  return ::fsync(out.get()) == 0 ? Status() : fail_errno("cannot write " + file);
}
// What the site owns, read by its own user, and our facts about it.
Status apply_archive(const Step& step) {
  const auto who = TRY(site_user(step.word("user")));
  const std::string& file = step.word("file");
  TRY_STATUS(make_directory(file, 0700, {::geteuid(), ::getegid()}));
  TRY_STATUS(sys::write_file_atomically(file + "/site.json", step.word("facts"), 0600));
  const sys::Fd facts = TRY(sys::open_trusted(file + "/site.json", O_RDONLY));
  if (::fsync(facts.get()) < 0) return fail_errno("cannot write " + file + "/site.json");
  TRY_STATUS(pack(file + "/files.tar.zst", step.word("home"), words_of(step.word("folders")), who));
  if (!step.has("root") || !exists(step.word("root"))) return {};
  return pack(file + "/root.tar.zst", step.word("root"), {"."}, who);
}
Status revert_archive(const Step& step) { return remove_tree(step.word("file")); }

std::string tell_unpack(const Step& step) {
  return "unpack " + step.word("file") + " into " + step.word("home") + " (as user " +
         step.word("user") + ")";
}
Status apply_unpack(const Step& step) {
  const auto who = TRY(site_user(step.word("user")));
  sys::Fd in = TRY(sys::open_trusted(step.word("file"), O_RDONLY | O_NOFOLLOW));
  Program tar;
  tar.argv = {"tar",      "--extract",       "--zstd",
              "--file=-", "--no-same-owner", "--preserve-permissions"};
  tar.user = &who;
  tar.directory = step.word("home");
  tar.in = in;
  return must_run(tar);
}

// Whole trees are synced with their file system; what a user wrote by our hand, in `as_user`.
void touch_move(const Step& step, Touched* touched) {
  touched->directories.insert({parent_of(step.word("from")), parent_of(step.word("to"))});
}
void touch_copy(const Step& step, Touched* touched) {
  touched->trees.insert(step.word("to"));
  touched->directories.insert(parent_of(step.word("to")));
}
void touch_removed(const Step& step, Touched* touched) {
  touched->directories.insert(parent_of(step.word("path")));
}
void touch_released(const Step& step, Touched* touched) {
  touched->trees.insert(step.word("path"));
}
void touch_archive(const Step& step, Touched* touched) {
  touched->directories.insert({step.word("file"), parent_of(step.word("file"))});
}
void touch_unpacked(const Step& step, Touched* touched) {
  touched->trees.insert(step.word("home"));
}

constexpr StepKind kKinds[] = {
    {"move", tell_move, apply_move, revert_move, touch_move},
    {"copy", tell_copy, apply_copy, revert_copy, touch_copy},
    {"folder", tell_folder, apply_folder, nullptr},
    {"page", tell_page, apply_page, nullptr},
    {"retell", tell_retell, apply_retell, nullptr},
    {"remove-tree", tell_remove_tree, apply_remove_tree, nullptr, touch_removed},
    {"release", tell_release, apply_release, nullptr, touch_released},
    {"archive", tell_archive, apply_archive, revert_archive, touch_archive},
    {"unpack", tell_unpack, apply_unpack, nullptr, touch_unpacked},
};

}  // namespace

std::span<const StepKind> tree_kinds() { return kKinds; }

Step move_step(const std::string& from, const std::string& to) {
  return {"move", {{"from", from}, {"to", to}}};
}
Step copy_step(const std::string& from, const std::string& to, const std::string& user) {
  return {"copy", {{"from", from}, {"to", to}, {"user", user}}};
}
Step folder_step(const std::string& home, const std::string& path, const std::string& user) {
  return {"folder", {{"home", home}, {"path", path}, {"user", user}}};
}
Step page_step(const std::string& directory, const std::string& name, const std::string& text,
               const std::string& user, unsigned mode) {
  char octal[16];
  std::snprintf(octal, sizeof octal, "%04o", mode);
  return {
      "page",
      {{"directory", directory}, {"name", name}, {"text", text}, {"user", user}, {"mode", octal}}};
}
Step retell_step(const std::string& directory, const std::string& name, const std::string& user,
                 const std::vector<std::pair<std::string, std::string>>& words) {
  Step step{"retell", {{"directory", directory}, {"name", name}, {"user", user}}};
  for (size_t i = 0; i < words.size(); ++i) {
    step.with["old" + std::to_string(i)] = words[i].first;
    step.with["new" + std::to_string(i)] = words[i].second;
  }
  return step;
}
Step remove_tree_step(const std::string& path) { return {"remove-tree", {{"path", path}}}; }
Step release_step(const std::string& path, const std::string& user, uid_t uid) {
  return {"release", {{"path", path}, {"user", user}, {"uid", std::to_string(uid)}}};
}
Step archive_step(const std::string& file, const Packed& what, const std::string& facts) {
  Step step{"archive",
            {{"file", file}, {"home", what.home}, {"folders", what.folders}, {"user", what.user}}};
  step.with["facts"] = facts;
  if (!what.root.empty()) step.with["root"] = what.root;
  return step;
}
Step unpack_step(const std::string& file, const std::string& home, const std::string& user) {
  return {"unpack", {{"file", file}, {"home", home}, {"user", user}}};
}

}  // namespace bulkhead::sites
