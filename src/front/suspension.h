// Where a request waits for an answer about files, and what it was doing.
//
// Runs in: front.  Input: none of its own.  Threads: one loop.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "config/model.h"
#include "front/exchange.h"
#include "front/files.h"

namespace bulkhead::front {

class Phases;

// A list of rewrite statements and the next one to run; `if` blocks stack.
struct RewriteFrame {
  const std::vector<config::RewriteOp>* ops = nullptr;
  size_t next = 0;
};

// Steps run again from their start when the answer is there: they ask the same question and get
// it at once.  What a step must remember over that is kept here.
class Suspension : public FileWaiter {
 public:
  Suspension(Phases& phases, Exchange& ex) : phases_(phases), ex_(ex) {}

  void on_file(FileRef file) override;
  void on_realpath(std::string_view path, int error) override;

  // The answer that arrived, once; null when there is none.
  FileRef take_file() { return std::exchange(file_, nullptr); }
  bool take_realpath() { return std::exchange(realpath_here_, false); }
  void clear() {
    cancel();
    file_ = nullptr;
    realpath_here_ = false;
    step = 0;
    rewrite.clear();
    rewrite_running = false;
    index = 0;
    directory_tested = directory_asked = false;
    listing_asked = false;
  }

  uint32_t step = 0;                  // index into the list of steps
  std::vector<RewriteFrame> rewrite;  // statements being run
  bool rewrite_running = false;
  uint32_t index = 0;             // try_files item or index file being tested
  bool directory_tested = false;  // the directory of the index files is there
  bool directory_asked = false;   // the answer awaited is about it
  bool listing_asked = false;

 private:
  Phases& phases_;
  Exchange& ex_;
  FileRef file_;
  bool realpath_here_ = false;
};

}  // namespace bulkhead::front
