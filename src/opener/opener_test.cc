// The opener as a process of a real user, asked over a real channel, beside a real neighbour.
#include "opener/opener.h"

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>

#include "sys/message.h"
#include "sys/sockets.h"
#include "sys/stream_io.h"

namespace bulkhead::opener {
namespace {

namespace fs = std::filesystem;
constexpr uid_t kSite = 12345;
constexpr uid_t kNeighbour = 12346;

struct Answer {
  ipc::FileReply reply{};
  sys::Fd fd;
  std::string payload;
  bool arrived = false;
  [[nodiscard]] std::string text() const {
    char buffer[1024];
    ssize_t n = ::pread(fd.get(), buffer, sizeof buffer, 0);
    return n < 0 ? "(" + std::to_string(errno) + ")" : std::string(buffer, n);
  }
};

// A site's and a neighbour's trees, and an opener that runs as the site.
class OpenerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be two users";
    char name[] = "/tmp/bh-opener-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    root_ = name;
    ::chmod(name, 0755);
    directory("site", kSite, 0700);
    directory("site/releases", kSite);
    directory("site/releases/7", kSite);
    file("site/releases/7/index.html", kSite, 0600, "seven");
    file("site/plain.txt", kSite, 0400, "plain");
    directory("neighbour", kNeighbour);
    file("neighbour/config.php", kNeighbour, 0400, "secret");
    file("neighbour/readable.txt", kNeighbour, 0644, "readable secret");
    directory("neighbour/public", kNeighbour);
    file("neighbour/public/page.html", kNeighbour, 0644, "page");
    directory("shared", 0);
    file("shared/lib.js", 0, 0644, "shared");
    auto pair = sys::seqpacket_pair();
    ASSERT_TRUE(pair);
    channel_ = std::move(pair->first);
    child_ = ::fork();
    if (child_ == 0) {
      channel_.reset();
      run_opener(std::move(pair->second));
    }
    ::fcntl(channel_.get(), F_SETFL, 0);  // the test waits
  }
  void TearDown() override {
    if (child_ > 0) {
      ::kill(child_, SIGKILL);
      ::waitpid(child_, nullptr, 0);
    }
    if (!root_.empty()) fs::remove_all(root_);
  }

  [[noreturn]] static void run_opener(sys::Fd socket) {
    if (::setgroups(0, nullptr) != 0 || ::setgid(kSite) != 0 || ::setuid(kSite) != 0) ::_exit(1);
    auto loop = loop::EventLoop::create();
    std::vector<sys::Fd> channels;
    channels.push_back(std::move(socket));
    auto opener = Opener::create(**loop, std::move(channels),
                                 {.spawn = {}, .closed = [&loop] { (*loop)->stop(); }});
    (*loop)->run();
    ::_exit(0);
  }

  [[nodiscard]] std::string at(const std::string& relative) const { return root_ + "/" + relative; }
  void own(const std::string& path, uid_t uid) {
    ASSERT_EQ(::lchown(at(path).c_str(), uid, uid), 0) << path;
  }
  void directory(const std::string& path, uid_t uid, mode_t mode = 0755) {
    ::mkdir(at(path).c_str(), mode);
    own(path, uid);
  }
  void file(const std::string& path, uid_t uid, mode_t mode, std::string_view text) {
    sys::Fd fd(::open(at(path).c_str(), O_WRONLY | O_CREAT | O_TRUNC, mode));
    ASSERT_EQ(::write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    own(path, uid);
  }
  void link(const std::string& path, const std::string& target, uid_t uid) {
    ASSERT_EQ(::symlink(target.c_str(), at(path).c_str()), 0) << path;
    own(path, uid);
  }

  Answer ask(ipc::FileOp op, const std::string& path,
             ipc::SymlinkRule rule = ipc::SymlinkRule::kOwned, size_t from = 0) {
    ipc::FileRequest request{};
    request.id = ++last_id_;
    request.op = op;
    request.rule = rule;
    request.path_size = static_cast<uint16_t>(path.size());
    request.from_size = static_cast<uint16_t>(from);
    std::string_view head(reinterpret_cast<const char*>(&request), sizeof request);
    EXPECT_EQ(sys::send_message(channel_, head, path), sys::SendResult::kSent);
    return receive();
  }
  Answer receive() {
    Answer answer;
    char buffer[8192];
    size_t size = 0;
    std::vector<sys::Fd> fds;
    auto got = sys::receive_message(channel_, buffer, &size, &fds);
    if (got != sys::ReceiveResult::kMessage || size < sizeof answer.reply) return answer;
    std::memcpy(&answer.reply, buffer, sizeof answer.reply);
    answer.payload.assign(buffer + sizeof answer.reply, size - sizeof answer.reply);
    EXPECT_EQ(answer.reply.id, last_id_);
    EXPECT_EQ(fds.size(), answer.reply.has_fd);
    EXPECT_EQ(answer.payload.size(), answer.reply.payload_size);
    if (!fds.empty()) answer.fd = std::move(fds[0]);
    answer.arrived = true;
    return answer;
  }
  // The file's text, or the name of the errno.
  std::string open(const std::string& relative, ipc::SymlinkRule rule = ipc::SymlinkRule::kOwned,
                   size_t from = 0) {
    Answer answer = ask(ipc::FileOp::kOpen, at(relative), rule, from);
    if (!answer.arrived) return "no answer";
    if (answer.reply.error != 0) return ::strerrorname_np(answer.reply.error);
    if (answer.reply.type == ipc::FileType::kDirectory) return "directory";
    return answer.text();
  }

  std::string root_;
  sys::Fd channel_;
  pid_t child_ = -1;
  uint32_t last_id_ = 0;
};

TEST_F(OpenerTest, OpensWhatTheSitesUserMayRead) {
  EXPECT_EQ(open("site/plain.txt"), "plain") << "mode 0400 in a directory of mode 0700";
  EXPECT_EQ(open("site/releases"), "directory");
  EXPECT_EQ(open("site/releases/"), "directory");
  EXPECT_EQ(open("site/./releases/../plain.txt"), "plain");
  EXPECT_EQ(open("site/plain.txt/"), "ENOTDIR");
  EXPECT_EQ(open("shared/lib.js"), "shared");
}

TEST_F(OpenerTest, OpensNothingThatOnlyTheNeighbourMayRead) {
  EXPECT_EQ(open("neighbour/config.php"), "EACCES");
  Answer answer = ask(ipc::FileOp::kOpen, at("neighbour/config.php"));
  EXPECT_EQ(answer.reply.type, ipc::FileType::kRegular) << "it is there, but unreadable";
  EXPECT_FALSE(answer.fd.valid());
}

TEST_F(OpenerTest, FollowsLinksInsideTheSitesOwnTrees) {
  link("site/current", "releases/7", kSite);
  EXPECT_EQ(open("site/current/index.html"), "seven");
  link("site/absolute", at("site/current/index.html"), kSite);
  EXPECT_EQ(open("site/absolute"), "seven");
  link("site/releases/up", "../plain.txt", kSite);
  EXPECT_EQ(open("site/releases/up"), "plain");
  EXPECT_EQ(open("site/current"), "directory");
  EXPECT_EQ(open("site/current/"), "directory");
}

TEST_F(OpenerTest, FollowsLinksThatRootMade) {
  link("site/lib", at("shared"), 0);
  EXPECT_EQ(open("site/lib/lib.js"), "shared");
  link("site/page", at("neighbour/public/page.html"), 0);
  EXPECT_EQ(open("site/page"), "page") << "root meant it";
  link("site/rooted", at("neighbour/config.php"), 0);
  EXPECT_EQ(open("site/rooted"), "EACCES") << "but the site's user still may not read it";
}

TEST_F(OpenerTest, RefusesTheSitesLinksToWhatItDoesNotOwn) {
  link("site/steal", at("neighbour/config.php"), kSite);
  link("site/readable", at("neighbour/readable.txt"), kSite);
  link("site/tree", at("neighbour/public"), kSite);
  link("site/etc", "/etc", kSite);
  link("site/root", "/", kSite);
  link("site/chain2", at("neighbour/readable.txt"), kSite);
  link("site/chain", "chain2", kSite);
  link("site/mixed2", at("neighbour/readable.txt"), 0);
  link("site/mixed", "mixed2", kSite);
  for (const char* path :
       {"steal", "readable", "tree", "tree/page.html", "etc/passwd", "chain", "mixed", "root"}) {
    EXPECT_EQ(open(std::string("site/") + path), "ELOOP") << path;
  }
  EXPECT_EQ(open("site/root/etc/passwd"), "ELOOP");
  EXPECT_EQ(open("site/mixed2"), "readable secret") << "a link of root's";
}

TEST_F(OpenerTest, RefusesLoopsAndDanglingLinks) {
  link("site/a", "b", kSite);
  link("site/b", "a", kSite);
  EXPECT_EQ(open("site/a"), "ELOOP");
  link("site/dangling", "nowhere", kSite);
  EXPECT_EQ(open("site/dangling"), "ENOENT");
}

TEST_F(OpenerTest, AppliesDisableSymlinks) {
  link("site/current", "releases/7", kSite);
  link("site/by-root", "releases/7", 0);
  link("site/releases/7/own", "index.html", kSite);
  size_t from = at("site/current").size();
  using Rule = ipc::SymlinkRule;
  EXPECT_EQ(open("site/plain.txt", Rule::kOff), "plain");
  EXPECT_EQ(open("site/current/index.html", Rule::kOff), "ELOOP");
  EXPECT_EQ(open("site/current/index.html", Rule::kOff, from), "seven");
  EXPECT_EQ(open("site/current/own", Rule::kOff, from), "ELOOP");
  EXPECT_EQ(open("site/current/own", Rule::kIfNotOwner), "seven");
  EXPECT_EQ(open("site/by-root/index.html", Rule::kIfNotOwner), "ELOOP");
  EXPECT_EQ(open("site/by-root/index.html", Rule::kOwned), "seven");
  link("site/to-neighbour", at("neighbour/public"), kSite);
  EXPECT_EQ(open("site/to-neighbour/page.html", Rule::kOff, at("site/to-neighbour").size()),
            "ELOOP")
      << "from= does not lift our own rule";
}

TEST_F(OpenerTest, OpensNothingButFilesAndDirectories) {
  ASSERT_EQ(::mkfifo(at("site/fifo").c_str(), 0666), 0);
  own("site/fifo", kSite);
  EXPECT_EQ(open("site/fifo"), "EACCES");
  EXPECT_EQ(open("../../dev/null"), "EACCES");
  link("site/pipe", "fifo", kSite);
  EXPECT_EQ(open("site/pipe"), "EACCES");
}

TEST_F(OpenerTest, NamesTheNearestDirectoryOfAMiss) {
  struct stat want {};
  ASSERT_EQ(::stat(at("site/releases").c_str(), &want), 0);
  link("site/rel", "releases", kSite);
  for (const char* path : {"site/releases/8/index.html", "site/rel/8/index.html"}) {
    Answer answer = ask(ipc::FileOp::kOpen, at(path));
    EXPECT_EQ(answer.reply.error, ENOENT);
    ASSERT_TRUE(answer.fd.valid());
    EXPECT_EQ(answer.reply.fd_is_parent, 1);
    struct stat st {};
    ASSERT_EQ(::fstat(answer.fd.get(), &st), 0);
    EXPECT_EQ(st.st_ino, want.st_ino) << path;
    EXPECT_NE(::fcntl(answer.fd.get(), F_GETFL) & O_PATH, 0);
  }
}

TEST_F(OpenerTest, ListsADirectory) {
  file("site/.hidden", kSite, 0644, "");
  Answer answer = ask(ipc::FileOp::kList, at("site"));
  ASSERT_EQ(answer.reply.error, 0);
  std::string bytes(4096, '\0');
  bytes.resize(static_cast<size_t>(::pread(answer.fd.get(), bytes.data(), bytes.size(), 0)));
  std::vector<std::string> names;
  for (size_t i = 0; i + sizeof(ipc::ListEntry) <= bytes.size();) {
    ipc::ListEntry entry;
    std::memcpy(&entry, bytes.data() + i, sizeof entry);
    std::string name = bytes.substr(i + sizeof entry, entry.name_size);
    if (name == "plain.txt") {
      EXPECT_EQ(entry.size, 5U);
    }
    names.push_back(name + (entry.is_dir ? "/" : ""));
    i += sizeof entry + entry.name_size;
  }
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{"plain.txt", "releases/"}));
  EXPECT_EQ(ask(ipc::FileOp::kList, at("site/plain.txt")).reply.error, ENOTDIR);
  EXPECT_EQ(ask(ipc::FileOp::kList, at("site/none")).reply.error, ENOENT);
}

TEST_F(OpenerTest, MakesSpoolFilesThatHaveNoName) {
  Answer answer = ask(ipc::FileOp::kSpool, at("site"));
  ASSERT_EQ(answer.reply.error, 0);
  EXPECT_EQ(::write(answer.fd.get(), "bytes", 5), 5);
  EXPECT_EQ(answer.text(), "bytes");
  struct stat st {};
  ::fstat(answer.fd.get(), &st);
  EXPECT_EQ(st.st_nlink, 0U);
  EXPECT_EQ(st.st_uid, kSite);
  EXPECT_EQ(ask(ipc::FileOp::kSpool, at("neighbour")).reply.error, EACCES);
}

TEST_F(OpenerTest, AppendsToLogsAsTheSite) {
  Answer answer = ask(ipc::FileOp::kAppend, at("site/access.log"));
  ASSERT_EQ(answer.reply.error, 0);
  EXPECT_EQ(::write(answer.fd.get(), "line\n", 5), 5);
  answer = ask(ipc::FileOp::kAppend, at("site/access.log"));
  EXPECT_EQ(::write(answer.fd.get(), "more\n", 5), 5);
  EXPECT_EQ(open("site/access.log"), "line\nmore\n");
  link("site/log", at("neighbour/readable.txt"), kSite);
  EXPECT_EQ(ask(ipc::FileOp::kAppend, at("site/log")).reply.error, ELOOP);
  link("site/new-log", at("site/other.log"), kSite);
  EXPECT_EQ(ask(ipc::FileOp::kAppend, at("site/new-log")).reply.error, ELOOP);
  EXPECT_EQ(ask(ipc::FileOp::kAppend, at("site/no/dir.log")).reply.error, ENOENT);
  EXPECT_EQ(ask(ipc::FileOp::kAppend, at("neighbour/new.log")).reply.error, EACCES);
}

TEST_F(OpenerTest, ResolvesRealPaths) {
  link("site/current", "releases/7", kSite);
  Answer answer = ask(ipc::FileOp::kRealpath, at("site/current/../7/./"));
  EXPECT_EQ(answer.reply.error, 0);
  EXPECT_EQ(answer.payload, at("site/releases/7"));
  EXPECT_EQ(ask(ipc::FileOp::kRealpath, "/").payload, "/");
  EXPECT_EQ(ask(ipc::FileOp::kRealpath, at("site/none")).reply.error, ENOENT);
}

// The site swaps a path between its own file and a link to the neighbour's as fast as it can: at
// no moment may the neighbour's bytes come out.
TEST_F(OpenerTest, WinsEveryRaceAgainstASwappedLink) {
  file("site/mine", kSite, 0644, "mine");
  link("site/swap", "mine", kSite);
  directory("site/dir", kSite);
  file("site/dir/page.html", kSite, 0644, "mine");
  link("site/outer", "dir", kSite);
  std::atomic<bool> stop{false};
  std::thread flipper([&] {
    auto flip = [&](const std::string& path, const std::string& target, int n) {
      std::string temporary = at("site/t" + std::to_string(n));
      ::unlink(temporary.c_str());
      if (::symlink(target.c_str(), temporary.c_str()) == 0 &&
          ::lchown(temporary.c_str(), kSite, kSite) == 0) {
        ::rename(temporary.c_str(), at(path).c_str());
      }
    };
    for (int i = 0; !stop; ++i) {
      flip("site/swap", i % 2 == 0 ? at("neighbour/readable.txt") : "mine", 1);
      flip("site/outer", i % 2 == 0 ? at("neighbour/public") : "dir", 2);
      // A plain file that turns into a link: what was judged is replaced before it is opened.
      std::string file = at("site/file");
      if (::link(at("site/mine").c_str(), at("site/t3").c_str()) != 0) continue;
      ::rename(at("site/t3").c_str(), file.c_str());
      flip("site/file", at("neighbour/readable.txt"), 4);
    }
  });
  link("site/via", ".", kSite);  // forces the walk
  int mine = 0, refused = 0;
  auto until = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  while (std::chrono::steady_clock::now() < until) {
    for (const char* path : {"site/swap", "site/outer/page.html", "site/via/file", "site/file"}) {
      std::string got = open(path);
      EXPECT_TRUE(got == "mine" || got == "ELOOP" || got == "ENOENT") << path << ": " << got;
      mine += got == "mine" ? 1 : 0;
      refused += got == "ELOOP" ? 1 : 0;
    }
  }
  stop = true;
  flipper.join();
  EXPECT_GT(mine, 0);
  EXPECT_GT(refused, 0);
}

TEST_F(OpenerTest, ClosesTheChannelOnABadMessage) {
  auto send = [this](ipc::FileRequest request, std::string_view path) {
    std::string_view head(reinterpret_cast<const char*>(&request), sizeof request);
    (void)sys::send_message(channel_, head, path);
  };
  ipc::FileRequest request{};
  request.op = ipc::FileOp::kOpen;
  request.path_size = 4;
  send(request, "/tmp/longer");
  EXPECT_FALSE(receive().arrived);
  int status = 0;
  ASSERT_EQ(::waitpid(child_, &status, 0), child_) << "its last channel closed";
  EXPECT_EQ(status, 0);
  child_ = -1;
}

TEST_F(OpenerTest, RefusesPathsThatAreNotAbsoluteOrHoldANul) {
  std::string with_nul = at("site/plain.txt") + std::string("\0x", 2);
  EXPECT_FALSE(ask(ipc::FileOp::kOpen, with_nul).arrived);
}

}  // namespace
}  // namespace bulkhead::opener
