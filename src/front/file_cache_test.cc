// The cache before a real bulkhead-files process (built beside the tests), as another user if root.
#include "front/file_cache.h"

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>

#include "sys/process.h"
#include "sys/sockets.h"

namespace bulkhead::front {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
constexpr uid_t kSite = 12345;

struct Waiter : FileWaiter {
  FileRef file;
  std::string path;
  int error = -1;
  bool answered = false;
  void on_file(FileRef f) override {
    file = std::move(f);
    answered = true;
  }
  void on_realpath(std::string_view p, int e) override {
    path = p;
    error = e;
    answered = true;
  }
};

class FileCacheTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(sys::program_directory() + "/bulkhead-files")) GTEST_SKIP() << "not built";
    char name[] = "/tmp/bh-cache-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    root_ = name;
    if (::geteuid() == 0) {
      ASSERT_EQ(::chown(name, kSite, kSite), 0);
    }
    loop_ = std::move(*loop::EventLoop::create());
    client_ = std::make_unique<SiteClient>(
        *loop_, SiteClient::Hooks{.wake = [this](uint32_t) { wanted_ = true; },
                                  .refused =
                                      [](uint32_t, std::string_view why) {
                                        ADD_FAILURE() << "the site was refused: " << why;
                                      }});
    cache_ = std::make_unique<FileCache>(*loop_, *client_, limits());
  }
  void TearDown() override {
    end_opener();
    cache_.reset();
    client_.reset();
    if (!root_.empty()) fs::remove_all(root_);
  }
  virtual FileCache::Limits limits() {
    FileCache::Limits limits;
    limits.reopen_after = 300ms;
    return limits;
  }

  void start_opener() {
    auto master = sys::seqpacket_pair();
    auto channel = sys::seqpacket_pair();
    sys::Spawn spawn;
    spawn.program = sys::program_directory() + "/bulkhead-files";
    spawn.argv = {"bulkhead-files", "1"};
    spawn.fds = {master->second, channel->second};
    spawn.in_child = []() -> Status {
      if (::geteuid() != 0) return {};
      if (::setgroups(0, nullptr) != 0 || ::setgid(kSite) != 0 || ::setuid(kSite) != 0) {
        return fail_errno("setuid");
      }
      return {};
    };
    auto child = sys::spawn(spawn);
    ASSERT_TRUE(child) << child.error().describe();
    child_ = std::move(*child);
    master_ = std::move(master->first);
    SiteEnds ends;
    ends.channel = std::move(channel->first);
    client_->on_site_up(1, ++epoch_, std::move(ends));
  }
  void end_opener() {
    if (child_.pid <= 0) return;
    ::kill(child_.pid, SIGKILL);
    ::waitpid(child_.pid, nullptr, 0);
    child_ = {};
  }
  void run_until(const std::function<bool()>& done) {
    auto until = loop::Clock::now() + 5s;
    while (!done() && loop::Clock::now() < until) {
      loop_->run_once(20ms);
      if (wanted_) {
        wanted_ = false;
        start_opener();
      }
    }
    EXPECT_TRUE(done());
  }

  [[nodiscard]] std::string at(const std::string& name) const { return root_ + "/" + name; }
  void write(const std::string& name, std::string_view text) {
    sys::Fd fd(::open(at(name).c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644));
    ASSERT_EQ(::write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  FileQuery query(const std::string& name) {
    path_ = at(name);
    return {.site = 1, .path = path_};
  }
  // From the cache or the opener.
  FileRef get(const std::string& name) {
    Waiter waiter;
    loop_->refresh_time();
    if (FileRef file = cache_->open(query(name), waiter)) return file;
    run_until([&] { return waiter.answered; });
    return waiter.file;
  }
  bool hit(const std::string& name) {
    loop_->refresh_time();
    return cache_->find(query(name)) != nullptr;
  }
  static std::string text(const FileRef& file) {
    if (!file) return "(null)";
    if (file->error != 0) return ::strerrorname_np(file->error);
    if (file->is_dir) return "directory";
    if (file->has_content) return file->content;
    std::string text(file->size, '\0');
    text.resize(static_cast<size_t>(::pread(file->fd.get(), text.data(), text.size(), 0)));
    return text;
  }
  static void settle() { std::this_thread::sleep_for(40ms); }

  std::string root_, path_;
  std::unique_ptr<loop::EventLoop> loop_;
  std::unique_ptr<SiteClient> client_;
  std::unique_ptr<FileCache> cache_;
  sys::Child child_;
  sys::Fd master_;
  uint32_t epoch_ = 0;
  bool wanted_ = false;
};

TEST_F(FileCacheTest, OpensOnceAndAnswersFromMemory) {
  write("a.css", "body {}");
  settle();
  FileRef first = get("a.css");
  EXPECT_EQ(text(first), "body {}");
  EXPECT_TRUE(first->has_content);
  EXPECT_EQ(first->size, 7U);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(get("a.css"), first);
  EXPECT_EQ(cache_->opens(), 1U);
  EXPECT_EQ(cache_->hits(), 5U);
}

TEST_F(FileCacheTest, SeesEveryChangeAtOnce) {
  write("page", "one");
  settle();
  EXPECT_EQ(text(get("page")), "one");
  write("page", "two");
  EXPECT_EQ(text(get("page")), "two") << "written in place";
  write("new", "three");
  fs::rename(at("new"), at("page"));
  EXPECT_EQ(text(get("page")), "three") << "replaced";
  ::chmod(at("page").c_str(), ::geteuid() == 0 ? 0600 : 0200);
  EXPECT_EQ(text(get("page")), "EACCES") << "made unreadable";
  ::chmod(at("page").c_str(), 0644);
  EXPECT_EQ(text(get("page")), "three");
  fs::remove(at("page"));
  EXPECT_EQ(text(get("page")), "ENOENT") << "removed";
}

// Everything counts as changed a moment ago.
struct UnsettledFileCacheTest : FileCacheTest {
  FileCache::Limits limits() override { return {.settle = 60s}; }
};
TEST_F(UnsettledFileCacheTest, DoesNotKeepContentThatMayStillChange) {
  write("fresh", "one");
  FileRef file = get("fresh");
  EXPECT_FALSE(file->has_content) << "time stamps might not show the next change";
  EXPECT_EQ(text(file), "one");
}

TEST_F(UnsettledFileCacheTest, DoesNotRememberAMissInADirectoryThatJustChanged) {
  write("other", "");
  EXPECT_EQ(text(get("none")), "ENOENT");
  EXPECT_FALSE(hit("none"));
}

TEST_F(FileCacheTest, RemembersMissesUntilTheDirectoryChanges) {
  write("other", "");
  settle();
  EXPECT_EQ(text(get("none")), "ENOENT");
  EXPECT_TRUE(hit("none"));
  EXPECT_EQ(text(get("no/such/dir")), "ENOENT");
  EXPECT_TRUE(hit("no/such/dir"));
  write("none", "now");
  EXPECT_FALSE(hit("no/such/dir")) << "the same directory decides about both";
  EXPECT_EQ(text(get("none")), "now");
}

TEST_F(FileCacheTest, SeesASwitchedReleaseLinkWithinTheReopenTime) {
  fs::create_directories(at("1"));
  fs::create_directories(at("2"));
  write("1/page", "old");
  write("2/page", "new");
  fs::create_symlink("1", at("current"));
  settle();
  EXPECT_EQ(text(get("current/page")), "old");
  fs::remove(at("current"));
  fs::create_symlink("2", at("current"));
  std::this_thread::sleep_for(310ms);
  EXPECT_EQ(text(get("current/page")), "new");
}

TEST_F(FileCacheTest, KeepsTheSameFileWhenReopeningFindsItUnchanged) {
  write("a", "same");
  settle();
  FileRef first = get("a");
  std::this_thread::sleep_for(310ms);
  EXPECT_FALSE(hit("a"));
  EXPECT_EQ(get("a"), first);
  EXPECT_EQ(cache_->opens(), 2U);
}

TEST_F(FileCacheTest, SharesOneQuestionAmongAllWhoAsk) {
  write("a", "text");
  settle();
  Waiter waiters[4];
  {
    Waiter gone;
    EXPECT_EQ(cache_->open(query("a"), gone), nullptr);
    for (Waiter& w : waiters) EXPECT_EQ(cache_->open(query("a"), w), nullptr);
  }
  run_until([&] { return waiters[3].answered; });
  for (Waiter& w : waiters) EXPECT_EQ(text(w.file), "text");
  EXPECT_EQ(cache_->opens(), 1U);
}

TEST_F(FileCacheTest, DirectoriesAreKnownAndListed) {
  fs::create_directories(at("d"));
  write("d/x", "12345");
  settle();
  EXPECT_EQ(text(get("d")), "directory");
  write("d/y", "");
  EXPECT_TRUE(hit("d")) << "what happens inside does not matter";
  fs::remove_all(at("d"));
  EXPECT_FALSE(hit("d"));
  fs::create_directories(at("d"));
  write("d/x", "12345");
  Waiter waiter;
  cache_->list(query("d"), waiter);
  run_until([&] { return waiter.answered; });
  ASSERT_EQ(waiter.file->error, 0);
  ipc::ListEntry entry{};
  ASSERT_EQ(::pread(waiter.file->fd.get(), &entry, sizeof entry, 0), ssize_t{sizeof entry});
  EXPECT_EQ(entry.size, 5U);
  EXPECT_EQ(waiter.file->size, sizeof entry + 1);
}

TEST_F(FileCacheTest, ResolvesPathsAndRemembersThemForAMoment) {
  fs::create_directories(at("real"));
  fs::create_symlink("real", at("link"));
  for (int i = 0; i < 3; ++i) {
    Waiter waiter;
    cache_->realpath(query("link"), waiter);
    EXPECT_FALSE(waiter.answered) << "never from inside the call";
    run_until([&] { return waiter.answered; });
    EXPECT_EQ(waiter.path, at("real"));
    EXPECT_EQ(waiter.error, 0);
  }
  Waiter abandoned;
  cache_->realpath(query("link"), abandoned);
  cache_.reset();
  loop_->run_once(0ms);
  EXPECT_FALSE(abandoned.answered);
}

TEST_F(FileCacheTest, AsksAgainWhenTheOpenerDies) {
  write("a", "text");
  settle();
  EXPECT_EQ(text(get("a")), "text");
  end_opener();
  client_->on_site_down(1, epoch_, 0);
  EXPECT_EQ(text(get("b")), "ENOENT") << "the site was woken for it";
  EXPECT_EQ(epoch_, 2U);
}

struct SmallFileCacheTest : FileCacheTest {
  FileCache::Limits limits() override {
    return {.entries_max = 3, .content_bytes_max = 10, .contents_bytes_max = 20};
  }
};
TEST_F(SmallFileCacheTest, KeepsItsLimits) {
  for (const char* name : {"a", "b", "c", "d"}) write(name, "12345678");
  write("large", "12345678901");
  settle();
  FileRef first = get("a");
  for (const char* name : {"b", "c", "d"}) {
    get(name);
    EXPECT_LE(cache_->entries(), 3U);
  }
  EXPECT_FALSE(hit("a")) << "the least recently used";
  EXPECT_TRUE(hit("d"));
  EXPECT_FALSE(get("large")->has_content);
  EXPECT_EQ(text(first), "12345678") << "who holds a file keeps it";
}

}  // namespace
}  // namespace bulkhead::front
