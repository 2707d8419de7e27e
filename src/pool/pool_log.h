// A pool's lines for php-fpm's error log, sent to master, at a bounded rate.
//
// Runs in: pool.  Input: text from the pool and, quoted, from its workers (hostile).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "config/pool_config.h"
#include "loop/event_loop.h"

namespace bulkhead::pool {

class PoolLog {
 public:
  // `send` gets the level as one byte, then the text: an ipc kLog payload.
  using Send = std::function<void(std::string_view payload)>;
  void set_send(Send send) { send_ = std::move(send); }
  // One line without the "[pool NAME]" prefix, which master adds.  Before there is a channel lines
  // wait.  A site that writes more than kPerSecond lines loses the rest, and the log says so.
  void line(config::FpmLevel level, std::string_view text);
  void flush_waiting();

  static constexpr uint32_t kPerSecond = 500;  // well below what master tolerates
  static constexpr size_t kLineMax = 4000;
  static constexpr size_t kWaitingMax = 256;

 private:
  void put(config::FpmLevel level, std::string_view text);
  Send send_;
  std::vector<std::string> waiting_;
  loop::Clock::time_point second_{};
  uint32_t count_ = 0, dropped_ = 0;
};

}  // namespace bulkhead::pool
