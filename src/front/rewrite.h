// Runs the statements of the rewrite module: set, if, rewrite, return, break.
//
// Runs in: front.  Input: statements (trusted) over request values (hostile).
// Threads: the request's loop.  `if (-f path)` may have to wait: run again when the answer is
// there. Ref: nginx ngx_http_rewrite_module documentation and observed behaviour of 1.22.
#pragma once

#include <cstdint>
#include <string_view>

#include "config/model.h"
#include "front/exchange.h"
#include "front/suspension.h"

namespace bulkhead::front {

// What statements need from outside.
class RewriteHost {
 public:
  virtual ~RewriteHost() = default;
  // The file at that path as the request's site sees it; null: wait, and run again.
  virtual FileRef test_file(Exchange& ex, std::string_view path) = 0;
  virtual void log(Exchange& ex, config::LogLevel level, std::string_view text,
                   int errno_value) = 0;
  // An `if` block's settings apply from now on.
  virtual void enter_if(Exchange& ex, const LocationPlan& plan) = 0;
};

struct RewriteEnd {
  enum class How : uint8_t {
    kOn,  // all statements ran; ex.uri_changed says whether to look for a location again
    kWait,
    kStatus,  // answer this status; ex.response.location may be set
    kAnswer,  // answer `status` with `text` as it is
  } how = How::kOn;
  uint16_t status = 0;
  std::string_view text;
};

enum class RewriteScope : uint8_t { kServer, kLocation };
// `state.rewrite` keeps the place; it is empty before and after.
RewriteEnd run_rewrite(Exchange& ex, const std::vector<config::RewriteOp>& ops, RewriteScope scope,
                       Suspension& state, RewriteHost& host);

}  // namespace bulkhead::front
