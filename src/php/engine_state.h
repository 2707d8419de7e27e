// What the parts of the engine share: the running request, the pool's settings, the log.
//
// Runs in: zygote, pool, worker.  One per process, as libphp itself.
#pragma once

#include <string>
#include <vector>

#include "php/engine.h"
#include "php/libphp.h"
#include "php/out_buffer.h"
#include "php/param_table.h"

namespace bulkhead::php {

// Settings of the "cgi-fcgi" module, read by libphp's ini handlers.
struct CgiSettings {
  bool rfc2616_headers = false, nph = false, fix_pathinfo = true, discard_path = false;
  bool fcgi_logging = true;
  char* error_header = nullptr;
  char* fpm_config = nullptr;
};

struct EngineState {
  RequestSource* source = nullptr;  // null outside a request
  RequestHooks* hooks = nullptr;
  ParamTable params;
  OutBuffer out;
  std::string head;       // the header block being built
  bool finished = false;  // the end has been sent
  bool logged = false;    // something went to the request's stderr already
  int body_file = -1;     // REQUEST_BODY_FILE; -1: not looked for yet, -2: none
  std::vector<std::string> limit_extensions;
  LogSink sink = nullptr;
  void* sink_context = nullptr;
  bool is_worker = false;
  std::string preload;  // opcache.preload of php.ini, which is not run
};
extern EngineState g_engine;
extern CgiSettings g_cgi;
extern sapi_module_struct g_sapi;
extern zend_module_entry g_cgi_module;

// A log line: to the request's stderr when there is one, and to the pool's log.
void log_line(LogLevel level, std::string_view text) noexcept;
// Ends the response: the rest of the body, then the end mark.  Harmless when it was done already.
bool finish_response(Finish when) noexcept;
// Fills SG(request_info) from the parameters.
void init_request_info() noexcept;
// Sets one ini entry for the whole process (pool settings).  False: there is no such entry.
bool set_ini_for_good(const std::string& name, const std::string& value, bool admin) noexcept;
int activate_user_ini() noexcept;
void forget_user_ini() noexcept;
void use_request_environment() noexcept;

}  // namespace bulkhead::php
