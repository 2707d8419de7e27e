#include "sites/journal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "sites/program.h"
#include "sites/step_kinds.h"
#include "sites/steps.h"
#include "sites/tree.h"
#include "sys/files.h"

namespace bulkhead::sites {
namespace {

class JournalTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/bh-journal-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    top_ = name;
    reset();
  }
  void TearDown() override { ASSERT_TRUE(remove_tree(top_)); }

  // The old state: one file to change, one to delete, one link to turn.
  void reset() {
    ASSERT_TRUE(remove_tree(top_));
    ASSERT_EQ(::mkdir(top_.c_str(), 0755), 0);
    put("changed", "old");
    put("deleted", "precious");
    ASSERT_EQ(::symlink("old-target", at("link").c_str()), 0);
  }
  std::string at(const std::string& name) const { return top_ + "/" + name; }
  void put(const std::string& name, const std::string& text) {
    ASSERT_TRUE(sys::write_file_atomically(at(name), text, 0600));
  }

  Work work() {
    Work work;
    work.command = "site test";
    work.steps = {directory_step(at("new"), 0750),      *write_step(at("new/file"), "inside"),
                  *write_step(at("changed"), "new"),    *delete_step(at("deleted")),
                  *link_step(at("link"), "new-target"), move_step(at("new/file"), at("new/moved"))};
    work.finish = {remove_tree_step(at("link"))};
    return work;
  }

  Journal::Options options() {
    Journal::Options options;
    options.directory = at("journal");
    options.command = "site test";
    options.kinds = step_kinds();
    options.tell = [this](const std::string& line) { told_ += line + "\n"; };
    return options;
  }

  // Everything below top_ but the journal, as one text.
  std::string state() {
    std::string out;
    for (const char* name : {"changed", "deleted", "new/file", "new/moved"}) {
      auto text = sys::read_file(at(name));
      out += std::string(name) + "=" + (text ? *text : "-") + " ";
    }
    char target[64];
    const ssize_t size = ::readlink(at("link").c_str(), target, sizeof target);
    return out + "link=" + (size < 0 ? "-" : std::string(target, static_cast<size_t>(size))) +
           (exists(at("new")) ? " new" : "");
  }

  // Runs the work in a child that dies by SIGKILL at the n-th point.  False: it came to its end.
  bool killed_at(int n) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      auto with = options();
      int left = n;
      with.between = [&left] {
        if (left-- == 0) ::kill(::getpid(), SIGKILL);
      };
      auto journal = Journal::open(std::move(with));
      ::_exit(journal && journal->run(work()) ? 0 : 1);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status);
  }

  std::string top_, told_;
};

TEST_F(JournalTest, KilledAtAnyPointLeavesTheOldStateOrTheNewOne) {
  const std::string before = state();
  const std::string after = "changed=new deleted=- new/file=- new/moved=inside link=- new";
  int olds = 0, news = 0;
  for (int n = 0;; ++n) {
    reset();
    const bool killed = killed_at(n);
    told_.clear();
    {
      auto again = Journal::open(options());
      ASSERT_TRUE(again) << again.error().describe();
    }
    const std::string now = state();
    EXPECT_TRUE(now == before || now == after) << "killed at " << n << ": " << now;
    ++(now == before ? olds : news);
    EXPECT_FALSE(Journal::is_pending(at("journal")));
    EXPECT_FALSE(exists(at("changed.new~")));
    if (!killed) break;
    EXPECT_NE(told_.find(now == before ? "undid" : "finished"), std::string::npos) << n << told_;
  }
  EXPECT_GE(olds, 8);  // a point before each step at least
  EXPECT_GE(news, 2);  // one within `finish`, and the run that nobody killed
}

TEST_F(JournalTest, IsKilledAgainWhileItUndoesAndStillEndsWell) {
  const std::string before = state();
  for (int n = 0;; ++n) {
    reset();
    ASSERT_TRUE(killed_at(9));
    const pid_t pid = ::fork();
    if (pid == 0) {
      auto with = options();
      int left = n;
      with.between = [&left] {
        if (left-- == 0) ::kill(::getpid(), SIGKILL);
      };
      ::_exit(Journal::open(std::move(with)) ? 0 : 1);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    ASSERT_TRUE(Journal::open(options()));
    EXPECT_EQ(state(), before) << n;
    if (!WIFSIGNALED(status)) break;
  }
}

TEST_F(JournalTest, AStepThatFailsUndoesThoseBeforeIt) {
  const std::string before = state();
  Work failing = work();
  failing.steps.push_back(*write_step(at("no-such-directory/file"), "x"));
  auto journal = Journal::open(options());
  ASSERT_TRUE(journal);
  auto done = journal->run(failing);
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().text.find("no-such-directory"), std::string::npos);
  EXPECT_EQ(state(), before);
  EXPECT_FALSE(Journal::is_pending(at("journal")));
}

TEST_F(JournalTest, AnInterruptionUndoes) {
  const std::string before = state();
  auto with = options();
  int asked = 0;
  with.is_interrupted = [&asked] { return ++asked > 3; };
  auto journal = Journal::open(std::move(with));
  ASSERT_TRUE(journal);
  auto done = journal->run(work());
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().text, "interrupted");
  EXPECT_EQ(state(), before);
}

TEST_F(JournalTest, ASecondCommandIsToldWhoHoldsTheLock) {
  auto first = Journal::open(options());
  ASSERT_TRUE(first);
  const pid_t pid = ::fork();
  if (pid == 0) {
    auto second = Journal::open(options());
    const std::string wanted = "in use by pid " + std::to_string(::getppid()) + ": site test";
    ::_exit(!second && second.error().text.starts_with(wanted) ? 0 : 1);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(JournalTest, AProgramThatOutlivesUsKeepsTheLock) {
  const std::string pipe = at("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    auto journal = Journal::open(options());
    // Ends when somebody has written a line.
    (void)run_program({.argv = {"sh", "-c", "echo ready > " + pipe + "; read line < " + pipe}});
    ::_exit(0);
  }
  ASSERT_TRUE(sys::read_file(pipe));  // it runs
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  auto early = Journal::open(options());
  ASSERT_FALSE(early);
  EXPECT_TRUE(early.error().text.starts_with("in use by pid " + std::to_string(pid)));
  sys::Fd writer(::open(pipe.c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(sys::write_all(writer, "done\n"));
  auto with = options();
  with.patience = std::chrono::seconds(20);
  EXPECT_TRUE(Journal::open(std::move(with)));
}

TEST_F(JournalTest, HalfAJournalIsRefusedWithItsPath) {
  ASSERT_TRUE(Journal::open(options()));
  put("journal/current", "{\"command\": \"site x\", \"steps\"");
  auto journal = Journal::open(options());
  ASSERT_FALSE(journal);
  EXPECT_NE(journal.error().text.find(at("journal/current")), std::string::npos);
}

TEST_F(JournalTest, ADirectoryThatOthersMayChangeIsRefused) {
  ASSERT_EQ(::mkdir(at("journal").c_str(), 0700), 0);
  ASSERT_EQ(::chmod(at("journal").c_str(), 0770), 0);
  EXPECT_FALSE(Journal::open(options()));
}

TEST(Work, ComesBackFromItsText) {
  Work work;
  work.command = "site add \"a\"";
  work.steps = {{"write", {{"path", "/x"}, {"text", "line\n\"quoted\"\t\\"}}}};
  work.finish = {{"remove-tree", {{"path", "/y"}}}};
  auto back = parse_work(to_text(work));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->command, work.command);
  EXPECT_EQ(back->steps[0].word("text"), "line\n\"quoted\"\t\\");
  EXPECT_EQ(back->finish[0].kind, "remove-tree");
  for (const char* wrong : {"", "[]", "{}", "{\"command\":1,\"steps\":[],\"finish\":[]}",
                            "{\"command\":\"x\",\"steps\":[{\"kind\":\"a\",\"with\":{\"b\":1}}],"
                            "\"finish\":[]}"}) {
    EXPECT_FALSE(parse_work(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace bulkhead::sites
