// libphp behind one interface: PHP 8.2 as php-fpm presents it (SAPI name "fpm-fcgi").
//
// Runs in: zygote (start), pool (apply_pool), worker (serve).
// Input: parameters, bodies and scripts are hostile; php.ini and pool settings are trusted.
// Threads: one.  libphp is a process-wide thing, so these are functions over one hidden state.
// Ref: php-8.2 main/SAPI.h; php.net install.fpm.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "php/cache_lock.h"
#include "php/pool_status.h"
#include "php/request_source.h"

namespace bulkhead::php {

// php-fpm's levels, with the numbers of config::FpmLevel.
enum class LogLevel : uint8_t { kDebug = 1, kNotice, kWarning, kError, kAlert };
// Where log lines go that belong to no request.  Before it is set they go to standard error.
using LogSink = void (*)(LogLevel level, std::string_view text, void* context);

struct StartOptions {
  std::string ini_path;              // -c: file or directory; "": php-fpm's own place
  bool no_ini = false;               // -n
  std::vector<std::string> defines;  // -d name=value
  std::string program;               // its path: PHP_BINARY, php.ini beside it
  bool information_as_text = false;  // phpinfo() without HTML
};
// Starts libphp: reads php.ini, loads extensions, prepares opcache.  Runs no script
// (opcache.preload is ignored).  Once per process.
Status start(const StartOptions& options);
void stop();

// php-fpm -v, -m, -i on standard output.
void print_version();
void print_modules();
void print_information();
[[nodiscard]] std::string version();  // "8.2.36"

// One php_value, php_flag, php_admin_value or php_admin_flag of the pool file.
struct IniSetting {
  std::string name, value;
  bool admin = false;  // scripts cannot change it
  bool flag = false;   // php_flag and php_admin_flag: the value is a boolean word
  [[nodiscard]] std::string effective_value() const;
};
struct PoolSettings {
  std::vector<IniSetting> ini;
  std::vector<std::string> limit_extensions;  // empty: any
};
// What a setting is now: php.ini's value, until a pool's own is applied.  "" also when there is
// none.
[[nodiscard]] std::string ini_value(const char* name);
// Applies a pool's settings for good, as php-fpm does in each child; problems are logged, as there.
// `extension` loads one; `disable_functions` adds to php.ini's.
void apply_pool(const PoolSettings& settings, LogSink log, void* context);
// From now on (in a worker) log lines outside requests go to standard error.
void set_log_sink(LogSink log, void* context);

// What the pool may see of a request.  Pointers are never null and live until the request's end.
struct RequestView {
  const char* method = "";
  const char* uri = "";  // SCRIPT_NAME as php-fpm computes it
  const char* query = "";
  const char* user = "";
  const char* script = "";
  int64_t content_length = 0;
};
// An answer the pool gives itself (status page, ping).
struct Answer {
  int status = 200;
  std::vector<std::string> headers;  // "Name: value"
  std::string body;
};
class RequestHooks {
 public:
  virtual ~RequestHooks() = default;
  virtual void on_info(const RequestView& view) noexcept = 0;
  // True: `answer` is sent and no script runs.
  virtual bool answer(const RequestView& view, Answer* answer) noexcept = 0;
  virtual void on_executing() noexcept = 0;
  // The script has ended; shutdown functions and destructors follow.  query_param() and
  // response_header() work here.
  virtual void on_end(int http_status, uint64_t memory_peak) noexcept = 0;
  // Microseconds of CPU this request took so far.
  virtual uint32_t cpu_us() noexcept = 0;
  virtual bool status(PoolStatus* status) noexcept = 0;
};
// A parameter of the running request; null when it was not sent.
[[nodiscard]] const char* request_param(std::string_view name) noexcept;
// A response header's value; empty when it is not set.  php-fpm compares the name exactly.
[[nodiscard]] std::string_view response_header(std::string_view name) noexcept;

enum class Served : uint8_t {
  kDone,
  kBroken,  // PHP could not start or end the request: the worker must exit
};
// Prepares a worker that was just forked, after it installed its signal handlers.  `users`: how it
// tells its siblings that it uses cached scripts.
void enter_worker(const CacheUsers& users = {});
// Runs one request to its end.
Served serve(RequestSource& source, RequestHooks& hooks);

}  // namespace bulkhead::php
