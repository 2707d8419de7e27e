// .user.ini files and the per-directory and per-host sections of php.ini, before a script runs.
//
// Runs in: worker.  Input: the site's own .user.ini files; hostile parameters.
// Ref: php.net configuration.file.per-user.
#include "php/engine_state.h"

namespace bulkhead::php {
namespace {

// Settings of one directory, kept for user_ini.cache_ttl seconds.
struct CachedSettings {
  time_t expires = 0;
  HashTable values;
};
HashTable* g_directories = nullptr;  // path -> CachedSettings; lives as long as the worker
constexpr uint32_t kDirectoriesMax = 4096;

void free_directory(zval* entry) {
  auto* cached = static_cast<CachedSettings*>(Z_PTR_P(entry));
  zend_hash_destroy(&cached->values);
  free(cached);
}

CachedSettings* settings_of(const char* path, size_t size) {
  if (g_directories == nullptr) {
    g_directories = static_cast<HashTable*>(malloc(sizeof(HashTable)));
    zend_hash_init(g_directories, 8, nullptr, free_directory, true);
  }
  void* known = zend_hash_str_find_ptr(g_directories, path, size);
  if (known != nullptr) return static_cast<CachedSettings*>(known);
  if (zend_hash_num_elements(g_directories) >= kDirectoriesMax) zend_hash_clean(g_directories);
  auto* cached = static_cast<CachedSettings*>(calloc(1, sizeof(CachedSettings)));
  zend_hash_init(&cached->values, 0, nullptr, reinterpret_cast<dtor_func_t>(config_zval_dtor),
                 true);
  zend_hash_str_update_ptr(g_directories, path, size, cached);
  return cached;
}

// Reads the files from the document root down to `path` (both end in a slash or are changed
// and restored here); only that of `path` when it lies elsewhere.
void read_files(char* path, size_t size, const char* root, size_t root_size, HashTable* values) {
  if (strncmp(root, path, size > root_size ? root_size : size) != 0) {
    php_parse_user_ini_file(path, PG(user_ini_filename), values);
    return;
  }
  if (size <= root_size) return;  // above the document root
  for (char* at = strchr(path + root_size, '/'); at != nullptr; at = strchr(at + 1, '/')) {
    *at = '\0';
    php_parse_user_ini_file(path, PG(user_ini_filename), values);
    *at = '/';
  }
}

void activate_files(char* path, size_t size) {
  const char* root = g_engine.params.find("DOCUMENT_ROOT");
  if (root == nullptr || size == 0 || path[0] != '/') return;
  size_t root_size = strlen(root);
  if (root_size > 0 && root[root_size - 1] == '/') --root_size;
  CachedSettings* cached = settings_of(path, size);
  const time_t now = static_cast<time_t>(sapi_get_request_time());
  if (now > cached->expires) {
    zend_hash_clean(&cached->values);
    read_files(path, size, root, root_size, &cached->values);
    cached->expires = now + PG(user_ini_cache_ttl);
  }
  php_ini_activate_config(&cached->values, PHP_INI_PERDIR, PHP_INI_STAGE_HTACCESS);
}

void activate_host() {
  if (!php_ini_has_per_host_config()) return;
  const char* name = g_engine.params.find("SERVER_NAME");
  if (name == nullptr) return;
  const size_t size = strlen(name);
  char* lower = zend_str_tolower_dup(name, size);
  php_ini_activate_per_host_config(lower, size);
  efree(lower);
}

}  // namespace

int activate_user_ini() noexcept {
  const char* script = SG(request_info).path_translated;
  if (script == nullptr) return FAILURE;
  activate_host();
  const bool use_files = PG(user_ini_filename) != nullptr && *PG(user_ini_filename) != '\0';
  if (!php_ini_has_per_dir_config() && !use_files) return SUCCESS;
  size_t size = strlen(script);
  char* path = static_cast<char*>(emalloc(size + 2));
  memcpy(path, script, size + 1);
  size = zend_dirname(path, size);
  path[size++] = '/';
  path[size] = '\0';
  php_ini_activate_per_dir_config(path, size);
  if (use_files) activate_files(path, size);
  efree(path);
  return SUCCESS;
}

void forget_user_ini() noexcept {
  if (g_directories == nullptr) return;
  zend_hash_destroy(g_directories);
  free(g_directories);
  g_directories = nullptr;
}

}  // namespace bulkhead::php
