// Asks master for its status without waiting: keys are answered meanwhile.
//
// Runs in: bulkhead.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "sys/fd.h"
#include "top/sample.h"

namespace bulkhead::top {

class Question {
 public:
  // Errors: no server.
  static Result<Question> ask(const std::string& pid_path);
  [[nodiscard]] sys::FdRef fd() const { return socket_; }
  // The descriptor is readable.  The whole answer, once it is here.
  std::optional<std::string> read_some();

 private:
  sys::Fd socket_;
  std::string text_;
};

}  // namespace bulkhead::top
