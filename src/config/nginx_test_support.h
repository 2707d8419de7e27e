// Builds models from texts in memory, for the tests of the nginx language.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config/model.h"
#include "config/nginx_parser.h"

namespace bulkhead::config {

using Files = std::map<std::string, std::string>;

inline FileSource memory_source(Files files) {
  FileSource source;
  source.read = [files](const std::string& path) -> Result<std::string> {
    auto found = files.find(path);
    if (found == files.end()) return fail_errno("open() \"" + path + "\" failed", ENOENT);
    return found->second;
  };
  source.glob = [files](const std::string& pattern) {
    // Enough for "DIR/*.conf".
    std::vector<std::string> out;
    size_t star = pattern.find('*');
    for (const auto& [path, text] : files) {
      bool is_match =
          path.starts_with(pattern.substr(0, star)) && path.ends_with(pattern.substr(star + 1));
      if (is_match) out.push_back(path);
    }
    return out;
  };
  return source;
}

struct Built {
  Ast ast;
  std::unique_ptr<Model> model;       // null after an error
  std::vector<ConfigError> messages;  // warnings, then the error

  [[nodiscard]] bool warns(std::string_view part) const {
    return std::any_of(messages.begin(), messages.end(), [&](const ConfigError& message) {
      return message.level != LogLevel::kEmerg && message.text.find(part) != std::string::npos;
    });
  }
  [[nodiscard]] std::string error() const {
    return model || messages.empty() ? std::string() : messages.back().describe();
  }
};

inline Built build_files(const Files& files, Dialect dialect = Dialect::kBulkhead,
                         const std::string& globals = "") {
  Built out;
  ParseOptions parse{"/P", globals, dialect};
  auto ast = parse_file("n.conf", parse, memory_source(files));
  if (!ast) {
    out.messages.push_back(ast.error());
    return out;
  }
  out.ast = std::move(*ast);
  BuildOptions options;
  options.dialect = dialect;
  auto model = build_model(out.ast, options, &out.messages);
  if (model) {
    out.model = std::move(*model);
  } else {
    out.messages.push_back(model.error());
  }
  return out;
}

inline Built build_text(const std::string& text, Dialect dialect = Dialect::kBulkhead) {
  return build_files({{"/P/n.conf", text}}, dialect);
}
inline Built build_http(const std::string& text) {
  return build_text("events{}\nhttp{\n" + text + "\n}\n");
}

// The location of that text in the first server; fails the test when there is none.
inline const Location& location(const Built& built, std::string_view text) {
  static const Location none{};
  if (!built.model || built.model->servers.empty()) {
    ADD_FAILURE() << "no server: " << built.error();
    return none;
  }
  const Location* root = built.model->servers[0]->root.get();
  std::vector<const Location*> open{root};
  while (!open.empty()) {
    const Location* at = open.back();
    open.pop_back();
    if (at->text == text && at != root) return *at;
    for (const auto& child : at->children) open.push_back(child.get());
    for (const auto& child : at->ifs) open.push_back(child.get());
  }
  ADD_FAILURE() << "no location " << text;
  return none;
}

}  // namespace bulkhead::config
