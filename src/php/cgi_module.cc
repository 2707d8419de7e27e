// The module "cgi-fcgi": ini entries cgi.*, fastcgi.*, fpm.config and php-fpm's own functions.
//
// Runs in: worker (functions), zygote (ini entries).  Input: hostile scripts and parameters.
#include <cctype>

#include "php/engine_state.h"

namespace bulkhead::php {
namespace {

// ini handlers write into g_cgi; libphp's macros want plain globals, so the handlers are our own.
template <bool CgiSettings::*kField>
ZEND_INI_MH(update_flag) {
  g_cgi.*kField = zend_ini_parse_bool(new_value);
  return SUCCESS;
}
template <char* CgiSettings::*kField>
ZEND_INI_MH(update_text) {
  g_cgi.*kField = new_value != nullptr ? ZSTR_VAL(new_value) : nullptr;
  return SUCCESS;
}

ZEND_INI_BEGIN()
ZEND_INI_ENTRY_EX("cgi.rfc2616_headers", "0", ZEND_INI_ALL,
                  update_flag<&CgiSettings::rfc2616_headers>, zend_ini_boolean_displayer_cb)
ZEND_INI_ENTRY_EX("cgi.nph", "0", ZEND_INI_ALL, update_flag<&CgiSettings::nph>,
                  zend_ini_boolean_displayer_cb)
ZEND_INI_ENTRY_EX("cgi.fix_pathinfo", "1", ZEND_INI_SYSTEM, update_flag<&CgiSettings::fix_pathinfo>,
                  zend_ini_boolean_displayer_cb)
ZEND_INI_ENTRY_EX("cgi.discard_path", "0", ZEND_INI_SYSTEM, update_flag<&CgiSettings::discard_path>,
                  zend_ini_boolean_displayer_cb)
ZEND_INI_ENTRY_EX("fastcgi.logging", "1", ZEND_INI_SYSTEM, update_flag<&CgiSettings::fcgi_logging>,
                  zend_ini_boolean_displayer_cb)
ZEND_INI_ENTRY_EX("cgi.force_redirect", "1", ZEND_INI_SYSTEM, nullptr,
                  zend_ini_boolean_displayer_cb)
ZEND_INI_ENTRY("cgi.redirect_status_env", nullptr, ZEND_INI_SYSTEM, nullptr)
ZEND_INI_ENTRY("fastcgi.error_header", nullptr, ZEND_INI_SYSTEM,
               update_text<&CgiSettings::error_header>)
ZEND_INI_ENTRY("fpm.config", nullptr, ZEND_INI_SYSTEM, update_text<&CgiSettings::fpm_config>)
ZEND_INI_END()

// The zygote runs no script, and every site would share what a preloaded one left behind.
void disarm_preload() {
  zval* entry = cfg_get_entry("opcache.preload", sizeof("opcache.preload") - 1);
  if (entry == nullptr || Z_TYPE_P(entry) != IS_STRING || Z_STRLEN_P(entry) == 0) return;
  g_engine.preload.assign(Z_STRVAL_P(entry), Z_STRLEN_P(entry));
  ZVAL_EMPTY_STRING(entry);  // the old string stays: it is php.ini's, freed with the process
}

// The embed library carries pcntl, php-fpm does not: a worker must not fork or take signals away.
void leave_out_pcntl() { zend_hash_str_del(&module_registry, "pcntl", sizeof("pcntl") - 1); }

PHP_MINIT_FUNCTION(bulkhead_cgi) {
  leave_out_pcntl();
  disarm_preload();
  return zend_register_ini_entries(ini_entries, module_number);
}
PHP_MSHUTDOWN_FUNCTION(bulkhead_cgi) {
  forget_user_ini();
  zend_unregister_ini_entries(module_number);
  return SUCCESS;
}
PHP_MINFO_FUNCTION(bulkhead_cgi) {
  php_info_print_table_start();
  php_info_print_table_row(2, "php-fpm", "active");
  php_info_print_table_end();
  display_ini_entries(zend_module);
}

PHP_FUNCTION(fastcgi_finish_request) {
  ZEND_PARSE_PARAMETERS_NONE();
  if (g_engine.source == nullptr || g_engine.finished) RETURN_FALSE;
  php_output_end_all();
  php_header();
  finish_response(Finish::kEarly);
  RETURN_TRUE;
}

// HTTP_ACCEPT_ENCODING becomes Accept-Encoding.  Returns 0 for a variable that is no header.
size_t header_name(const Param& param, char* to, size_t room) {
  std::string_view name(param.name, param.name_size);
  if (name == "CONTENT_TYPE" || name == "CONTENT_LENGTH") {
    // as they are
  } else if (name.size() > 5 && name.starts_with("HTTP_")) {
    name.remove_prefix(5);
  } else {
    return 0;
  }
  if (name.size() >= room) return 0;
  bool first = true;
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    to[i] = c == '_' ? '-' : first ? c : static_cast<char>(tolower(static_cast<uint8_t>(c)));
    first = c == '_';
  }
  to[name.size()] = '\0';
  return name.size();
}

PHP_FUNCTION(apache_request_headers) {
  ZEND_PARSE_PARAMETERS_NONE();
  array_init(return_value);
  if (g_engine.source == nullptr) return;
  g_engine.params.each([&](const Param& p) {
    char name[1024];
    const size_t size = header_name(p, name, sizeof name);
    if (size != 0) add_assoc_stringl_ex(return_value, name, size, p.value, p.value_size);
  });
}

void add_text(zval* array, const char* key, const std::string& text) {
  add_assoc_stringl(array, key, text.data(), text.size());
}

void add_worker(zval* list, const WorkerStatus& w, int64_t now) {
  zval item;
  array_init(&item);
  add_assoc_long(&item, "pid", w.pid);
  add_text(&item, "state", w.state);
  add_assoc_long(&item, "start-time", w.start_epoch);
  add_assoc_long(&item, "start-since", now - w.start_epoch);
  add_assoc_long(&item, "requests", static_cast<zend_long>(w.requests));
  add_assoc_long(&item, "request-duration", static_cast<zend_long>(w.duration_us));
  add_assoc_string(&item, "request-method", w.method.empty() ? "-" : w.method.c_str());
  add_text(&item, "request-uri", w.uri);
  add_text(&item, "query-string", w.query);
  add_assoc_long(&item, "request-length", static_cast<zend_long>(w.content_length));
  add_assoc_string(&item, "user", w.user.empty() ? "-" : w.user.c_str());
  add_assoc_string(&item, "script", w.script.empty() ? "-" : w.script.c_str());
  add_assoc_double(&item, "last-request-cpu", w.cpu_percent);
  add_assoc_long(&item, "last-request-memory", static_cast<zend_long>(w.memory_bytes));
  add_next_index_zval(list, &item);
}

PHP_FUNCTION(fpm_get_status) {
  ZEND_PARSE_PARAMETERS_NONE();
  static PoolStatus status;  // outlives a bailout
  status = PoolStatus();
  if (g_engine.hooks == nullptr || !g_engine.hooks->status(&status)) RETURN_FALSE;
  array_init(return_value);
  add_text(return_value, "pool", status.pool);
  add_text(return_value, "process-manager", status.manager);
  const auto number = [&](const char* key, uint64_t value) {
    add_assoc_long(return_value, key, static_cast<zend_long>(value));
  };
  number("start-time", static_cast<uint64_t>(status.start_epoch));
  number("start-since", static_cast<uint64_t>(status.now_epoch - status.start_epoch));
  number("accepted-conn", status.accepted);
  number("listen-queue", status.queue);
  number("max-listen-queue", status.queue_max);
  number("listen-queue-len", status.queue_size);
  number("idle-processes", status.idle);
  number("active-processes", status.active);
  number("total-processes", status.idle + status.active);
  number("max-active-processes", status.active_max);
  number("max-children-reached", status.max_children_reached);
  number("slow-requests", status.slow_requests);
  zval list;
  array_init(&list);
  for (const WorkerStatus& w : status.workers) add_worker(&list, w, status.now_epoch);
  add_assoc_zval(return_value, "procs", &list);
}

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_finish, 0, 0, _IS_BOOL, 0)
ZEND_END_ARG_INFO()
ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_headers, 0, 0, IS_ARRAY, 0)
ZEND_END_ARG_INFO()
ZEND_BEGIN_ARG_WITH_RETURN_TYPE_MASK_EX(arginfo_status, 0, 0, MAY_BE_ARRAY | MAY_BE_FALSE)
ZEND_END_ARG_INFO()

const zend_function_entry kFunctions[] = {
    PHP_FE(fastcgi_finish_request, arginfo_finish) PHP_FE(apache_request_headers, arginfo_headers)
        PHP_FALIAS(getallheaders, apache_request_headers, arginfo_headers)
            PHP_FE(fpm_get_status, arginfo_status) PHP_FE_END};

}  // namespace

zend_module_entry g_cgi_module = {
    STANDARD_MODULE_HEADER,
    "cgi-fcgi",
    kFunctions,
    PHP_MINIT(bulkhead_cgi),
    PHP_MSHUTDOWN(bulkhead_cgi),
    nullptr,
    nullptr,
    PHP_MINFO(bulkhead_cgi),
    PHP_VERSION,
    STANDARD_MODULE_PROPERTIES,
};

}  // namespace bulkhead::php
