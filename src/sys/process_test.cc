#include "sys/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "sys/message.h"
#include "sys/signals.h"
#include "sys/sockets.h"

namespace bulkhead::sys {
namespace {

std::optional<Ended> wait_for(const Child& child) {
  pollfd ready{child.pidfd.get(), POLLIN, 0};
  ::poll(&ready, 1, 10'000);
  return reap(child.pidfd);
}
Spawn shell(const std::string& script) {
  Spawn s;
  s.program = "/bin/sh";
  s.argv = {"sh", "-c", script};
  s.env = {"PATH=/usr/bin:/bin"};
  return s;
}

TEST(Process, ReportsHowAChildEnded) {
  auto exited = spawn(shell("exit 7"));
  ASSERT_TRUE(exited);
  auto ended = wait_for(*exited);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->how, Ended::How::kExited);
  EXPECT_EQ(ended->value, 7);
  auto killed = spawn(shell("kill -9 $$"));
  ASSERT_TRUE(killed);
  ended = wait_for(*killed);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->how, Ended::How::kSignalled);
  EXPECT_EQ(ended->value, SIGKILL);
}

TEST(Process, ReportsAProgramThatIsMissing) {
  Spawn s = shell("");
  s.program = "/nonexistent/program";
  auto child = spawn(s);
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().errno_value, ENOENT);
}

TEST(Process, ReportsAnErrorBetweenForkAndExec) {
  Spawn s = shell("");
  s.in_child = [] { return Status(fail_errno("cannot", EPERM)); };
  auto child = spawn(s);
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().describe(), "cannot (1: Operation not permitted)");
}

TEST(Process, GivesTheChildExactlyTheDescriptorsNamed) {
  auto pair = std::move(*seqpacket_pair());
  Fd not_cloexec(::open("/dev/null", O_RDONLY));  // must stay behind all the same
  ASSERT_TRUE(not_cloexec.valid());
  // `ls` itself opens one descriptor for the directory.
  Spawn s = shell("ls /proc/self/fd | tr '\\n' ' ' >&3");
  s.fds = {pair.second};
  auto child = spawn(s);
  ASSERT_TRUE(child);
  ASSERT_TRUE(wait_for(*child));
  char buffer[256];
  size_t size = 0;
  std::vector<Fd> fds;
  ASSERT_EQ(receive_message(pair.first, buffer, &size, &fds), ReceiveResult::kMessage);
  std::string list(buffer, size);
  EXPECT_TRUE(list == "0 1 2 3 4 " || list == "0 1 2 3 ") << list;
}

TEST(Process, StartsChildrenWithDefaultSignals) {
  auto source = SignalSource::create({SIGUSR1});
  ASSERT_TRUE(source);
  ignore_sigpipe();
  auto child =
      spawn(shell("grep -E '^Sig(Blk|Ign)' /proc/self/status | grep -qv '0000000000000000' "
                  "&& exit 1; exit 0"));
  ASSERT_TRUE(child);
  auto ended = wait_for(*child);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->value, 0);
}

TEST(Process, NamesWhoSentASignal) {
  auto source = SignalSource::create({SIGUSR2});
  ASSERT_TRUE(source);
  ::kill(::getpid(), SIGUSR2);
  auto signal = source->next();
  ASSERT_TRUE(signal);
  EXPECT_EQ(signal->number, SIGUSR2);
  EXPECT_EQ(signal->sender, ::getpid());
  EXPECT_FALSE(source->next());
  EXPECT_EQ(signal_name(SIGUSR2), "SIGUSR2");
}

TEST(Process, KnowsWhoAPidfdIs) {
  auto pidfd = open_pidfd(::getpid());
  ASSERT_TRUE(pidfd);
  EXPECT_EQ(pid_of(*pidfd), ::getpid());
}

TEST(Process, BecomesAnotherUserForGood) {
  if (!is_root()) GTEST_SKIP() << "needs root";
  auto who = find_identity("nobody", "");
  ASSERT_TRUE(who);
  Spawn s = shell("test $(id -u) = " + std::to_string(who->uid));
  s.in_child = [&] { return become(*who); };
  auto child = spawn(s);
  ASSERT_TRUE(child);
  auto ended = wait_for(*child);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->value, 0);
}

TEST(Users, ResolvesNamesAndNumbers) {
  EXPECT_EQ(find_uid("root"), 0u);
  EXPECT_EQ(find_uid("12345"), 12345u);
  EXPECT_FALSE(find_uid("no-such-user"));
  EXPECT_FALSE(find_uid("-1"));
  EXPECT_FALSE(find_uid("4294967295"));
  EXPECT_EQ(find_gid("root"), 0u);
  EXPECT_EQ(user_name(0), "root");
  EXPECT_EQ(find_identity("no-such-user", "").error().text,
            "cannot get uid for user 'no-such-user'");
  EXPECT_EQ(find_identity("root", "no-such-group").error().text,
            "cannot get gid for group 'no-such-group'");
}

}  // namespace
}  // namespace bulkhead::sys
