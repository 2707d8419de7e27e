// Steps: files, links and directories in places that only root can change.
//
// Runs in: bulkhead-site (root).  Input: paths and texts of our own.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "sites/file_look.h"
#include "sites/step_kinds.h"
#include "sites/steps.h"
#include "sites/tree.h"
#include "sys/files.h"
#include "sys/users.h"

namespace bulkhead::sites {
namespace {

constexpr size_t kFileMax = 8u << 20;

Result<gid_t> group_of(const std::string& name) {
  if (name.empty()) return ::getegid();
  auto gid = sys::find_gid(name);
  if (!gid) return fail("there is no group \"" + name + "\"");
  return *gid;
}
Result<Owner> owner_of(const std::string& user, const std::string& group) {
  Owner owner{::geteuid(), ::getegid()};
  if (!user.empty()) {
    auto uid = sys::find_uid(user);
    if (!uid) return fail("there is no user \"" + user + "\"");
    owner.uid = *uid;
  }
  if (!group.empty()) owner.gid = TRY(group_of(group));
  return owner;
}

// Readers see the old file or the new one, also after a loss of power.
Status write_whole(const std::string& path, const std::string& text, const FileFacts& facts) {
  std::string name;
  const sys::Fd directory = TRY(sys::open_directory_of(path, &name));
  const std::string beside = name + ".new~";
  (void)::unlinkat(directory.get(), beside.c_str(), 0);
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  sys::Fd fd(::openat(directory.get(), beside.c_str(), kFlags, 0600));
  if (!fd.valid()) return fail_errno("cannot write " + path);
  Status done = give_facts(fd, facts);
  if (done && !(sys::write_all(fd, text) && ::fsync(fd.get()) == 0 &&
                ::renameat(directory.get(), beside.c_str(), directory.get(), name.c_str()) == 0)) {
    done = fail_errno("writing failed");
  }
  if (done) return {};
  (void)::unlinkat(directory.get(), beside.c_str(), 0);
  return fail_errno("cannot write " + path + ": " + done.error().text, done.error().errno_value);
}

Status unlink_it(const std::string& path) {
  std::string name;
  auto directory = sys::open_directory_of(path, &name);
  if (!directory && directory.error().errno_value == ENOENT) return {};
  if (!directory) return std::unexpected(directory.error());
  if (::unlinkat(directory->get(), name.c_str(), 0) < 0 && errno != ENOENT) {
    return fail_errno("cannot remove " + path);
  }
  (void)::unlinkat(directory->get(), (name + ".new~").c_str(), 0);  // of a write that was cut off
  return {};
}

Status put_link(const std::string& path, const std::string& target) {
  std::string name;
  const sys::Fd directory = TRY(sys::open_directory_of(path, &name));
  const std::string beside = name + ".new~";
  (void)::unlinkat(directory.get(), beside.c_str(), 0);
  if (::symlinkat(target.c_str(), directory.get(), beside.c_str()) < 0 ||
      ::renameat(directory.get(), beside.c_str(), directory.get(), name.c_str()) < 0) {
    return fail_errno("cannot make the link " + path);
  }
  return {};
}

// What is at a path now, as words of a step: "old" (a text) with its facts, or "old_link".
Status remember(const std::string& path, Step* step) {
  struct stat st {};
  if (::lstat(path.c_str(), &st) < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return {};
    return fail_errno("cannot look at " + path);
  }
  if (S_ISLNK(st.st_mode)) {
    char target[4096];
    const ssize_t size = ::readlink(path.c_str(), target, sizeof target);
    if (size < 0) return fail_errno("cannot read the link " + path);
    step->with["old_link"] = std::string(target, static_cast<size_t>(size));
    return {};
  }
  if (!S_ISREG(st.st_mode)) return fail(path + " is neither a file nor a link: move it away");
  const sys::Fd file = TRY(sys::open_trusted(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW));
  put_facts(TRY(facts_of_file(file)), step);
  step->with["old"] = TRY(sys::read_file(path, kFileMax));
  return {};
}

Status put_back(const Step& step) {
  const std::string& path = step.word("path");
  if (step.has("old_link")) return put_link(path, step.word("old_link"));
  if (!step.has("old")) return unlink_it(path);
  return write_whole(path, step.word("old"), facts_in(step));
}

std::string tell_write(const Step& step) {
  const std::string& text = step.word("text");
  const auto lines = std::count(text.begin(), text.end(), '\n');
  return std::string(step.has("old") ? "change " : "write ") + step.word("path") + " (" +
         std::to_string(lines) + (lines == 1 ? " line)" : " lines)");
}
Status apply_write(const Step& step) {
  FileFacts facts;
  if (step.has("old_mode")) {
    facts = facts_in(step);  // what the administrator made of it
  } else {
    facts = {::geteuid(), TRY(group_of(step.word("group"))), from_octal(step.word("mode")), "",
             false};
  }
  return write_whole(step.word("path"), step.word("text"), facts);
}

std::string tell_delete(const Step& step) { return "remove " + step.word("path"); }
Status apply_delete(const Step& step) { return unlink_it(step.word("path")); }

std::string tell_link(const Step& step) {
  return "link " + step.word("path") + " -> " + step.word("target");
}
Status apply_link(const Step& step) { return put_link(step.word("path"), step.word("target")); }

std::string tell_directory(const Step& step) {
  auto name = [&](const char* word) { return step.has(word) ? step.word(word) : "root"; };
  return "make directory " + step.word("path") + " (" + name("user") + ":" + name("group") +
         ", mode " + step.word("mode") + ")";
}
Status apply_directory(const Step& step) {
  if (!step.has("made")) return {};  // it was there: its owner and mode are the administrator's
  const Owner owner = TRY(owner_of(step.word("user"), step.word("group")));
  TRY_STATUS(make_parents(step.word("path")));
  return make_directory(step.word("path"), from_octal(step.word("mode")), owner);
}
Status revert_directory(const Step& step) {
  return step.has("made") ? remove_tree(step.word("path")) : Status();
}

void touch_entry(const Step& step, Touched* touched) {
  touched->directories.insert(parent_of(step.word("path")));
}
// Its parents may be new, too.
void touch_directory(const Step& step, Touched* touched) {
  for (std::string at = step.word("path"); !at.empty(); at.resize(at.rfind('/'))) {
    touched->directories.insert(at);
  }
}

constexpr StepKind kKinds[] = {
    {"write", tell_write, apply_write, put_back, touch_entry},
    {"delete", tell_delete, apply_delete, put_back, touch_entry},
    {"link", tell_link, apply_link, put_back, touch_entry},
    {"directory", tell_directory, apply_directory, revert_directory, touch_directory},
};

}  // namespace

std::span<const StepKind> file_kinds() { return kKinds; }

Result<Step> write_step(const std::string& path, const std::string& text, const FileLook& look) {
  Step step{"write", {{"path", path}, {"text", text}, {"mode", octal(look.mode)}}};
  if (!look.group.empty()) step.with["group"] = look.group;
  TRY_STATUS(remember(path, &step));
  if (!look.like.empty() && !step.has("old_mode")) {
    const sys::Fd like = TRY(sys::open_trusted(look.like, O_RDONLY | O_NONBLOCK | O_NOFOLLOW));
    put_facts(TRY(facts_of_file(like)), &step);
  }
  return step;
}

Result<Step> delete_step(const std::string& path) {
  Step step{"delete", {{"path", path}}};
  TRY_STATUS(remember(path, &step));
  return step;
}

Result<Step> link_step(const std::string& path, const std::string& target) {
  Step step{"link", {{"path", path}, {"target", target}}};
  TRY_STATUS(remember(path, &step));
  return step;
}

Step directory_step(const std::string& path, unsigned mode, const std::string& user,
                    const std::string& group) {
  Step step{"directory", {{"path", path}, {"mode", octal(mode)}}};
  if (!user.empty()) step.with["user"] = user;
  if (!group.empty()) step.with["group"] = group;
  if (!exists(path)) step.with["made"] = "yes";
  return step;
}

}  // namespace bulkhead::sites
