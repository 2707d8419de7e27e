// What php-fpm -v, -m and -i print.
//
// Runs in: bulkhead-php as a command.  Input: none.
#include <cstdio>
#include <string>

#include "php/engine_state.h"

namespace bulkhead::php {
namespace {

bool begin() {
  if (php_request_startup() == FAILURE) return false;
  SG(headers_sent) = 1;
  SG(request_info).no_headers = 1;
  return true;
}

std::string g_captured;

// libphp tells its build date only in phpinfo()'s first table.
std::string build_date() {
  sapi_module_struct& module = sapi_module;
  const auto write = module.ub_write;
  const int as_text = module.phpinfo_as_text;
  module.phpinfo_as_text = 1;
  module.ub_write = [](const char* bytes, size_t size) -> size_t {
    g_captured.append(bytes, size);
    return size;
  };
  php_print_info(PHP_INFO_GENERAL);
  php_output_end_all();
  module.ub_write = write;
  module.phpinfo_as_text = as_text;
  static constexpr std::string_view kLabel = "Build Date => ";
  const size_t at = g_captured.find(kLabel);
  if (at == std::string::npos) return "";
  const size_t from = at + kLabel.size();
  return g_captured.substr(from, g_captured.find('\n', from) - from);
}

void print_name(const char* name) { php_printf("%s\n", name); }

}  // namespace

std::string version() { return PHP_VERSION; }

void print_version() {
  if (!begin()) return;
  const std::string built = build_date();
  printf("PHP %s (%s) (built: %s)\nCopyright (c) The PHP Group\n%s", PHP_VERSION, sapi_module.name,
         built.c_str(), get_zend_version());
  fflush(stdout);
  php_request_shutdown(nullptr);
}

void print_modules() {
  HashTable sorted;
  php_output_activate();
  SG(headers_sent) = 1;
  print_name("[PHP Modules]");
  zend_hash_init(&sorted, 64, nullptr, nullptr, true);
  zend_hash_copy(&sorted, &module_registry, nullptr);
  zend_hash_sort(
      &sorted,
      [](Bucket* a, Bucket* b) {
        return strcasecmp(static_cast<zend_module_entry*>(Z_PTR(a->val))->name,
                          static_cast<zend_module_entry*>(Z_PTR(b->val))->name);
      },
      false);
  zend_hash_apply(&sorted, [](zval* entry) {
    print_name(static_cast<zend_module_entry*>(Z_PTR_P(entry))->name);
    return ZEND_HASH_APPLY_KEEP;
  });
  zend_hash_destroy(&sorted);
  print_name("\n[Zend Modules]");
  zend_llist_apply(&zend_extensions, [](void* extension) {
    print_name(static_cast<zend_extension*>(extension)->name);
  });
  print_name("");
  php_output_end_all();
  php_output_deactivate();
  fflush(stdout);
}

void print_information() {
  if (!begin()) return;
  php_print_info(0xFFFFFFFF);
  php_output_end_all();
  fflush(stdout);
  php_request_shutdown(nullptr);
}

}  // namespace bulkhead::php
