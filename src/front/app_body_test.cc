#include "front/app_body.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <deque>
#include <string>

namespace bulkhead::front {
namespace {

using Kind = BodyRun::Kind;

// An application whose output the test writes.
class ScriptedStream : public AppStream {
 public:
  void say(std::string text) { pieces_.push_back(std::move(text)); }
  void finish() { finished_ = true; }
  void flush() { flush_ = true; }
  size_t write_body(std::string_view) override { return 0; }
  void finish_body() override {}
  size_t peek(iovec* out, size_t max) override {
    size_t n = std::min(max, pieces_.size());
    for (size_t i = 0; i < n; ++i) out[i] = {pieces_[i].data(), pieces_[i].size()};
    return n;
  }
  void consume(size_t bytes) override {
    consumed += bytes;
    while (bytes > 0) {
      size_t n = std::min(bytes, pieces_.front().size());
      pieces_.front().erase(0, n);
      bytes -= n;
      if (pieces_.front().empty()) pieces_.pop_front();
    }
  }
  [[nodiscard]] bool ended() const override { return finished_ && pieces_.empty(); }
  [[nodiscard]] bool last_peeked() const override { return finished_; }
  bool take_flush() override { return std::exchange(flush_, false); }
  [[nodiscard]] const AppEnd& end() const override { return end_; }
  size_t consumed = 0;

 private:
  std::deque<std::string> pieces_;
  bool finished_ = false, flush_ = false;
  AppEnd end_;
};

class AppBodyTest : public testing::Test {
 protected:
  // Takes everything that can be sent now; `kind` is what came after it.
  std::string take(Kind* kind = nullptr, bool* last = nullptr) {
    std::string out;
    for (;;) {
      BodyRun run;
      body_.next(run);
      if (kind != nullptr) *kind = run.kind;
      if (run.kind == Kind::kMemory) {
        for (size_t i = 0; i < run.count; ++i) {
          out.append(static_cast<const char*>(run.pieces[i].iov_base), run.pieces[i].iov_len);
        }
      } else if (run.kind == Kind::kFile) {
        std::string bytes(run.size, '\0');
        EXPECT_EQ(static_cast<ssize_t>(run.size),
                  ::pread(run.file.get(), bytes.data(), run.size, static_cast<off_t>(run.offset)));
        out += bytes;
      } else {
        flush_asked_ = run.flush;
        return out;
      }
      if (last != nullptr) *last = run.last;
      body_.consumed(run.size);
    }
  }
  ScriptedStream stream_;
  AppBody body_;
  bool flush_asked_ = false;
};

TEST_F(AppBodyTest, HoldsLittleOutputUntilThereIsMoreOrAFlushOrTheEnd) {
  body_.start(&stream_, {.hold_bytes = 100});
  stream_.say("little");
  EXPECT_EQ("", take());
  stream_.flush();
  EXPECT_EQ("little", take());
  stream_.say(" again");
  EXPECT_EQ("", take());
  stream_.say(std::string(100, 'x'));
  EXPECT_EQ(" again" + std::string(100, 'x'), take());
  stream_.say("end");
  stream_.finish();
  bool last = false;
  Kind kind{};
  EXPECT_EQ("end", take(&kind, &last));
  EXPECT_TRUE(last);
  EXPECT_EQ(Kind::kEnd, kind);
}

TEST_F(AppBodyTest, AFlushBeforeAnyOutputReleasesTheHead) {
  body_.start(&stream_, {.hold_bytes = 100});
  EXPECT_EQ("", take());
  EXPECT_FALSE(flush_asked_);
  stream_.flush();
  EXPECT_EQ("", take());
  EXPECT_TRUE(flush_asked_);
}

TEST_F(AppBodyTest, WithoutBufferingNothingIsHeldOrCopied) {
  body_.start(&stream_, {.buffering = false, .hold_bytes = 100, .memory_max = 100});
  stream_.say("x");
  body_.absorb();
  EXPECT_EQ(0u, stream_.consumed);
  EXPECT_EQ("x", take());
}

TEST_F(AppBodyTest, ASlowClientsOutputGoesToMemoryThenToAFileAndStaysInOrder) {
  body_.start(&stream_, {.memory_max = 10, .file_max = 20});
  stream_.say("0123456");
  body_.absorb();
  EXPECT_EQ(7u, stream_.consumed);
  stream_.say("789abcdef");
  body_.absorb();
  EXPECT_TRUE(body_.wants_spool());
  EXPECT_EQ(7u, stream_.consumed);
  body_.give_spool(sys::Fd(::memfd_create("spool", MFD_CLOEXEC)));
  body_.absorb();
  EXPECT_EQ(16u, stream_.consumed);
  stream_.say("ghijklmnopqrstuvwxyz");
  body_.absorb();
  EXPECT_EQ(7u + 20, stream_.consumed) << "the file is full: the rest stays with the application";
  stream_.finish();
  Kind kind{};
  EXPECT_EQ("0123456789abcdefghijklmnopqrstuvwxyz", take(&kind));
  EXPECT_EQ(Kind::kEnd, kind);
  EXPECT_TRUE(body_.drained());
}

TEST_F(AppBodyTest, TheApplicationIsFreeOnceItsOutputWasCopied) {
  body_.start(&stream_, {.memory_max = 100});
  stream_.say("all of it");
  stream_.finish();
  body_.absorb();
  EXPECT_TRUE(body_.drained());
  body_.detach();
  Kind kind{};
  EXPECT_EQ("all of it", take(&kind));
  EXPECT_EQ(Kind::kEnd, kind);
}

TEST_F(AppBodyTest, ADiskThatIsFullLeavesTheOutputWithTheApplication) {
  body_.start(&stream_, {.memory_max = 1, .file_max = 100});
  stream_.say("abc");
  body_.absorb();
  body_.give_spool(sys::Fd(::open("/dev/full", O_RDWR | O_CLOEXEC)));
  body_.absorb();
  EXPECT_EQ(ENOSPC, body_.take_spool_error());
  EXPECT_EQ(0, body_.take_spool_error());
  stream_.finish();
  EXPECT_EQ("abc", take());
}

TEST_F(AppBodyTest, MoreThanAnnouncedIsThrownAway) {
  body_.start(&stream_, {.length = 5});
  stream_.say("0123");
  stream_.say("4567");
  EXPECT_EQ("01234", take());
  stream_.say("more");
  stream_.finish();
  Kind kind{};
  EXPECT_EQ("", take(&kind));
  EXPECT_EQ(Kind::kEnd, kind);
  EXPECT_EQ(AppBody::Verdict::kTooLong, body_.verdict());
}

TEST_F(AppBodyTest, LessThanAnnouncedIsNoCompleteResponse) {
  body_.start(&stream_, {.hold_bytes = 100, .length = 10});
  stream_.say("01234");
  stream_.finish();
  bool last = true;
  Kind kind{};
  EXPECT_EQ("01234", take(&kind, &last));
  EXPECT_FALSE(last);
  EXPECT_EQ(Kind::kBroken, kind);
  EXPECT_EQ(AppBody::Verdict::kTooShort, body_.verdict());
}

TEST_F(AppBodyTest, TheAnnouncedLengthIsSentAtOnceButTheApplicationMayWorkOn) {
  body_.start(&stream_, {.hold_bytes = 100, .length = 5});
  stream_.say("01234");
  Kind kind{};
  EXPECT_EQ("01234", take(&kind));
  EXPECT_EQ(Kind::kWait, kind) << "ending now would abort what runs after the response";
  stream_.finish();
  take(&kind);
  EXPECT_EQ(Kind::kEnd, kind);
}

TEST_F(AppBodyTest, AnApplicationThatDiedBreaksTheResponseAfterWhatWasCopied) {
  body_.start(&stream_, {.memory_max = 100});
  stream_.say("half");
  body_.absorb();
  body_.detach();
  Kind kind{};
  EXPECT_EQ("half", take(&kind));
  EXPECT_EQ(Kind::kBroken, kind);
}

TEST_F(AppBodyTest, CopiesAsideNoMoreThanItsBudget) {
  body_.start(&stream_, {.memory_max = 10, .file_max = 1000});
  stream_.say("0123456789abcdefghij");
  EXPECT_EQ(0u, body_.absorb(0));
  EXPECT_FALSE(body_.cut_short()) << "it lacks a file first";
  EXPECT_TRUE(body_.wants_spool());
  body_.give_spool(sys::Fd(::memfd_create("spool", MFD_CLOEXEC)));
  EXPECT_EQ(0u, body_.absorb(0));
  EXPECT_TRUE(body_.cut_short());
  EXPECT_EQ(7u, body_.absorb(7));
  EXPECT_TRUE(body_.cut_short());
  EXPECT_EQ(7u, stream_.consumed) << "the rest keeps the application waiting";
  EXPECT_EQ(13u, body_.absorb(100));
  EXPECT_FALSE(body_.cut_short());
  stream_.finish();
  EXPECT_EQ("0123456789abcdefghij", take());
}

TEST_F(AppBodyTest, WhatItMayNotCopyAtAllIsNotCutShort) {
  body_.start(&stream_, {.memory_max = 4});
  stream_.say("0123456789");
  EXPECT_EQ(0u, body_.absorb(0));
  EXPECT_FALSE(body_.cut_short()) << "waiting would be for nothing";
}

}  // namespace
}  // namespace bulkhead::front
