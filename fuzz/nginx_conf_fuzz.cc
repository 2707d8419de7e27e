// Links: bulkhead_config bulkhead_base
// The nginx language from bytes to model: lexer, includes, builder, and the byte form of the tree.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "config/nginx_parser.h"

using namespace bulkhead;
using namespace bulkhead::config;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string text(reinterpret_cast<const char*>(data), size);
  // Only the main file exists; an include of itself recurses.
  FileSource source;
  source.read = [&](const std::string& path) -> Result<std::string> {
    if (path == "/P/n.conf") return text;
    return fail_errno("open() \"" + path + "\" failed", ENOENT);
  };
  source.glob = [](const std::string&) { return std::vector<std::string>(); };
  auto ast = parse_file("n.conf", {"/P", "", Dialect::kBulkhead}, source);
  if (!ast) return 0;
  BuildOptions options;
  options.resolve_names = false;
  std::vector<ConfigError> warnings;
  auto model = build_model(*ast, options, &warnings);
  auto back = deserialise(serialise(*ast));
  if (!back) std::abort();
  auto again = build_model(*back, options, nullptr);
  if (model.has_value() != again.has_value()) std::abort();
  if (model && (*model)->listens.size() != (*again)->listens.size()) std::abort();
  return 0;
}
