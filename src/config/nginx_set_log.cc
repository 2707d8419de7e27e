// error_log, access_log, log_format.
//
// Runs in: master, front.  Input: configuration (trusted).
#include "config/nginx_setters.h"

namespace bulkhead::config {
namespace {

struct LevelName {
  std::string_view name;
  LogLevel level;
};
constexpr LevelName kLevels[] = {
    {"emerg", LogLevel::kEmerg}, {"alert", LogLevel::kAlert}, {"crit", LogLevel::kCrit},
    {"error", LogLevel::kError}, {"warn", LogLevel::kWarn},   {"notice", LogLevel::kNotice},
    {"info", LogLevel::kInfo},   {"debug", LogLevel::kDebug},
};
constexpr std::string_view kDebugParts[] = {"debug_core",  "debug_alloc", "debug_mutex",
                                            "debug_event", "debug_http",  "debug_mail",
                                            "debug_stream"};

// The level of a word, or nothing; sets `is_part` for "debug_http" and its like.
std::optional<LogLevel> level_of(std::string_view word, bool* is_part) {
  for (const LevelName& row : kLevels) {
    if (row.name == word) return row.level;
  }
  for (std::string_view part : kDebugParts) {
    if (part == word) return *is_part = true, LogLevel::kDebug;
  }
  return std::nullopt;
}

struct AccessOptions {
  size_t buffer = 0;
  Millis flush{0};
  bool gzip = false;
};

bool parse_access_option(Builder& b, const Directive& d, std::string_view word, AccessLog* log,
                         AccessOptions* options) {
  if (word.starts_with("buffer=")) {
    auto size = parse_size(word.substr(7));
    if (!size || *size == 0) {
      b.fail(d, "invalid buffer size \"" + std::string(word.substr(7)) + "\"");
      return false;
    }
    options->buffer = *size;
  } else if (word.starts_with("flush=")) {
    auto time = parse_millis(word.substr(6));
    if (!time || time->count() == 0) {
      b.fail(d, "invalid flush time \"" + std::string(word.substr(6)) + "\"");
      return false;
    }
    options->flush = *time;
  } else if (word == "gzip" || word.starts_with("gzip=")) {
    if (options->buffer == 0) options->buffer = 65536;
    options->gzip = true;
    if (word.size() > 5) {
      auto level = parse_number(word.substr(5));
      if (!level || *level < 1 || *level > 9) {
        b.fail(d, "invalid compression level \"" + std::string(word.substr(5)) + "\"");
        return false;
      }
    }
  } else if (word.starts_with("if=")) {
    log->condition = b.compile(d, word.substr(3));
  } else {
    b.fail(d, "invalid parameter \"" + std::string(word) + "\"");
  }
  return !b.failed();
}

void check_buffer(Builder& b, const Directive& d, const AccessLog& log,
                  const AccessOptions& options) {
  const std::string& path = d.args[0].text;
  if (options.flush.count() != 0 && options.buffer == 0) {
    return b.fail(d, "no buffer is defined for access_log \"" + path + "\"");
  }
  if (options.buffer != 0 && has_variables(path)) {
    return b.fail(d, "buffered logs cannot have variables in name");
  }
  if (options.buffer != 0 && path.starts_with("syslog:")) {
    return b.fail(d, "logs to syslog cannot be buffered");
  }
  if (log.file == kNone || options.buffer == 0) return;
  auto [known, is_new] =
      b.log_buffers.emplace(path, Builder::BufferOfLog{options.buffer, options.flush});
  if (!is_new && (known->second.bytes != options.buffer || known->second.flush != options.flush)) {
    b.fail(d, "access_log \"" + path + "\" already defined with conflicting parameters");
  }
}

}  // namespace

void set_error_log(Builder& b, const Directive& d) {
  ErrorLog log;
  log.file = b.log_file(d.args[0].text);
  bool has_level = false;
  for (size_t i = 1; i < d.args.size(); ++i) {
    const std::string& word = d.args[i].text;
    bool is_part = false;
    auto level = level_of(word, &is_part);
    if (!level) return b.fail(d, "invalid log level \"" + word + "\"");
    if (has_level && !is_part) return b.fail(d, "duplicate log level \"" + word + "\"");
    has_level = true;
    log.level = *level;
  }
  if (b.scope().context == kMain) {
    b.model().error_logs.push_back(log);
  } else {
    b.loc().error_logs.push_back(log);
  }
}

void set_access_log(Builder& b, const Directive& d) {
  const std::string& path = d.args[0].text;
  if (path == "off") {
    if (d.args.size() > 1) return b.fail(d, "invalid parameter \"" + d.args[1].text + "\"");
    b.loc().access_log_off = true;
    return;
  }
  AccessLog log;
  if (has_variables(path) && !path.starts_with("syslog:")) {
    log.path = b.compile(d, path);
    bool is_relative = !log.path.parts.empty() && log.path.parts[0].kind == RefKind::kLiteral &&
                       !log.path.parts[0].text.starts_with('/');
    if (is_relative) log.path.parts[0].text = b.full_path(log.path.parts[0].text);
  } else {
    log.file = b.log_file(path);
  }
  if (d.args.size() > 1) {
    auto format = b.format_index.find(d.args[1].text);
    if (format == b.format_index.end()) {
      return b.fail(d, "unknown log format \"" + d.args[1].text + "\"");
    }
    log.format = format->second;
  }
  AccessOptions options;
  for (size_t i = 2; i < d.args.size(); ++i) {
    if (!parse_access_option(b, d, d.args[i].text, &log, &options)) return;
  }
  check_buffer(b, d, log, options);
  if (options.gzip) {
    b.warn(d,
           "\"gzip\" of access_log is not supported by this version of Bulkhead: the log is "
           "written uncompressed");
  }
  log.buffer_bytes = options.buffer;
  log.flush = options.flush;
  b.loc().access_logs.push_back(std::move(log));
}

void set_log_format(Builder& b, const Directive& d) {
  const std::string& name = d.args[0].text;
  if (b.format_index.contains(name)) {
    return b.fail(d, "duplicate \"log_format\" name \"" + name + "\"");
  }
  LogFormat format{name, LogFormat::Escape::kDefault, {}};
  size_t first = 1;
  if (d.args[1].text.starts_with("escape=")) {
    std::string_view how = std::string_view(d.args[1].text).substr(7);
    if (how == "json") {
      format.escape = LogFormat::Escape::kJson;
    } else if (how == "none") {
      format.escape = LogFormat::Escape::kNone;
    } else if (how != "default") {
      return b.fail(d, "unknown log format escaping \"" + std::string(how) + "\"");
    }
    first = 2;
  }
  std::string text;
  for (size_t i = first; i < d.args.size(); ++i) text += d.args[i].text;
  auto compiled = compile_template(text, &b.names());
  if (!compiled) {
    // Here nginx names the text from the bad '$' on.
    if (compiled.error().text != "invalid variable name") return b.fail(d, compiled.error().text);
    size_t at = text.find_last_of('$');
    return b.fail(d, "invalid parameter \"" + text.substr(at) + "\"");
  }
  format.text = std::move(*compiled);
  b.format_index.emplace(name, static_cast<uint32_t>(b.model().log_formats.size()));
  b.model().log_formats.push_back(std::move(format));
}

}  // namespace bulkhead::config
