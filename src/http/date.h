// Dates: HTTP's, the logs', and reading the three formats of RFC 9110.
//
// Runs in: front (and others for logs).  Input: header values, hostile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bulkhead::http {

constexpr size_t kHttpDateSize = 29;  // "Mon, 23 Nov 2026 12:00:00 GMT"
// Writes kHttpDateSize bytes, no NUL.
void write_http_date(char* out, int64_t unix_seconds);
std::string http_date(int64_t unix_seconds);
// "Mon, 23-Nov-26 12:00:00 GMT" (cookies; two digits of the year before 2038 as nginx writes it).
std::string cookie_date(int64_t unix_seconds);

// IMF-fixdate, RFC 850 and asctime; anything else, or a date before 1970, is nothing.
std::optional<int64_t> parse_http_date(std::string_view text);

struct CivilTime {
  int64_t year;
  int month, day, hour, minute, second, weekday;  // month 1..12, weekday 0 = Sunday
};
CivilTime civil_time(int64_t unix_seconds);
int64_t unix_seconds(const CivilTime& t);

// Local time zone's offset from UTC at that time, in seconds.
// Blocks: reads the time zone file the first time; call tzset() before the file system is gone.
int32_t local_offset(int64_t unix_seconds);

std::string log_time(int64_t unix_seconds, int32_t offset);        // 23/Nov/2026:12:00:00 +0000
std::string iso8601_time(int64_t unix_seconds, int32_t offset);    // 2026-11-23T12:00:00+00:00
std::string error_log_time(int64_t unix_seconds, int32_t offset);  // 2026/11/23 12:00:00
std::string fpm_log_time(int64_t unix_seconds, int32_t offset);    // 23-Nov-2026 12:00:00

// The texts of one second, made once.  Threads: one per event loop.
class TimeCache {
 public:
  // Call once per loop iteration; cheap when the second did not change.
  void update(int64_t unix_seconds) {
    if (unix_seconds != second_) refresh(unix_seconds);
  }
  [[nodiscard]] std::string_view http() const { return http_; }
  [[nodiscard]] std::string_view log() const { return log_; }
  [[nodiscard]] std::string_view iso8601() const { return iso8601_; }
  [[nodiscard]] std::string_view error_log() const { return error_log_; }

 private:
  void refresh(int64_t unix_seconds);
  int64_t second_ = -1;
  std::string http_, log_, iso8601_, error_log_;
};

}  // namespace bulkhead::http
