// Short spellings for the rows of the tables (nginx_table_*.cc).  Internal to src/config.
//
// Runs in: master, front.  Input: none; constant data.
#pragma once

#include <span>

#include "config/nginx_setters.h"
#include "config/nginx_slots.h"
#include "config/nginx_table.h"

namespace bulkhead::config {

// Contexts that many rows share.
constexpr uint32_t kHS = kHttp | kServer;
constexpr uint32_t kHSL = kHttpServerLocation;
constexpr uint32_t kHSLI = kAnyHttp;
constexpr uint32_t kRewriteContexts = kServer | kLocation | kServerIf | kLocationIf;
constexpr uint32_t kMailAll = kMail | kMailServer;
constexpr uint32_t kStreamAll = kStream | kStreamServer;

// Accepted: works without it.
constexpr DirectiveRow idle(std::string_view name, uint32_t contexts, uint32_t arguments,
                            std::string_view help, Setter check = nullptr,
                            Merge merge = Merge::kOverride) {
  return {.name = name,
          .contexts = contexts,
          .arguments = arguments,
          .support = Support::kNoEffect,
          .set = check,
          .default_value = {},
          .merge = merge,
          .reload = ReloadEffect::kServing,
          .help = help};
}
// Accepted, may be repeated.
constexpr DirectiveRow idle_list(std::string_view name, uint32_t contexts, uint32_t arguments,
                                 std::string_view help, Setter check = nullptr) {
  return idle(name, contexts, arguments, help, check, Merge::kAppend);
}
// Accepted with a warning: answers differ.
constexpr DirectiveRow warned(std::string_view name, uint32_t contexts, uint32_t arguments,
                              std::string_view help) {
  return {.name = name,
          .contexts = contexts,
          .arguments = arguments,
          .support = Support::kWarned,
          .set = nullptr,
          .default_value = {},
          .merge = Merge::kAppend,
          .reload = ReloadEffect::kServing,
          .help = help};
}
// Accepted with a warning; such a location answers 503.
constexpr DirectiveRow lacking(std::string_view name, uint32_t contexts, uint32_t arguments,
                               Setter set, std::string_view help, Merge merge = Merge::kAppend) {
  return {.name = name,
          .contexts = contexts,
          .arguments = arguments,
          .support = Support::kUnsupported,
          .set = set,
          .default_value = {},
          .merge = merge,
          .reload = ReloadEffect::kServing,
          .help = help};
}
// An error that says what is missing.
constexpr DirectiveRow refused(std::string_view name, uint32_t contexts, uint32_t arguments,
                               std::string_view help) {
  return {.name = name,
          .contexts = contexts,
          .arguments = arguments,
          .support = Support::kRefused,
          .set = nullptr,
          .default_value = {},
          .merge = Merge::kAppend,
          .reload = ReloadEffect::kServing,
          .help = help};
}

std::span<const DirectiveRow> main_rows();
std::span<const DirectiveRow> http_rows();
std::span<const DirectiveRow> location_rows();
std::span<const DirectiveRow> fastcgi_rows();
std::span<const DirectiveRow> missing_rows();
std::span<const DirectiveRow> gateway_rows();
std::span<const DirectiveRow> tls_rows();
std::span<const DirectiveRow> mail_rows();
std::span<const DirectiveRow> stream_rows();

}  // namespace bulkhead::config
