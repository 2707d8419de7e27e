// What failed, in words an administrator can act on; and TRY, which passes it up.
//
// Runs in: every process.  Input: none of its own.
#pragma once

#include <cerrno>
#include <cstring>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace bulkhead {

// A failure: a sentence naming the operands, and the errno behind it (0 when there is none).
struct Error {
  std::string text;
  int errno_value = 0;

  // "text (2: No such file or directory)", the form nginx prints system errors in.
  [[nodiscard]] std::string describe() const;
};

template <class T>
using Result = std::expected<T, Error>;
using Status = std::expected<void, Error>;

// An error without an errno.
[[nodiscard]] inline std::unexpected<Error> fail(std::string text) {
  return std::unexpected(Error{std::move(text), 0});
}
// An error that carries an errno; call it before anything else can change errno.
[[nodiscard]] inline std::unexpected<Error> fail_errno(std::string text, int errno_value = errno) {
  return std::unexpected(Error{std::move(text), errno_value});
}

}  // namespace bulkhead

// Evaluates an expression of type Result<T>; yields its T, or returns its error from the caller.
#define TRY(expr)                                                \
  ({                                                             \
    auto bh_try_result_ = (expr);                                \
    if (!bh_try_result_) [[unlikely]]                            \
      return std::unexpected(std::move(bh_try_result_).error()); \
    std::move(bh_try_result_).value();                           \
  })
// The same for Status.
#define TRY_STATUS(expr)                                         \
  do {                                                           \
    auto bh_try_result_ = (expr);                                \
    if (!bh_try_result_) [[unlikely]]                            \
      return std::unexpected(std::move(bh_try_result_).error()); \
  } while (0)
