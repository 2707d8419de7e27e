// Loads a php-fpm configuration: read, validate, look accounts up.
//
// Runs in: master.  Input: configuration (trusted).
#include "config/pool_config.h"

#include <sys/stat.h>

#include <utility>

#include "config/fpm_parser.h"
#include "config/fpm_validate.h"

namespace bulkhead::config {
namespace {

using Failure = std::unexpected<std::vector<FpmMessage>>;

Failure fail_with(FpmConfig config, const std::string& last) {
  if (!last.empty()) config.messages.push_back({FpmLevel::kError, last});
  return Failure(std::move(config.messages));
}

// Leaves out what log_level hides; it has force from the end of reading on.
void filter_messages(FpmConfig* config, size_t from) {
  std::erase_if(config->messages, [&, i = size_t{0}](const FpmMessage& m) mutable {
    return i++ >= from && !m.raw && m.level < config->global.log_level;
  });
}

std::expected<FpmConfig, std::vector<FpmMessage>> complete(FpmConfig config,
                                                           const FpmOptions& options) {
  size_t read = config.messages.size();
  bool ok = fpm_post_process(options, &config);
  if (!ok) {
    filter_messages(&config, read);
    return fail_with(std::move(config), "failed to post process the configuration");
  }
  ok = fpm_check_accounts(options, &config);
  filter_messages(&config, read);
  if (!ok) return fail_with(std::move(config), "");
  return config;
}

bool is_directory(const std::string& path) {
  struct stat st;
  return stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

}  // namespace

const char* fpm_level_name(FpmLevel level) {
  switch (level) {
    case FpmLevel::kDebug:
      return "DEBUG";
    case FpmLevel::kNotice:
      return "NOTICE";
    case FpmLevel::kWarning:
      return "WARNING";
    case FpmLevel::kError:
      return "ERROR";
    case FpmLevel::kAlert:
      return "ALERT";
  }
  return "";
}

std::expected<FpmConfig, std::vector<FpmMessage>> load_fpm(const std::string& path,
                                                           const FpmOptions& options) {
  FpmConfig config;
  config.path = path;
  if (!options.prefix.empty() && !is_directory(options.prefix)) {
    return fail_with(std::move(config), "the global prefix '" + options.prefix +
                                            "' does not exist or is not a directory");
  }
  FpmParser parser(options, &config);
  if (!parser.read_file(path))
    return fail_with(std::move(config), "failed to load configuration file '" + path + "'");
  parser.finish();
  return complete(std::move(config), options);
}

std::expected<FpmConfig, std::vector<FpmMessage>> load_fpm_pools(
    const std::vector<std::string>& globs, const FpmOptions& options) {
  FpmConfig config;
  FpmParser parser(options, &config);
  for (const std::string& pattern : globs) {
    if (!parser.include(pattern, "pools", 0))
      return fail_with(std::move(config), "failed to load pools '" + pattern + "'");
  }
  parser.finish();
  if (config.pools.empty()) return config;
  return complete(std::move(config), options);
}

}  // namespace bulkhead::config
