// Files of the php-fpm language -> FpmConfig, before validation: sections, includes, `$pool`.
//
// Runs in: master.  Input: configuration (trusted).
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "config/pool_config.h"

namespace bulkhead::config {

// Reads files into one configuration.  A step that fails has left php-fpm's lines in `messages`.
class FpmParser {
 public:
  FpmParser(const FpmOptions& options, FpmConfig* config) : options_(options), config_(config) {}

  [[nodiscard]] bool read_file(const std::string& path);
  // Reads every file a pattern matches; `from` and `line` name the place of the include.
  [[nodiscard]] bool include(const std::string& pattern, const std::string& from, uint32_t line);
  // Reads text as if it were a file; includes are refused (tests and fuzzing).
  [[nodiscard]] bool read_text(std::string_view text, const std::string& path);
  // Puts env and php_values into the order php-fpm applies them.
  void finish();

 private:
  [[nodiscard]] bool read_lines(std::string_view text, const std::string& path);
  [[nodiscard]] bool section(const std::string& name);
  [[nodiscard]] bool entry(const std::string& name, const std::string& value);
  [[nodiscard]] bool array(const std::string& name, const std::string& key,
                           const std::string& value);
  [[nodiscard]] bool define(const std::string& name, const std::string& key, std::string value);
  [[nodiscard]] bool error(std::string text);
  [[nodiscard]] bool error_here(const std::string& text);
  [[nodiscard]] bool expand_pool(std::string* value) const;
  PoolConfig* pool() { return current_ < 0 ? nullptr : &config_->pools[current_]; }

  const FpmOptions& options_;
  FpmConfig* config_;
  std::unordered_map<std::string, size_t> pool_by_name_;  // lower case
  std::ptrdiff_t current_ = -1;                           // -1: [global] or before any section
  int depth_ = 0;
  bool files_allowed_ = true;
  std::string file_;
  uint32_t line_ = 0;
  std::string pending_include_;
  bool include_is_pending_ = false;
};

// `path` under `prefix` when relative; PHP's own prefix (/usr) when there is none.
std::string fpm_full_path(const std::string& path, const std::string& prefix);

}  // namespace bulkhead::config
