#include "front/server_names.h"

namespace bulkhead::front {

using config::ServerName;

ServerNames::ServerNames(const config::Model& model, const config::Listen& listen)
    : default_server_(listen.default_server) {
  for (uint32_t index : listen.servers) {
    const config::Server& server = *model.servers[index];
    if (server.names.empty()) exact_.try_emplace(std::string(), index);
    for (const ServerName& name : server.names) add(name, index);
  }
  only_default_ = listen.servers.size() <= 1 && patterns_.empty();
}

void ServerNames::add(const ServerName& name, uint32_t server) {
  std::string_view text = name.text;
  switch (name.kind) {
    case ServerName::Kind::kExact:
      exact_.try_emplace(std::string(text), server);
      break;
    case ServerName::Kind::kLeadingWildcard:
      if (text.starts_with("*.")) {
        leading_.try_emplace(std::string(text.substr(2)), server);
      } else {  // ".example.com": the name itself and everything below it
        text.remove_prefix(text.starts_with('.') ? 1 : 0);
        exact_.try_emplace(std::string(text), server);
        leading_.try_emplace(std::string(text), server);
      }
      break;
    case ServerName::Kind::kTrailingWildcard:
      if (text.ends_with(".*")) text.remove_suffix(2);
      trailing_.try_emplace(std::string(text), server);
      break;
    case ServerName::Kind::kRegex:
      patterns_.push_back({&name, server});
      break;
  }
}

ServerMatch ServerNames::find(std::string_view host, config::Captures* captures) const {
  if (only_default_) return {default_server_, nullptr};
  if (auto it = exact_.find(host); it != exact_.end()) return {it->second, nullptr};
  if (host.empty()) return {default_server_, nullptr};
  if (!leading_.empty()) {
    for (size_t dot = host.find('.'); dot != std::string_view::npos;
         dot = host.find('.', dot + 1)) {
      if (dot == 0) continue;
      auto it = leading_.find(host.substr(dot + 1));
      if (it != leading_.end()) return {it->second, nullptr};
    }
  }
  if (!trailing_.empty()) {
    for (size_t dot = host.rfind('.'); dot != std::string_view::npos && dot > 0;
         dot = host.rfind('.', dot - 1)) {
      auto it = trailing_.find(host.substr(0, dot));
      if (it != trailing_.end()) return {it->second, nullptr};
    }
  }
  for (const Pattern& p : patterns_) {
    if (p.name->regex->match(host, captures) == config::MatchResult::kYes) {
      return {p.server, p.name};
    }
  }
  return {default_server_, nullptr};
}

}  // namespace bulkhead::front
