// pm.status_path and ping.path: php-fpm's pages, byte for byte.
//
// Runs in: worker.  Input: hostile query; counters of this site.
#pragma once

#include <string>
#include <string_view>

#include "php/engine.h"

namespace bulkhead::pool {

enum class StatusFormat : uint8_t { kText, kHtml, kXml, kJson, kOpenMetrics };
struct StatusQuery {
  StatusFormat format = StatusFormat::kText;
  bool full = false;
};
// "json&full" and the like; html wins over xml over json over openmetrics.
[[nodiscard]] StatusQuery parse_status_query(std::string_view query);

[[nodiscard]] php::Answer status_answer(const php::PoolStatus& status, StatusQuery query,
                                        bool head_only);
[[nodiscard]] php::Answer ping_answer(const std::string& response);

}  // namespace bulkhead::pool
