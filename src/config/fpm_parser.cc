// Files of the php-fpm language -> FpmConfig, before validation.
//
// Runs in: master.  Input: configuration (trusted).
// Wording is php-fpm 8.2's, as observed.  One thing is better: after an include, php-fpm goes on
// counting lines from the included file's last one; here every message names the true line.
#include "config/fpm_parser.h"

#include <fcntl.h>
#include <glob.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "config/fpm_lexer.h"
#include "config/fpm_table.h"

namespace bulkhead::config {
namespace {

constexpr int kIncludeDepthMax = 5;
constexpr size_t kFileBytesMax = 16u << 20;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

// The whole file; a directory reads as empty, as it does in php-fpm.  False with errno.
bool read_whole(const std::string& path, std::string* out) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  std::array<char, 16384> buffer;
  ssize_t n;
  while ((n = read(fd, buffer.data(), buffer.size())) > 0 && out->size() < kFileBytesMax)
    out->append(buffer.data(), static_cast<size_t>(n));
  close(fd);
  return true;
}

std::string errno_words(int value) {
  return std::string(": ") + strerror(value) + " (" + std::to_string(value) + ")";
}

}  // namespace

std::string fpm_full_path(const std::string& path, const std::string& prefix) {
  if (!path.empty() && path[0] == '/') return path;
  return prefix + "/" + path;
}

bool FpmParser::error(std::string text) {
  config_->messages.push_back({FpmLevel::kError, std::move(text)});
  return false;
}

bool FpmParser::error_here(const std::string& text) {
  return error("[" + file_ + ":" + std::to_string(line_) + "] " + text);
}

bool FpmParser::read_file(const std::string& path) {
  if (path.empty()) return error("configuration filename is empty");
  std::string text;
  if (!read_whole(path, &text)) {
    int e = errno;
    return error("failed to open configuration file '" + path + "'" + errno_words(e));
  }
  if (depth_ >= kIncludeDepthMax) return error("failed to include more than 5 files recursively");
  depth_++;
  bool ok = read_lines(text, path);
  depth_--;
  return ok;
}

bool FpmParser::read_text(std::string_view text, const std::string& path) {
  files_allowed_ = false;
  return read_lines(text, path);
}

bool FpmParser::read_lines(std::string_view text, const std::string& path) {
  std::string outer_file = std::exchange(file_, path);
  uint32_t outer_line = std::exchange(line_, 0);
  bool ok = true;
  while (ok && !text.empty()) {
    size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    line_++;
    FpmLine parsed = read_fpm_line(line);
    for (const FpmStatement& s : parsed.statements) {
      if (s.kind == FpmStatement::Kind::kSection) {
        ok = section(s.name);
      } else if (!s.value) {
        ok = error_here("value is NULL for a ZEND_INI_PARSER_ENTRY");
      } else if (s.kind == FpmStatement::Kind::kEntry) {
        ok = entry(s.name, *s.value);
      } else {
        ok = array(s.name, s.offset, *s.value);
      }
      if (!ok) break;
    }
    if (!parsed.syntax_error.empty()) {
      config_->messages.push_back({FpmLevel::kError, "PHP:  " + parsed.syntax_error, true});
      ok = false;
    }
    if (ok && include_is_pending_) {
      include_is_pending_ = false;
      ok = include(pending_include_, file_, line_);
    }
  }
  file_ = std::move(outer_file);
  line_ = outer_line;
  return ok;
}

bool FpmParser::include(const std::string& pattern, const std::string& from, uint32_t line) {
  std::string full = fpm_full_path(pattern, options_.prefix.empty() ? "/usr" : options_.prefix);
  std::string place = " from " + from + " at line " + std::to_string(line);
  glob_t found{};
  int ret = glob(full.c_str(), GLOB_ERR | GLOB_MARK, nullptr, &found);
  if (ret == GLOB_NOMATCH) {
    config_->messages.push_back(
        {FpmLevel::kWarning, "Nothing matches the include pattern '" + full + "'" + place + "."});
    return true;
  }
  if (ret != 0) {
    return error("Unable to globalize '" + full + "' (ret=" + std::to_string(ret) + ")" + place +
                 ".");
  }
  bool ok = true;
  for (size_t i = 0; ok && i < found.gl_pathc; i++) {
    std::string path = found.gl_pathv[i];
    if (path.empty() || path.back() == '/') continue;  // directories
    ok = read_file(path) || error("Unable to include " + path + place);
  }
  globfree(&found);
  return ok;
}

bool FpmParser::section(const std::string& name) {
  if (fpm_same_name(name, "global")) {
    current_ = -1;
    return true;
  }
  auto [it, is_new] = pool_by_name_.try_emplace(lower(name), config_->pools.size());
  if (is_new) {
    PoolConfig& p = config_->pools.emplace_back();
    p.name = name;
    p.file = file_;
    p.line = line_;
    p.limit_extensions = {".php", ".phar"};
  }
  current_ = static_cast<std::ptrdiff_t>(it->second);
  return true;
}

bool FpmParser::expand_pool(std::string* value) const {
  constexpr std::string_view kToken = "$pool";
  size_t at = 0;
  while ((at = value->find(kToken, at)) != std::string::npos) {
    if (current_ < 0) return false;
    const std::string& name = config_->pools[current_].name;
    value->replace(at, kToken.size(), name);
    at += name.size();
  }
  return true;
}

bool FpmParser::entry(const std::string& name, const std::string& value) {
  if (fpm_same_name(name, "include")) {
    if (!files_allowed_) return error_here("include is not possible here");
    if (include_is_pending_) return error_here("two includes at the same time !");
    pending_include_ = value;
    include_is_pending_ = true;
    return true;
  }
  auto store = [&]<class T>(std::span<const FpmRow<T>> rows, T* into) {
    for (size_t i = 0; i < rows.size(); i++) {
      const FpmRow<T>& row = rows[i];
      if (!fpm_same_name(row.name, name)) continue;
      if (row.owner == FpmOwner::kBulkhead && !options_.bulkhead_keys) break;
      std::string text = value;
      std::optional<std::string_view> wrong;
      bool is_text = row.form == FpmForm::kString || row.form == FpmForm::kWords ||
                     row.form == FpmForm::kChecked;
      if (is_text && !expand_pool(&text)) wrong = "Can't use '$pool' when the pool is not defined";
      if (!wrong) wrong = fpm_store(row, text, into);
      if (wrong) {
        return error_here("unable to parse value for entry '" + name + "': " + std::string(*wrong));
      }
      into->given |= uint64_t{1} << i;
      return true;
    }
    return error_here("unknown entry '" + name + "'");
  };
  if (pool()) return store(fpm_pool_rows(), pool());
  if (!store(fpm_global_rows(), &config_->global)) return false;
  if (fpm_same_name(name, "systemd_interval")) {
    int seconds = std::clamp(config_->global.systemd_interval_ms, 0, 1'000'000);
    config_->global.systemd_interval_ms = seconds * 1000;
  }
  return true;
}

bool FpmParser::array(const std::string& name, const std::string& key, const std::string& value) {
  if (!pool()) return error_here("Array are not allowed in the global section");
  PoolConfig& p = *pool();
  if (name == "access.suppress_path") {
    if (!key.empty())
      return error_here("Keys provided to field 'access.suppress_path' are ignored");
    if (value.empty() || value[0] != '/') {
      return error_here("Values provided to field 'access.suppress_path' must begin with '/'");
    }
    p.access_suppress_paths.push_back(value);
    return true;
  }
  if (options_.bulkhead_keys && (name == "sandbox.read" || name == "sandbox.write")) {
    std::string path = value;
    if (!expand_pool(&path) || path.empty() || path[0] != '/')
      return error_here("Values provided to field '" + name + "' must begin with '/'");
    (name == "sandbox.read" ? p.sandbox_read : p.sandbox_write).push_back(std::move(path));
    return true;
  }
  if (options_.bulkhead_keys && name == "sandbox.off") {
    constexpr std::string_view kLayers[] = {"view", "pid", "ipc", "landlock", "seccomp", "cgroup"};
    if (std::find(std::begin(kLayers), std::end(kLayers), value) == std::end(kLayers)) {
      return error_here("'" + value + "' is no layer of the sandbox: name one of view, pid, ipc, " +
                        "landlock, seccomp, cgroup in 'sandbox.off[]'");
    }
    p.sandbox_off.push_back(value);
    return true;
  }
  if (key.empty()) return error_here("You must provide a key for field '" + name + "'");
  return define(name, key, value);
}

bool FpmParser::define(const std::string& name, const std::string& key, std::string value) {
  PoolConfig& p = *pool();
  using Kind = PhpDefine::Kind;
  if (name == "env") {
    if (value.empty()) return error_here("empty value");
    if (!expand_pool(&value)) return false;
    p.env_written.emplace_back(key, std::move(value));
    return true;
  }
  Kind kind;
  if (name == "php_value") {
    kind = Kind::kValue;
  } else if (name == "php_admin_value") {
    kind = Kind::kAdminValue;
  } else if (name == "php_flag") {
    kind = Kind::kFlag;
  } else if (name == "php_admin_flag") {
    kind = Kind::kAdminFlag;
  } else {
    return error_here("unknown directive '" + name + "'");
  }
  if (kind == Kind::kFlag || kind == Kind::kAdminFlag) {
    auto b = fpm_boolean(value);
    if (!b)
      return error_here("error while parsing '" + name + "[" + key + "]' : invalid boolean value");
    value = *b ? "1" : "0";
  } else if (!expand_pool(&value)) {
    return false;
  }
  p.php_values.push_back({key, std::move(value), kind});
  return true;
}

void FpmParser::finish() {
  for (PoolConfig& p : config_->pools) {
    std::reverse(p.env_written.begin(), p.env_written.end());
    std::reverse(p.access_suppress_paths.begin(), p.access_suppress_paths.end());
    std::vector<PhpDefine> written = std::move(p.php_values);
    p.php_values.clear();
    for (bool admin : {false, true}) {
      for (size_t i = written.size(); i-- > 0;) {
        bool is_admin = written[i].kind == PhpDefine::Kind::kAdminValue ||
                        written[i].kind == PhpDefine::Kind::kAdminFlag;
        if (is_admin == admin) p.php_values.push_back(std::move(written[i]));
      }
    }
  }
}

}  // namespace bulkhead::config
