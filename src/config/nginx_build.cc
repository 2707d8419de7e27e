// The first pass of build_model(): reading order, rows of the table, scopes.
//
// Runs in: master, front.  Input: configuration (trusted).
#include <algorithm>

#include "config/nginx_builder.h"
#include "config/nginx_parser.h"

namespace bulkhead::config {
namespace {

constexpr std::string_view kCombined =
    "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent "
    "\"$http_referer\" \"$http_user_agent\"";

bool allows_count(uint32_t arguments, size_t count) {
  if ((arguments & kAny) != 0) return true;
  if ((arguments & kFlag) != 0 && count == 1) return true;
  if ((arguments & k1More) != 0 && count >= 1) return true;
  if ((arguments & k2More) != 0 && count >= 2) return true;
  return count <= 7 && (arguments >> count & 1) != 0;
}

// Whether a configuration may define the variable: no builtin of nginx's stock modules.
bool is_free_name(const std::string& name) {
  const VariableRow* row = find_variable(name);
  return row == nullptr || (row->writable && row->kind == RefKind::kEmpty);
}

}  // namespace

std::string ConfigError::describe() const {
  if (file.empty()) return text;
  std::string out = text + " in " + file;
  if (line != 0) out += ":" + std::to_string(line);
  return out;
}

Builder::Builder(const Ast& ast, const BuildOptions& options, std::vector<ConfigError>* warnings)
    : ast_(ast),
      options_(options),
      warnings_(warnings),
      model_(std::make_unique<Model>()),
      resolver_{options.resolved, options.resolve_names, &model_->resolved} {
  model_->prefix = ast.prefix;
  model_->pid_path = full_path(options.default_pid);
  LogFormat combined{"combined", LogFormat::Escape::kDefault, {}};
  combined.text = *compile_template(kCombined, &names_);
  model_->log_formats.push_back(std::move(combined));
  format_index.emplace("combined", 0);
}

std::string Builder::full_path(std::string_view path) const {
  if (path.starts_with('/')) return std::string(path);
  return ast_.prefix + std::string(path);
}

uint32_t Builder::log_file(std::string_view path) {
  bool is_special = path == "stderr" || path.starts_with("syslog:") || path.starts_with("memory:");
  std::string full = is_special ? std::string(path) : full_path(path);
  auto [at, is_new] =
      log_file_index_.emplace(full, static_cast<uint32_t>(model_->log_files.size()));
  if (is_new) model_->log_files.push_back({std::move(full)});
  return at->second;
}

ConfigError Builder::make_error(LogLevel level, std::string text, uint32_t file,
                                uint32_t line) const {
  ConfigError out{level, std::move(text), {}, 0};
  if (file >= ast_.files.size()) return out;
  out.file = ast_.files[file].path;
  out.line = out.file == kCommandLine ? 0 : line;
  return out;
}

void Builder::fail_at(std::string text, uint32_t file, uint32_t line) {
  if (!error_) error_ = make_error(LogLevel::kEmerg, std::move(text), file, line);
}
void Builder::fail(const Directive& d, std::string text) {
  fail_at(std::move(text), d.file, d.line);
}
void Builder::fail_value(const Directive& d, std::string_view text) {
  fail(d, "\"" + d.name + "\" directive " + std::string(text));
}
void Builder::warn_at(std::string text, uint32_t file, uint32_t line, LogLevel level) {
  if (warnings_ != nullptr) {
    warnings_->push_back(make_error(level, std::move(text), file, line));
  }
}

Template Builder::compile(const Directive& d, std::string_view text) {
  auto out = compile_template(text, &names_);
  if (out) return std::move(*out);
  fail(d, out.error().text);
  return {};
}

uint32_t Builder::define_user(const Directive& d, std::string_view name) {
  if (!is_free_name(to_lower(name))) {
    fail(d, "the duplicate \"" + to_lower(name) + "\" variable");
    return 0;
  }
  return names_.define_user(name);
}

RegexPtr Builder::compile_regex(const Directive& d, std::string_view pattern, RegexCase how,
                                std::vector<std::pair<uint32_t, uint32_t>>* named) {
  // Thousands of servers say `~ \.php$`: compiled once, shared by all.
  RegexPtr& regex = regexes_[(how == RegexCase::kInsensitive ? "i" : "s") + std::string(pattern)];
  if (regex == nullptr) {
    auto compiled = Regex::compile(pattern, how);
    if (!compiled) {
      fail(d, compiled.error().text);
      return nullptr;
    }
    regex = std::move(*compiled);
  }
  if (named != nullptr) {
    for (const Regex::NamedGroup& group : regex->named_groups()) {
      named->emplace_back(group.number, define_user(d, group.name));
      if (failed()) return nullptr;
    }
  }
  return regex;
}

// `set` and `map` define variables wherever they stand, also after their first use.
void Builder::find_definitions(const std::vector<Directive>& items) {
  for (const Directive& d : items) {
    if (d.is_block && d.name == "map" && d.args.size() == 2 && d.args[1].text.size() > 1) {
      std::string name = to_lower(std::string_view(d.args[1].text).substr(1));
      if (is_free_name(name) && map_names.insert(name).second) {
        names_.define_map(name, static_cast<uint32_t>(map_names.size() - 1));
      }
    } else if (!d.is_block && d.name == "set" && d.args.size() == 2 && d.args[0].text.size() > 1 &&
               d.args[0].text[0] == '$') {
      std::string_view name = std::string_view(d.args[0].text).substr(1);
      if (is_free_name(to_lower(name))) names_.define_user(name);
    } else if (d.is_block && d.name != "types") {
      find_definitions(d.children);
    }
  }
}

Scope* Builder::open_scope(uint32_t context, const Directive& d) {
  auto& child = scope_->children.emplace_back(std::make_unique<Scope>());
  child->parent = scope_;
  child->context = context;
  child->server = scope_->server;
  child->server_index = scope_->server_index;
  child->location = scope_->location;
  child->file = d.file;
  child->line = d.line;
  child->end_line = d.end_line;
  return child.get();
}

void Builder::walk(const std::vector<Directive>& items, Scope* scope) {
  Scope* outer = scope_;
  scope_ = scope;
  for (const Directive& d : items) {
    if (failed()) break;
    handle(d);
  }
  scope_ = outer;
}

// The row of a name that fits the place; fails as nginx does when there is none.
const DirectiveRow* Builder::choose_row(const Directive& d) {
  bool is_known = false;
  for (const DirectiveRow& row : find_directives(d.name)) {
    if (row.bulkhead_only && options_.dialect != Dialect::kBulkhead) continue;
    is_known = true;
    if ((row.contexts & scope_->context) != 0) return &row;
  }
  if (is_known) {
    fail(d, "\"" + d.name + "\" directive is not allowed here");
  } else {
    fail(d, "unknown directive \"" + d.name + "\"");
  }
  return nullptr;
}

bool Builder::check_form(const Directive& d, const DirectiveRow& row) {
  bool wants_block = (row.arguments & kBlock) != 0;
  if (d.is_block && !wants_block) {
    fail(d, "directive \"" + d.name + "\" is not terminated by \";\"");
  } else if (!d.is_block && wants_block) {
    fail(d, "directive \"" + d.name + "\" has no opening \"{\"");
  } else if (!allows_count(row.arguments, d.args.size())) {
    fail(d, "invalid number of arguments in \"" + d.name + "\" directive");
  } else if (size_t at = static_cast<size_t>(&row - directive_table().data());
             row.merge == Merge::kOverride && !wants_block && scope_->seen.test(at)) {
    fail_value(d, "is duplicate");
  } else {
    scope_->seen.set(at);
  }
  if (!failed() && (row.arguments & kFlag) != 0) {
    std::string word = to_lower(d.args[0].text);
    if (word != "on" && word != "off") {
      fail(d, "invalid value \"" + d.args[0].text + "\" in \"" + d.name +
                  "\" directive, it must be \"on\" or \"off\"");
    }
  }
  return !failed();
}

void Builder::note(const Directive& d, const DirectiveRow& row) {
  auto [at, is_new] = noted_index_.emplace(&row, noted_.size());
  if (is_new) {
    noted_.push_back({&row, d.file, d.line, 1});
  } else {
    ++noted_[at->second].times;
  }
}

void Builder::handle(const Directive& d) {
  if (d.name == kErrorDirective) return fail(d, d.args.empty() ? "damaged" : d.args[0].text);
  if (d.name == "include") {
    // Only an include that is not well formed is left in the tree.
    if (d.is_block) return fail(d, "directive \"include\" is not terminated by \";\"");
    return fail(d, "invalid number of arguments in \"include\" directive");
  }
  const DirectiveRow* row = choose_row(d);
  if (row == nullptr || !check_form(d, *row)) return;
  if (row->support == Support::kRefused) {
    return fail(d, "\"" + d.name + "\" is not supported by this version of Bulkhead: " +
                       std::string(row->help));
  }
  bool is_off = d.args.size() == 1 && to_lower(d.args[0].text) == "off";
  if (row->support != Support::kInForce && !is_off) note(d, *row);
  if (row->set == nullptr) return;
  const DirectiveRow* outer = std::exchange(row_, row);
  row->set(*this, d);
  row_ = outer;
}

void Builder::finish_warnings() {
  for (const Noted& noted : noted_) {
    std::string name = "\"" + std::string(noted.row->name) + "\"";
    std::string help(noted.row->help);
    std::string more = noted.times > 1 ? " (" + std::to_string(noted.times) + " places)" : "";
    if (noted.row->support == Support::kNoEffect) {
      model_->notes.push_back({name + " has no effect here" + (help.empty() ? "" : ": ") + help,
                               noted.file, noted.line});
      continue;
    }
    std::string text = name + " is not supported by this version of Bulkhead: " + help;
    if (noted.row->support == Support::kUnsupported) text += "; such a location answers 503";
    text += more;
    model_->notes.push_back({text, noted.file, noted.line});
    warn_at(std::move(text), noted.file, noted.line);
  }
}

void Builder::finish() {
  if (!seen_blocks.contains("events"))
    return fail_nowhere("no \"events\" section in configuration");
  if (model_->error_logs.empty()) {
    model_->error_logs.push_back({log_file(options_.default_error_log), LogLevel::kError});
  }
  if (http_scope != nullptr) {
    Merger(*this).merge_all();
    if (failed()) return;
    if (auto name = names_.first_undefined()) {
      return fail_nowhere("unknown \"" + *name + "\" variable");
    }
  } else {
    model_->http_defaults = std::make_unique<LocConf>();
  }
  model_->user_variables = names_.slots();
  finish_warnings();
}

std::expected<std::unique_ptr<Model>, ConfigError> Builder::build() {
  find_definitions(ast_.top);
  walk(ast_.top, &main_);
  if (!failed()) finish();
  if (failed()) return std::unexpected(std::move(*error_));
  return std::move(model_);
}

std::expected<std::unique_ptr<Model>, ConfigError> build_model(const Ast& ast,
                                                               const BuildOptions& options,
                                                               std::vector<ConfigError>* warnings) {
  return Builder(ast, options, warnings).build();
}

}  // namespace bulkhead::config
