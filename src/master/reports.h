// Answers that take long (status and metrics of thousands of sites) are written by a child of
// master's, a copy of it as it is now: master's own loop never waits for /proc or for a reader.
//
// Runs in: master; what is to be written runs in the child, which has no descriptor but those it
// was given, ends with master, and is ended after kLongest.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "master/children.h"
#include "sys/fd.h"

namespace bulkhead::master {

class Reports {
 public:
  static constexpr unsigned kLongest_s = 20;
  static constexpr size_t kAtOnce = 2, kWaitingMax = 64;

  // Runs in the child.
  using Write = std::function<std::string()>;
  // It has written everything, or not.
  enum class End : uint8_t { kWhole, kCut };
  using Done = std::function<void(End)>;
  struct Order {
    sys::Fd out;                                     // a socket or a file
    std::function<std::vector<sys::FdRef>()> needs;  // descriptors that the child keeps
    Write text;
    Done done;  // may be empty
  };

  explicit Reports(Reaper& reaper) : reaper_(reaper) {}
  // At once, or when others are done.  Errors: too many wait.
  Status start(Order order);

 private:
  void begin(Order order);
  void ended(const Done& done, const sys::Ended& how);

  Reaper& reaper_;
  size_t running_ = 0;
  std::deque<Order> waiting_;
};

}  // namespace bulkhead::master
