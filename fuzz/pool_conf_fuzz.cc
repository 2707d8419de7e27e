// Links: bulkhead_config
// The pool language: any text is read or refused, and what was read survives its byte form.
//
// Runs in: fuzzing only.  Input: arbitrary bytes.
#include <cstdlib>
#include <string>

#include "config/fpm_parser.h"
#include "config/fpm_validate.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bulkhead::config;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  FpmOptions options;
  FpmConfig config;
  FpmParser parser(options, &config);
  bool ok = parser.read_text(text, "fuzz");
  parser.finish();
  if (!ok && config.messages.empty()) abort();
  if (ok && fpm_post_process(options, &config)) dump_fpm(config);
  for (const PoolConfig& pool : config.pools) {
    std::string bytes = serialise(pool);
    auto read = deserialise_pool(bytes);
    if (!read || serialise(*read) != bytes) abort();
  }
  (void)deserialise_pool(text);
  return 0;
}
