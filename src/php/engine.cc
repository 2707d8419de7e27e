// Starts libphp as php-fpm would find it, and runs requests, one at a time.
//
// Runs in: zygote (start), worker (serve).  Input: trusted php.ini; hostile requests and scripts.
// zend_bailout is a longjmp: functions below zend_try keep only trivially destructible locals.
#include "php/engine.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "php/cpu_timer.h"
#include "php/directory.h"
#include "php/engine_state.h"

namespace bulkhead::php {
namespace {

#define BH_TEXT(x) #x
#define BH_BRANCH(major, minor) BH_TEXT(major) "." BH_TEXT(minor)
constexpr const char* kFpmIniDir =
    "/etc/php/" BH_BRANCH(PHP_MAJOR_VERSION, PHP_MINOR_VERSION) "/fpm";
constexpr const char* kScanVariable = "PHP_INI_SCAN_DIR";

bool is_directory(const std::string& path) {
  struct stat st;
  return stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

// Where php.ini is looked for: -c, else php-fpm's directory (after $PHPRC, as php-fpm does).
std::string ini_search_path(const StartOptions& options) {
  if (!options.ini_path.empty()) return options.ini_path;
  if (!is_directory(kFpmIniDir)) return "";
  const char* phprc = getenv("PHPRC");
  if (phprc == nullptr || *phprc == '\0') return kFpmIniDir;
  return std::string(phprc) + ":" + kFpmIniDir;
}

// "name=value" as a line of php.ini, by the rules of -d: plain words stay bare, the rest is quoted.
void append_define(std::string& to, const std::string& define) {
  const size_t equals = define.find('=');
  if (equals == std::string::npos) {
    to.append(define).append("=1\n");
    return;
  }
  const char first = equals + 1 < define.size() ? define[equals + 1] : '\0';
  const bool bare =
      isalnum(static_cast<unsigned char>(first)) || first == '"' || first == '\'' || first == '\0';
  if (!bare) {
    to.append(define, 0, equals + 1).append("\"").append(define, equals + 1).append("\"\n");
  } else {
    to.append(define).append("\n");
  }
}

void log_error(LogLevel level, const char* text) { log_line(level, text); }

// True: the script's name ends as the pool allows.
bool is_extension_allowed(std::string_view path) {
  if (g_engine.limit_extensions.empty()) return true;
  for (const std::string& extension : g_engine.limit_extensions) {
    if (path.size() > extension.size() && path.ends_with(extension)) return true;
  }
  return false;
}

void refuse(int status, const char* text) {
  SG(sapi_headers).http_response_code = status;
  PUTS(text);
}

void log_denied(const char* path) {
  char text[1100];
  snprintf(text, sizeof text,
           "Access to the script '%s' has been denied (see security.limit_extensions)", path);
  log_error(LogLevel::kNotice, text);
}

void refuse_unopened(const char* path, int reason) {
  char text[1100];
  snprintf(text, sizeof text, "Unable to open primary script: %s (%s)", path, strerror(reason));
  log_error(LogLevel::kError, text);
  if (reason == EACCES) {
    refuse(403, "Access denied.\n");
  } else {
    refuse(404, "No input file specified.\n");
  }
}

// PHP would ask where it is, enter the script's directory and go back, for each script.  Going back
// matters only to what still runs then (shutdown functions, destructors, output callbacks) and to
// settings with relative paths.
struct Home {
  char path[PATH_MAX] = "";  // where a request starts: the pool's chdir; "": not known
  bool always = true;        // some setting names a relative path
};
Home g_home;

bool is_relative_setting(const char* name) {
  const char* value = zend_ini_string(const_cast<char*>(name), strlen(name), 0);
  return value != nullptr && *value != '\0' && *value != '/' && strcmp(value, "syslog") != 0;
}

void find_home() {
  if (getcwd(g_home.path, sizeof g_home.path) == nullptr) g_home.path[0] = '\0';
  g_home.always = is_relative_setting("error_log") || is_relative_setting("upload_tmp_dir") ||
                  is_relative_setting("sys_temp_dir") || is_relative_setting("session.save_path") ||
                  is_relative_setting("open_basedir");
}

bool has_output_callbacks() {
  auto* all = static_cast<php_output_handler**>(zend_stack_base(&OG(handlers)));
  for (int i = 0; i < zend_stack_count(&OG(handlers)); ++i) {
    if ((all[i]->flags & PHP_OUTPUT_HANDLER_USER) != 0) return true;
  }
  return false;
}

bool something_runs_later() {
  return BG(user_shutdown_function_names) != nullptr || EG(objects_store).top > 1 ||
         has_output_callbacks();
}

// Runs `file` in the directory of its name, as php_execute_script() would.
void execute_in_place(zend_file_handle* file) {
  if (g_home.path[0] == '\0' || file->filename == nullptr) {
    php_execute_script(file);
    return;
  }
  SG(options) |= SAPI_OPTION_NO_CHDIR;
  enter_directory_of(ZSTR_VAL(file->filename), enter_directory);
  php_execute_script(file);
  if (g_home.always || something_runs_later()) {
    [[maybe_unused]] const int ignored = chdir(g_home.path);
  }
}

void run_script() {
  zend_file_handle file;
  char* path = estrdup(SG(request_info).path_translated);  // PHP frees its own when it fails
  if (php_fopen_primary_script(&file) == FAILURE) {
    refuse_unopened(path, errno);
  } else {
    g_engine.hooks->on_executing();
    EG(exit_status) = 0;
    execute_in_place(&file);
    // The first run lists the handle among the open files, which request shutdown closes.
    if (!file.in_list) zend_destroy_file_handle(&file);
  }
  efree(path);
}

RequestView view_request() {
  const sapi_request_info& info = SG(request_info);
  const auto text = [](const char* s) { return s != nullptr ? s : ""; };
  return {text(info.request_method), text(info.request_uri),     text(info.query_string),
          text(info.auth_user),      text(info.path_translated), info.content_length};
}

// Sends a status page or ping.  `answer` belongs to the caller's caller, outside of zend_try.
void send_answer(const Answer& answer) {
  for (const std::string& header : answer.headers) {
    sapi_add_header_ex(const_cast<char*>(header.c_str()), header.size(), true, true);
  }
  SG(sapi_headers).http_response_code = answer.status;
  if (!SG(request_info).headers_only) PHPWRITE(answer.body.data(), answer.body.size());
}

void answer_request(Answer* answer) {
  if (SG(request_info).request_method == nullptr) return;
  if (g_engine.hooks->answer(view_request(), answer)) {
    g_engine.hooks->on_executing();
    send_answer(*answer);
    return;
  }
  const char* path = SG(request_info).path_translated;
  if (path == nullptr) {
    log_error(LogLevel::kDebug, "Primary script unknown");
    refuse(404, "File not found.\n");
  } else if (!is_extension_allowed(path)) {
    log_denied(path);
    refuse(403, "Access denied.\n");
  } else {
    run_script();
  }
}

// fastcgi.error_header: told to the client when a script died and nothing was sent yet.
void add_error_header() {
  if (EG(exit_status) != 255 || g_cgi.error_header == nullptr || *g_cgi.error_header == '\0' ||
      SG(headers_sent)) {
    return;
  }
  sapi_header_line line = {};
  line.line = g_cgi.error_header;
  line.line_len = strlen(g_cgi.error_header);
  sapi_header_op(SAPI_HEADER_REPLACE, &line);
}

void end_request() {
  add_error_header();
  g_engine.hooks->on_end(SG(sapi_headers).http_response_code, zend_memory_peak_usage(true));
  if (SG(request_info).path_translated != nullptr) {
    efree(SG(request_info).path_translated);
    SG(request_info).path_translated = nullptr;
  }
  php_request_shutdown(nullptr);
}

// The steps of one request; each may end in a bailout, the next still runs.
bool run_request(Answer* answer) {
  volatile bool started = false;
  zend_first_try {
    init_request_info();
    g_engine.hooks->on_info(view_request());
    started = php_request_startup() == SUCCESS;
    if (started) {
      zend_try { answer_request(answer); }
      zend_end_try();
      end_request();
    }
  }
  zend_catch { started = false; }
  zend_end_try();
  return started;
}

}  // namespace

Status start(const StartOptions& options) {
  zend_signal_startup();
  sapi_startup(&g_sapi);
  const std::string search = ini_search_path(options);
  if (!search.empty()) g_sapi.php_ini_path_override = strdup(search.c_str());
  g_sapi.php_ini_ignore = options.no_ini ? 1 : 0;
  g_sapi.phpinfo_as_text = options.information_as_text ? 1 : 0;
  g_sapi.executable_location = strdup(options.program.c_str());
  std::string defines;
  for (const std::string& define : options.defines) append_define(defines, define);
  if (!defines.empty()) g_sapi.ini_entries = strdup(defines.c_str());
  // The embed library would scan its own directory.
  const std::string scan = std::string(kFpmIniDir) + "/conf.d";
  const bool lend_scan = getenv(kScanVariable) == nullptr && is_directory(scan);
  if (lend_scan) setenv(kScanVariable, scan.c_str(), 1);
  const int started = g_sapi.startup(&g_sapi);
  if (lend_scan) unsetenv(kScanVariable);
  if (started == FAILURE) return fail("libphp did not start");
  hook_cache_lock();
  return {};
}

void stop() {
  php_module_shutdown();
  sapi_shutdown();
}

void enter_worker(const CacheUsers& users) {
  g_engine.is_worker = true;
  zend_signal_startup();  // what is installed now is what a signal outside of PHP's own means
  start_cpu_timer();
  use_cache_words(users);
  find_home();
  use_request_environment();
}

Served serve(RequestSource& source, RequestHooks& hooks) {
  Answer answer;  // outlives the longjmps below
  g_engine.source = &source;
  g_engine.hooks = &hooks;
  g_engine.params.load(source.params(), source.is_authorizer() ? "AUTHORIZER" : "RESPONDER");
  g_engine.out.start(&source);
  g_engine.finished = g_engine.logged = false;
  g_engine.body_file = -1;
  SG(server_context) = &g_engine;
  const bool ok = run_request(&answer);
  if (g_engine.body_file >= 0) close(g_engine.body_file);
  finish_response(Finish::kAtEnd);
  SIGG(reset) = 0;  // PHP's signal handlers stay in place: seven system calls less per request
  SG(server_context) = nullptr;
  g_engine.source = nullptr;
  return ok ? Served::kDone : Served::kBroken;
}

}  // namespace bulkhead::php
