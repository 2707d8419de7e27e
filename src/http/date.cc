#include "http/date.h"

#include <ctime>

#include "http/ascii.h"

namespace bulkhead::http {
namespace {

constexpr char kDays[] = "SunMonTueWedThuFriSat";
constexpr char kMonths[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
constexpr int64_t kDaySeconds = 86400;

// Days since 1970-01-01 of a civil date, and back.  Era arithmetic over 400 years.
int64_t days_from_civil(int64_t year, int month, int day) {
  year -= month <= 2;
  const int64_t era = (year >= 0 ? year : year - 399) / 400;
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + day_of_era - 719468;
}

char* put2(char* out, int value) {
  *out++ = static_cast<char>('0' + value / 10 % 10);
  *out++ = static_cast<char>('0' + value % 10);
  return out;
}
char* put4(char* out, int64_t value) {
  out = put2(out, static_cast<int>(value / 100 % 100));
  return put2(out, static_cast<int>(value % 100));
}
char* put3(char* out, const char* names, int index) {
  for (int i = 0; i < 3; ++i) *out++ = names[index * 3 + i];
  return out;
}
char* put_clock(char* out, const CivilTime& t) {
  out = put2(out, t.hour);
  *out++ = ':';
  out = put2(out, t.minute);
  *out++ = ':';
  return put2(out, t.second);
}
char* put_offset(char* out, int32_t offset) {
  *out++ = offset < 0 ? '-' : '+';
  const int minutes = (offset < 0 ? -offset : offset) / 60;
  out = put2(out, minutes / 60);
  return put2(out, minutes % 60);
}

// Reads a date from left to right; any mismatch makes ok() false for good.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  [[nodiscard]] char peek() const { return rest_.empty() ? '\0' : rest_.front(); }
  void skip_past(char c) {
    const size_t at = rest_.find(c);
    if (at == std::string_view::npos) {
      ok_ = false;
    } else {
      rest_.remove_prefix(at + 1);
    }
  }
  void skip_spaces() {
    while (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
  }
  void expect(std::string_view text) {
    if (rest_.substr(0, text.size()) != text) ok_ = false;
    if (ok_) rest_.remove_prefix(text.size());
  }
  int number(size_t digits) {
    int value = 0;
    for (size_t i = 0; i < digits; ++i) {
      if (i >= rest_.size() || !is_digit(rest_[i])) {
        ok_ = false;
        return 0;
      }
      value = value * 10 + (rest_[i] - '0');
    }
    rest_.remove_prefix(digits);
    return value;
  }
  int month() {
    for (int m = 0; m < 12 && rest_.size() >= 3; ++m) {
      if (rest_.substr(0, 3) == std::string_view(kMonths + m * 3, 3)) {
        rest_.remove_prefix(3);
        return m + 1;
      }
    }
    ok_ = false;
    return 1;
  }
  void clock(CivilTime& t) {
    t.hour = number(2);
    expect(":");
    t.minute = number(2);
    expect(":");
    t.second = number(2);
  }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

bool is_valid(const CivilTime& t) {
  constexpr int kLengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = t.year % 4 == 0 && (t.year % 100 != 0 || t.year % 400 == 0);
  const int days = kLengths[t.month - 1] + (t.month == 2 && leap ? 1 : 0);
  return t.year >= 1970 && t.day >= 1 && t.day <= days && t.hour < 24 && t.minute < 60 &&
         t.second < 60;
}

// "Mon Nov 23 12:00:00 2026", day of month padded with a space.
void read_asctime(Reader& in, CivilTime& t) {
  in.skip_past(' ');
  t.month = in.month();
  in.expect(" ");
  const bool short_day = in.peek() == ' ';
  if (short_day) in.expect(" ");
  t.day = in.number(short_day ? 1 : 2);
  in.expect(" ");
  in.clock(t);
  in.expect(" ");
  t.year = in.number(4);
}

// After "Mon, " or "Monday, ": "23 Nov 2026 12:00:00 GMT" or "23-Nov-26 12:00:00 GMT".
void read_rfc(Reader& in, CivilTime& t) {
  in.skip_past(',');
  in.skip_spaces();
  t.day = in.number(2);
  const bool is_850 = in.peek() == '-';
  in.expect(is_850 ? "-" : " ");
  t.month = in.month();
  in.expect(is_850 ? "-" : " ");
  t.year = in.number(is_850 ? 2 : 4);
  if (is_850) t.year += t.year < 70 ? 2000 : 1900;
  in.expect(" ");
  in.clock(t);
}

}  // namespace

CivilTime civil_time(int64_t unix_seconds) {
  int64_t days = unix_seconds / kDaySeconds;
  int64_t rest = unix_seconds % kDaySeconds;
  if (rest < 0) {
    rest += kDaySeconds;
    --days;
  }
  CivilTime t{};
  t.hour = static_cast<int>(rest / 3600);
  t.minute = static_cast<int>(rest / 60 % 60);
  t.second = static_cast<int>(rest % 60);
  t.weekday = static_cast<int>(((days + 4) % 7 + 7) % 7);
  const int64_t shifted = days + 719468;
  const int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
  const int64_t doe = shifted - era * 146097;
  const int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  const int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const int64_t mp = (5 * doy + 2) / 153;
  t.day = static_cast<int>(doy - (153 * mp + 2) / 5 + 1);
  t.month = static_cast<int>(mp < 10 ? mp + 3 : mp - 9);
  t.year = yoe + era * 400 + (t.month <= 2);
  return t;
}

int64_t unix_seconds(const CivilTime& t) {
  return days_from_civil(t.year, t.month, t.day) * kDaySeconds + t.hour * 3600 + t.minute * 60 +
         t.second;
}

void write_http_date(char* out, int64_t unix_seconds) {
  const CivilTime t = civil_time(unix_seconds);
  out = put3(out, kDays, t.weekday);
  *out++ = ',';
  *out++ = ' ';
  out = put2(out, t.day);
  *out++ = ' ';
  out = put3(out, kMonths, t.month - 1);
  *out++ = ' ';
  out = put4(out, t.year);
  *out++ = ' ';
  out = put_clock(out, t);
  for (char c : {' ', 'G', 'M', 'T'}) *out++ = c;
}

std::string http_date(int64_t unix_seconds) {
  char text[kHttpDateSize];
  write_http_date(text, unix_seconds);
  return std::string(text, sizeof text);
}

std::string cookie_date(int64_t unix_seconds) {
  const CivilTime t = civil_time(unix_seconds);
  char text[40];
  char* out = put3(text, kDays, t.weekday);
  *out++ = ',';
  *out++ = ' ';
  out = put2(out, t.day);
  *out++ = '-';
  out = put3(out, kMonths, t.month - 1);
  *out++ = '-';
  // Old clients read a two-digit year; beyond 2037 only four digits are unambiguous.
  out = t.year > 2037 ? put4(out, t.year) : put2(out, static_cast<int>(t.year % 100));
  *out++ = ' ';
  out = put_clock(out, t);
  return std::string(text, static_cast<size_t>(out - text)) + " GMT";
}

std::optional<int64_t> parse_http_date(std::string_view text) {
  Reader in(text);
  CivilTime t{};
  if (text.find(',') != std::string_view::npos) {
    read_rfc(in, t);
  } else {
    read_asctime(in, t);
  }
  if (!in.ok() || !is_valid(t)) return std::nullopt;
  return unix_seconds(t);
}

int32_t local_offset(int64_t unix_seconds) {
  const time_t when = static_cast<time_t>(unix_seconds);
  tm local{};
  if (localtime_r(&when, &local) == nullptr) return 0;
  return static_cast<int32_t>(local.tm_gmtoff);
}

std::string log_time(int64_t unix_seconds, int32_t offset) {
  const CivilTime t = civil_time(unix_seconds + offset);
  char text[40];
  char* out = put2(text, t.day);
  *out++ = '/';
  out = put3(out, kMonths, t.month - 1);
  *out++ = '/';
  out = put4(out, t.year);
  *out++ = ':';
  out = put_clock(out, t);
  *out++ = ' ';
  out = put_offset(out, offset);
  return std::string(text, static_cast<size_t>(out - text));
}

std::string iso8601_time(int64_t unix_seconds, int32_t offset) {
  const CivilTime t = civil_time(unix_seconds + offset);
  char text[40];
  char* out = put4(text, t.year);
  *out++ = '-';
  out = put2(out, t.month);
  *out++ = '-';
  out = put2(out, t.day);
  *out++ = 'T';
  out = put_clock(out, t);
  out = put_offset(out, offset);
  std::string result(text, static_cast<size_t>(out - text));
  result.insert(result.size() - 2, 1, ':');
  return result;
}

std::string error_log_time(int64_t unix_seconds, int32_t offset) {
  const CivilTime t = civil_time(unix_seconds + offset);
  char text[40];
  char* out = put4(text, t.year);
  *out++ = '/';
  out = put2(out, t.month);
  *out++ = '/';
  out = put2(out, t.day);
  *out++ = ' ';
  out = put_clock(out, t);
  return std::string(text, static_cast<size_t>(out - text));
}

std::string fpm_log_time(int64_t unix_seconds, int32_t offset) {
  const CivilTime t = civil_time(unix_seconds + offset);
  char text[40];
  char* out = put2(text, t.day);
  *out++ = '-';
  out = put3(out, kMonths, t.month - 1);
  *out++ = '-';
  out = put4(out, t.year);
  *out++ = ' ';
  out = put_clock(out, t);
  return std::string(text, static_cast<size_t>(out - text));
}

void TimeCache::refresh(int64_t unix_seconds) {
  second_ = unix_seconds;
  const int32_t offset = local_offset(unix_seconds);
  http_ = http_date(unix_seconds);
  log_ = log_time(unix_seconds, offset);
  iso8601_ = iso8601_time(unix_seconds, offset);
  error_log_ = error_log_time(unix_seconds, offset);
}

}  // namespace bulkhead::http
