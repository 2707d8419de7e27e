// php_value, php_flag, php_admin_value and php_admin_flag of a pool, applied for good after the
// fork, with php-fpm's order and messages.
//
// Runs in: pool (its workers inherit the result).  Input: the pool file (trusted).
// Ref: php.net install.fpm.configuration.
#include <cstdlib>

#include "php/engine_state.h"

namespace bulkhead::php {
namespace {

void disable_classes(const std::string& list) {
  size_t at = 0;
  while (at < list.size()) {
    const size_t end = std::min(list.find_first_of(" ,", at), list.size());
    if (end > at) zend_disable_class(list.c_str() + at, end - at);
    at = end + 1;
  }
}

// Changes the value that every request starts with; `admin` takes it out of scripts' reach.
bool replace_value(const std::string& name, const std::string& value, bool admin) {
  auto* entry = static_cast<zend_ini_entry*>(
      zend_hash_str_find_ptr(EG(ini_directives), name.data(), name.size()));
  if (entry == nullptr) return false;
  zend_string* text = zend_string_init(value.data(), value.size(), true);
  GC_MAKE_PERSISTENT_LOCAL(text);
  if (entry->on_modify != nullptr &&
      entry->on_modify(entry, text, entry->mh_arg1, entry->mh_arg2, entry->mh_arg3,
                       ZEND_INI_STAGE_ACTIVATE) != SUCCESS) {
    zend_string_release(text);  // a value PHP refuses is passed over in silence, as in php-fpm
    return true;
  }
  entry->value = text;
  if (admin) entry->modifiable = ZEND_INI_SYSTEM;
  return true;
}

void load_extension(const std::string& name) {
  zval loaded;
  php_dl(name.c_str(), MODULE_PERSISTENT, &loaded, 1);
}

bool is_on(const std::string& value) {
  for (const char* on : {"1", "on", "yes", "true"}) {
    if (strcasecmp(value.c_str(), on) == 0) return true;
  }
  return false;
}

}  // namespace

bool set_ini_for_good(const std::string& name, const std::string& value, bool admin) noexcept {
  if (name == "extension" && !value.empty()) {
    load_extension(value);
    return true;
  }
  if (!replace_value(name, value, admin)) return false;
  if (name == "disable_functions" && !value.empty()) zend_disable_functions(value.c_str());
  if (name == "disable_classes" && !value.empty()) disable_classes(value);
  return true;
}

std::string IniSetting::effective_value() const {
  if (!flag) return value;
  return is_on(value) ? "1" : "0";
}

std::string ini_value(const char* name) {
  const char* value = zend_ini_string_ex(name, strlen(name), 0, nullptr);
  return value != nullptr ? value : "";
}

void set_log_sink(LogSink log, void* context) {
  g_engine.sink = log;
  g_engine.sink_context = context;
}

void apply_pool(const PoolSettings& settings, LogSink log, void* context) {
  set_log_sink(log, context);
  g_engine.limit_extensions = settings.limit_extensions;
  // A cache on disk is shared by all who may read it: only a pool that names its own gets one.
  static constexpr const char* kFileCache = "opcache.file_cache";
  bool own_file_cache = false;
  for (const IniSetting& s : settings.ini) own_file_cache |= s.name == kFileCache;
  const char* shared = zend_ini_string_ex(kFileCache, strlen(kFileCache), 0, nullptr);
  if (!own_file_cache && shared != nullptr && *shared != '\0') {
    log_line(LogLevel::kWarning,
             "opcache.file_cache of php.ini is shared between sites and therefore not used; set "
             "php_admin_value[opcache.file_cache] in the pool");
    set_ini_for_good(kFileCache, "", true);
  }
  if (!g_engine.preload.empty()) {
    log_line(LogLevel::kWarning, "opcache.preload is not run: no script runs before a site's fork");
  }
  for (const bool admin : {false, true}) {
    for (const IniSetting& s : settings.ini) {
      if (s.admin != admin || set_ini_for_good(s.name, s.effective_value(), admin)) continue;
      log_line(LogLevel::kError, std::string("Unable to set ") +
                                     (admin ? "php_admin_value '" : "php_value '") + s.name + "'");
    }
  }
}

}  // namespace bulkhead::php
