// Lines about one request: the access log's and the error log's, as nginx writes them.
//
// Runs in: front.  Input: request and application bytes (hostile): escaped here.
// Threads: the request's loop.
#pragma once

#include <string>
#include <string_view>

#include "config/model.h"
#include "front/exchange.h"

namespace bulkhead::front {

constexpr size_t kErrorLineMax = 2048;  // newline included; nginx cuts there too

// Appends `text` escaped for a log_format of that kind.
void append_escaped(std::string& out, std::string_view text, config::LogFormat::Escape how);
// One access log line with its newline.
void append_access_line(std::string& out, Exchange& ex, const config::LogFormat& format);
// Whether `if=` lets this request be logged.
bool wants_access_line(Exchange& ex, const config::AccessLog& log);

// "error", "crit" ...
std::string_view level_name(config::LogLevel level);
bool wants_level(const config::List<config::ErrorLog>& logs, config::LogLevel level);
// "2026/11/23 12:00:00 [error] 12#12: *3 TEXT (2: No such file or directory), client: ..., server:
// ..., request: "...", upstream: "...", host: "...", referrer: "..."\n"
void append_error_line(std::string& out, const Exchange& ex, config::LogLevel level,
                       std::string_view text, int errno_value);

}  // namespace bulkhead::front
