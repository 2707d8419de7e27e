// $_ENV, getenv() and $_SERVER as php-fpm fills them: the process's environment, then the
// request's parameters, latest first.
//
// Runs in: worker.  Input: hostile parameters.
#include <cstring>

#include "php/engine_state.h"

namespace bulkhead::php {
namespace {

void (*g_import_process_environment)(zval* array) = nullptr;

bool has_entries(const zval& array) {
  return Z_TYPE(array) == IS_ARRAY && zend_hash_num_elements(Z_ARRVAL(array)) > 0;
}

// Copies an array PHP has filled already; false when it cannot serve as the source.
bool copy_from(zval* array, const zval& source) {
  if (!has_entries(source) || Z_ARR_P(array) == Z_ARR(source)) return false;
  zend_array_destroy(Z_ARR_P(array));
  Z_ARR_P(array) = zend_array_dup(Z_ARR(source));
  return true;
}

void import_environment(zval* array) noexcept {
  const zval& env = PG(http_globals)[TRACK_VARS_ENV];
  if (copy_from(array, env) || copy_from(array, PG(http_globals)[TRACK_VARS_SERVER])) return;
  g_import_process_environment(array);
  const bool is_env = Z_TYPE(env) == IS_ARRAY && Z_ARR_P(array) == Z_ARR(env);
  g_engine.params.each([&](const Param& p) {
    char* value = const_cast<char*>(p.value);
    size_t size = p.value_size;
    if (sapi_module.input_filter(is_env ? PARSE_ENV : PARSE_SERVER, p.name, &value, size, &size)) {
      php_register_variable_safe(p.name, value, size, array);
    }
  });
}

void load_environment(zval* array) noexcept {
  g_import_process_environment(array);
  g_engine.params.each(
      [&](const Param& p) { php_register_variable_safe(p.name, p.value, p.value_size, array); });
}

}  // namespace

void use_request_environment() noexcept {
  g_import_process_environment = php_import_environment_variables;
  php_import_environment_variables = import_environment;
  php_load_environment_variables = load_environment;
}

}  // namespace bulkhead::php
