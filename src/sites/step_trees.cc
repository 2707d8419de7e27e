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
  const auto who = TRY(sys::find_identity(step.word("user"), ""));
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

std::string tell_folder(const Step& step) {
  return "make directory " + step.word("home") + "/" + step.word("path") + " (as user " +
         step.word("user") + ")";
}
Status apply_folder(const Step& step) {
  const auto who = TRY(sys::find_identity(step.word("user"), ""));
  const sys::Fd home = TRY(open_in_roots(step.word("home"), O_PATH | O_DIRECTORY));
  return as_user(who, [&]() -> Status {
    const std::string& path = step.word("path");
    const size_t slash = path.rfind('/');
    const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash);
    const sys::Fd at = TRY(open_below(home, parent, O_PATH | O_DIRECTORY));
    const std::string name = path.substr(slash + 1);  // npos + 1 is 0
    ::umask(0);
    if (::mkdirat(at.get(), name.c_str(), 0750) == 0 || errno == EEXIST) return {};
    return fail_errno("cannot make " + path);
  });
}

std::string tell_page(const Step& step) {
  return "write " + step.word("directory") + "/" + step.word("name") + " (as user " +
         step.word("user") + ")";
}
Status apply_page(const Step& step) {
  const auto who = TRY(sys::find_identity(step.word("user"), ""));
  const sys::Fd directory = TRY(open_in_roots(step.word("directory"), O_PATH | O_DIRECTORY));
  return as_user(who, [&]() -> Status {
    ::umask(0);
    const auto mode = static_cast<mode_t>(std::strtoul(step.word("mode").c_str(), nullptr, 8));
    auto fd = open_below(directory, step.word("name"), O_WRONLY | O_CREAT | O_EXCL, mode);
    if (!fd && fd.error().errno_value == EEXIST) return {};
    if (!fd) return std::unexpected(fd.error());
    return sys::write_all(*fd, step.word("text")) ? Status() : fail_errno("cannot write a page");
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
  const auto who = TRY(sys::find_identity(step.word("user"), ""));
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
                      sys::write_all(*file, text);
    return done ? Status() : fail_errno("cannot write " + step.word("name"));
  });
}

std::string tell_remove_tree(const Step& step) {
  return "remove " + step.word("path") + " for good";
}
Status apply_remove_tree(const Step& step) { return remove_tree(step.word("path")); }

std::string tell_archive(const Step& step) { return "archive to " + step.word("file"); }
// Two members: what the site owns, read by its own user, and our facts about it.
Status apply_archive(const Step& step) {
  const auto who = TRY(sys::find_identity(step.word("user"), ""));
  const std::string& file = step.word("file");
  TRY_STATUS(make_directory(file, 0700, {::geteuid(), ::getegid()}));
  TRY_STATUS(sys::write_file_atomically(file + "/site.json", step.word("facts"), 0600));
  sys::Fd out(::open((file + "/files.tar.zst").c_str(),
                     O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!out.valid()) return fail_errno("cannot write " + file + "/files.tar.zst");
  Program tar;
  tar.argv = {"tar", "--create", "--zstd", "--one-file-system", "--sparse", "--file=-", "--"};
  for (const std::string& folder : words_of(step.word("folders"))) tar.argv.push_back(folder);
  tar.user = &who;
  tar.directory = step.word("home");
  tar.out = out;
  if (auto done = must_run(tar); !done) {
    return fail(done.error().text + "; nothing was removed: make the files readable for user " +
                who.name + ", or use --purge");
  }
  return ::fsync(out.get()) == 0 ? Status() : fail_errno("cannot write " + file);
}
Status revert_archive(const Step& step) { return remove_tree(step.word("file")); }

std::string tell_unpack(const Step& step) {
  return "unpack " + step.word("file") + " into " + step.word("home") + " (as user " +
         step.word("user") + ")";
}
Status apply_unpack(const Step& step) {
  const auto who = TRY(sys::find_identity(step.word("user"), ""));
  sys::Fd in = TRY(sys::open_trusted(step.word("file") + "/files.tar.zst", O_RDONLY));
  Program tar;
  tar.argv = {"tar",      "--extract",       "--zstd",
              "--file=-", "--no-same-owner", "--preserve-permissions"};
  tar.user = &who;
  tar.directory = step.word("home");
  tar.in = in;
  return must_run(tar);
}

constexpr StepKind kKinds[] = {
    {"move", tell_move, apply_move, revert_move},
    {"copy", tell_copy, apply_copy, revert_copy},
    {"folder", tell_folder, apply_folder, nullptr},
    {"page", tell_page, apply_page, nullptr},
    {"retell", tell_retell, apply_retell, nullptr},
    {"remove-tree", tell_remove_tree, apply_remove_tree, nullptr},
    {"archive", tell_archive, apply_archive, revert_archive},
    {"unpack", tell_unpack, apply_unpack, nullptr},
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
Step archive_step(const std::string& file, const std::string& home, const std::string& folders,
                  const std::string& user, const std::string& facts) {
  return {"archive",
          {{"file", file}, {"home", home}, {"folders", folders}, {"user", user}, {"facts", facts}}};
}
Step unpack_step(const std::string& file, const std::string& home, const std::string& user) {
  return {"unpack", {{"file", file}, {"home", home}, {"user", user}}};
}

}  // namespace bulkhead::sites
