// The work of build_model(): walks the tree in reading order, keeps what each block says, then
// merges from the outside in.  Internal to src/config.
//
// Runs in: master, front.  Input: configuration (trusted).
//
// Two passes, because a block inherits what stands after it in the outer block:
//   walk    every directive's setter checks its words (so that errors come in reading order) and
//           leaves either a value in Model or a closure in the scope it stands in;
//   merge   a location's conf starts as a copy of the outer one; the closures change it.
#pragma once

#include <bitset>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "config/model.h"
#include "config/nginx_table.h"
#include "config/nginx_values.h"
#include "config/variables.h"

namespace bulkhead::config {

constexpr size_t kRowsMax = 1024;

// What one block says about locations; the lists replace inherited ones as a whole.
struct LocSettings {
  std::vector<std::function<void(LocConf&)>> apply;
  std::vector<ErrorPage> error_pages;
  std::vector<AddHeader> add_headers, add_trailers;
  std::vector<AccessRule> access_rules;
  std::vector<Template> index;
  // As nginx: compiled when merged, so that parameters at http level of no server are not looked
  // at.
  std::vector<const Directive*> fastcgi_params;
  std::vector<std::string> charset_types, catch_stderr;
  std::optional<std::vector<std::string>> hide_headers, pass_headers;
  std::vector<AccessLog> access_logs;
  bool access_log_off = false;
  std::vector<ErrorLog> error_logs;
  std::vector<std::pair<std::string, std::string>> types;  // extension, type
  std::unordered_map<std::string, std::string> type_of;    // for duplicates
  bool has_types = false;
  std::shared_ptr<TryFiles> try_files;
  std::optional<std::string> pass_address;  // fastcgi_pass, without variables
  uint32_t pass_file = 0, pass_line = 0;
  std::optional<Template> pass_template;
  IgnoreHeaders ignore_headers;
  uint32_t next_upstream = 0;
  bool has_root = false, has_alias = false;
  bool has_real_ip = false;
  // Reasons to answer 503: content handlers stay here, protections are inherited (by name).
  std::string unsupported_handler;
  std::vector<std::pair<std::string, std::string>> protections;  // "" takes one back
};

// One block being read.
struct Scope {
  Scope* parent = nullptr;
  uint32_t context = kMain;
  Location* location = nullptr;  // of server, location and if blocks
  Server* server = nullptr;
  Upstream* upstream = nullptr;
  LocSettings loc;
  std::vector<std::function<void(Server&)>> apply_server;
  std::vector<std::unique_ptr<Scope>> children;  // server, location, if
  std::bitset<kRowsMax> seen;
  bool has_balancer_wrapper = false;  // upstream: `keepalive` was said
  // server blocks
  uint32_t server_index = kNone;
  std::optional<bool> ssl_on;
  bool has_certificate = false, rejects_handshake = false, has_ssl_listen = false;
  uint32_t file = 0, line = 0, end_line = 0;
};

class Builder {
 public:
  Builder(const Ast& ast, const BuildOptions& options, std::vector<ConfigError>* warnings);
  std::expected<std::unique_ptr<Model>, ConfigError> build();

  // ---- for setters ------------------------------------------------------------------------------
  // Records the first error, at the place of `d`; the walk stops there.
  void fail(const Directive& d, std::string text);
  // `"name" directive TEXT`.
  void fail_value(const Directive& d, std::string_view text);
  void fail_at(std::string text, uint32_t file, uint32_t line);
  void fail_nowhere(std::string text) { fail_at(std::move(text), kNone, 0); }
  void warn(const Directive& d, std::string text) { warn_at(std::move(text), d.file, d.line); }
  void warn_at(std::string text, uint32_t file, uint32_t line, LogLevel level = LogLevel::kWarn);
  [[nodiscard]] bool failed() const { return error_.has_value(); }

  // Compiles a text; on error fails and returns an empty template.
  Template compile(const Directive& d, std::string_view text);
  RegexPtr compile_regex(const Directive& d, std::string_view pattern, RegexCase how,
                         std::vector<std::pair<uint32_t, uint32_t>>* named);
  // The slot of a user variable; fails when the name belongs to a builtin.
  uint32_t define_user(const Directive& d, std::string_view name);
  uint32_t log_file(std::string_view path);
  [[nodiscard]] std::string full_path(std::string_view path) const;
  void walk(const std::vector<Directive>& items, Scope* scope);
  Scope* open_scope(uint32_t context, const Directive& d);

  // The row of the directive whose setter runs; null outside of one.
  [[nodiscard]] const DirectiveRow* row() const { return row_; }
  Scope& scope() { return *scope_; }
  LocSettings& loc() { return scope_->loc; }
  [[nodiscard]] const Ast& ast() const { return ast_; }
  Model& model() { return *model_; }
  VariableNames& names() { return names_; }
  [[nodiscard]] const Resolver& resolver() const { return resolver_; }
  [[nodiscard]] const BuildOptions& options() const { return options_; }
  // Files and users can be looked at: master or `-t`, not front.
  [[nodiscard]] bool on_the_machine() const { return options_.resolve_names; }

  // Shared between setters of different files.
  std::unordered_map<std::string, uint32_t> format_index, upstream_index, listen_index;
  struct BufferOfLog {
    size_t bytes;
    Millis flush;
  };
  std::unordered_map<std::string, BufferOfLog> log_buffers;
  std::unordered_set<std::string> map_names;
  std::unordered_set<uint32_t> listens_with_options;
  // Wildcard servers' ssl settings and certificates at http level.
  Scope* http_scope = nullptr;
  std::unordered_set<std::string> seen_blocks;  // "events", "http"
  // Upstreams whose every server is a backup, with their places.
  std::vector<std::pair<std::string, std::pair<uint32_t, uint32_t>>> upstreams_without_servers;

 private:
  void find_definitions(const std::vector<Directive>& items);
  void handle(const Directive& d);
  const DirectiveRow* choose_row(const Directive& d);
  bool check_form(const Directive& d, const DirectiveRow& row);
  void note(const Directive& d, const DirectiveRow& row);
  ConfigError make_error(LogLevel level, std::string text, uint32_t file, uint32_t line) const;
  void finish();
  void finish_warnings();

  const Ast& ast_;
  BuildOptions options_;
  std::vector<ConfigError>* warnings_;
  std::unique_ptr<Model> model_;
  VariableNames names_;
  Resolver resolver_;
  Scope main_;
  Scope* scope_ = &main_;
  const DirectiveRow* row_ = nullptr;
  std::optional<ConfigError> error_;
  std::unordered_map<std::string, uint32_t> log_file_index_;
  std::unordered_map<std::string, RegexPtr> regexes_;
  struct Noted {
    const DirectiveRow* row;
    uint32_t file, line, times;
  };
  std::vector<Noted> noted_;
  std::unordered_map<const DirectiveRow*, size_t> noted_index_;
  friend class Merger;
};

// The second pass (nginx_merge.cc, nginx_finish.cc).
class Merger {
 public:
  explicit Merger(Builder& builder) : b_(builder) {}
  void merge_all();

 private:
  struct Inherited;
  void merge_server(Scope& server, const Inherited& outer);
  void merge_location(Scope& scope, const Inherited& outer);
  void apply_own(Scope& scope, Inherited* now);
  void apply_logs(Scope& scope, Inherited* now);
  void apply_types(Scope& scope, LocConf* conf);
  void apply_fastcgi(Scope& scope, Inherited* now);
  void check_buffers(const Scope& scope, const FastcgiConf& conf);
  void check_duplicates(const Scope& scope);
  void decide_unsupported(Scope& scope, Inherited* now);
  uint32_t upstream_of(const Scope& scope);
  SharedParam param_of(const Directive& d);
  void check_names();
  void check_tls();
  void pair_wildcards();
  void check_connections();

  Builder& b_;
  std::unordered_map<std::string, uint32_t> implicit_;
  std::unordered_map<std::string, SharedParam> params_;  // by name and value as written
};

}  // namespace bulkhead::config
