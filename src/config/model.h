// What an nginx configuration means: servers, locations and their merged settings.
//
// Runs in: master (validates, finds sockets and logs to open), front (serves by it).
// Input: configuration (trusted).  Threads: immutable once built; shared by every event loop.
//
// build_model() is deterministic: master and front build equal models from the same Ast, so the
// indices of `listens` and `log_files` mean the same on both sides.
// Ref: nginx 1.22 documentation of the named directives.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "config/ast.h"
#include "config/list.h"
#include "config/regex.h"
#include "config/template.h"

namespace bulkhead::config {

using Millis = std::chrono::milliseconds;
using Seconds = std::chrono::seconds;
constexpr uint32_t kNone = 0xffffffff;

// ---- logs -------------------------------------------------------------------------------------
enum class LogLevel : uint8_t {
  kDebug = 8,
  kInfo = 7,
  kNotice = 6,
  kWarn = 5,
  kError = 4,
  kCrit = 3,
  kAlert = 2,
  kEmerg = 1,
  kStderr = 0
};
struct LogFile {
  std::string path;  // absolute; or "stderr"; or "syslog:..." as written; "" never
};
struct ErrorLog {
  uint32_t file = kNone;  // index into Model::log_files
  LogLevel level = LogLevel::kError;
};
struct LogFormat {
  std::string name;
  enum class Escape : uint8_t { kDefault, kJson, kNone } escape = Escape::kDefault;
  Template text;
};
struct AccessLog {
  uint32_t file = kNone;              // index into log_files, or kNone when path has variables
  Template path;                      // when it has variables
  uint32_t format = 0;                // index into log_formats; 0 is "combined"
  size_t buffer_bytes = 0;            // buffer=
  Millis flush{0};                    // flush=
  std::optional<Template> condition;  // if=
};

// ---- network ----------------------------------------------------------------------------------
// Sockets with `ssl` or `quic` are recorded but must not be opened: there is no TLS in this
// version, and serving such a server in the clear would be unsafe.
struct Listen {
  std::string text;      // canonical: "0.0.0.0:80", "[::]:80", "unix:/path"
  std::string sockaddr;  // raw bytes of the sockaddr
  bool default_server_explicit = false, ssl = false, http2 = false, quic = false,
       proxy_protocol = false;
  bool reuseport = false, deferred = false, wildcard = false, bind = false;
  // As nginx: an address without `bind` or socket options beside a wildcard of the same port gets
  // no socket of its own; connections arrive on listens[served_by] and are told apart by
  // getsockname.
  uint32_t served_by = kNone;
  std::optional<bool> ipv6only;
  int backlog = 511, rcvbuf = 0, sndbuf = 0, fastopen = 0;
  struct {
    bool set = false, on = false;
    int idle = 0, interval = 0, count = 0;
  } so_keepalive;
  uint32_t default_server = 0;    // index into servers
  std::vector<uint32_t> servers;  // every server that listens here, in file order
};
struct ServerName {
  enum class Kind : uint8_t {
    kExact,
    kLeadingWildcard /* *.x and .x */,
    kTrailingWildcard,
    kRegex
  } kind;
  std::string text;  // lower case; wildcard: as written; regex: pattern without '~'
  RegexPtr regex;
  std::vector<std::pair<uint32_t, uint32_t>> named;  // (group, user variable slot)
};

// ---- rewrite module -----------------------------------------------------------------------------
struct Location;
struct Condition {
  enum class Op : uint8_t {
    kTrue,
    kEqual,
    kNotEqual,
    kMatch,
    kNotMatch,
    kFile,
    kNotFile,
    kDir,
    kNotDir,
    kExists,
    kNotExists,
    kExecutable,
    kNotExecutable
  } op;
  Template subject;  // the variable, or the path for file tests
  Template value;    // for kEqual, kNotEqual
  RegexPtr regex;    // for kMatch, kNotMatch
  std::vector<std::pair<uint32_t, uint32_t>> named;
};
struct RewriteOp {
  enum class Kind : uint8_t { kSet, kIf, kRewrite, kReturn, kBreak } kind;
  // kSet: slot = value.  If `builtin` is set the variable is a writable builtin ($args,
  // $limit_rate).
  uint32_t slot = 0;
  std::optional<Var> builtin;
  Template value;  // set value; rewrite replacement; return text or URL
  // kIf
  std::unique_ptr<Condition> condition;
  Location* if_location = nullptr;  // entered when the condition holds (its own ops run next)
  // kRewrite
  RegexPtr regex;
  std::vector<std::pair<uint32_t, uint32_t>> named;
  enum class Flag : uint8_t { kNone, kLast, kBreak, kRedirect, kPermanent } flag = Flag::kNone;
  bool drops_args = false;   // replacement ends in '?'
  bool is_absolute = false;  // replacement starts with http://, https:// or $scheme: redirect
  // kReturn
  uint16_t status = 0;  // 0 for `return URL` (302)
  bool has_text = false;
};

// ---- location settings (after merging)
// ------------------------------------------------------------
struct ErrorPage {
  std::vector<uint16_t> statuses;
  std::optional<int> overwrite;  // "=200" -> 200; "=" -> 0 (take what the uri answers)
  Template uri;                  // uri, URL or @name
};
struct TryFiles {
  struct Item {
    Template path;
    bool wants_dir = false;
  };  // path without root
  std::vector<Item> items;
  // what to do when none exists:
  uint16_t final_status = 0;  // =404
  Template final_uri;         // uri or @name
};
struct AddHeader {
  std::string name;
  Template value;
  bool always = false;
};
struct Expires {
  enum class Kind : uint8_t {
    kOff,
    kEpoch,
    kMax,
    kDelta,
    kModifiedDelta,
    kTimeOfDay,
    kVariable
  } kind = Kind::kOff;
  int64_t seconds = 0;
  Template variable;  // evaluates to any of the above, parsed at run time by parse_expires
};
Result<Expires> parse_expires(std::vector<std::string_view> args);  // args without variables
struct AccessRule {
  bool allow = false;
  enum class Kind : uint8_t { kAll, kInet4, kInet6, kUnix } kind = Kind::kAll;
  uint8_t address[16] = {}, mask[16] = {};
};
struct FastcgiParam {
  std::string name;
  Template value;
  bool if_not_empty = false;
};
// Ten thousand locations that include the same file share its parameters.
using SharedParam = std::shared_ptr<const FastcgiParam>;
enum class HideHeader : uint8_t { kHide, kPass };
struct IgnoreHeaders {  // fastcgi_ignore_headers
  bool x_accel_redirect = false, x_accel_expires = false, x_accel_limit_rate = false,
       x_accel_buffering = false, x_accel_charset = false, expires = false, cache_control = false,
       set_cookie = false, vary = false;
};
struct FastcgiPass {
  // Exactly one of: address template with variables; upstream index; literal address.
  Template address;           // as written, e.g. "unix:/run/x.sock", "127.0.0.1:9000", "$backend"
  uint32_t upstream = kNone;  // index into Model::upstreams (implicit ones are made for literals)
};
struct FastcgiConf {
  std::optional<FastcgiPass> pass;
  List<SharedParam> params;  // merged by nginx's rule (own params replace inherited)
  std::string index;         // fastcgi_index
  RegexPtr split_path_info;
  Millis connect_timeout{60000}, read_timeout{60000}, send_timeout{60000};
  size_t buffer_size = 4096;
  size_t buffers_count = 8, buffers_size = 4096, busy_buffers_size = 8192;
  size_t max_temp_file_size = 1024u * 1024 * 1024, temp_file_write_size = 8192;
  bool buffering = true, request_buffering = true, keep_conn = false, intercept_errors = false;
  bool ignore_client_abort = false, pass_request_headers = true, pass_request_body = true;
  uint32_t next_upstream = 0x3;  // bits: 1 error 2 timeout 4 invalid_header 8 500 16 503 32 403 64
                                 // 404 128 429 256 non_idempotent 512 off
  uint32_t next_upstream_tries = 0;
  Millis next_upstream_timeout{0};
  List<std::string> hide_headers;  // lower case, defaults of nginx merged in, pass removed
  IgnoreHeaders ignore;
  List<std::string> catch_stderr;  // fastcgi_catch_stderr patterns
  std::string temp_path;
};
struct MimeTypes {
  std::vector<std::pair<std::string, std::string>> by_extension;
};  // sorted, lower case

struct LocConf {
  // where files are
  Template root;                      // default "html" under prefix; made absolute
  const void* root_origin = nullptr;  // which directive set it: compared, never followed
  bool is_alias = false;              // `root` holds the alias target
  bool root_from_server = true;
  List<Template> index;                       // default: index.html
  std::shared_ptr<const TryFiles> try_files;  // not inherited
  bool internal = false;
  // responses
  List<ErrorPage> error_pages;
  bool recursive_error_pages = false;
  List<AddHeader> add_headers, add_trailers;
  Expires expires;
  std::string default_type = "text/plain";
  std::shared_ptr<const MimeTypes> types;
  std::string charset;  // "" = off
  std::optional<Template> charset_variable;
  List<std::string> charset_types;
  bool override_charset = false;
  bool etag = true, chunked_transfer_encoding = true, log_not_found = true, log_subrequest = false;
  enum class ServerTokens : uint8_t { kOff, kOn, kBuild } server_tokens = ServerTokens::kOn;
  enum class IfModifiedSince : uint8_t {
    kOff,
    kExact,
    kBefore
  } if_modified_since = IfModifiedSince::kExact;
  uint32_t max_ranges = 0xffffffff;
  bool absolute_redirect = true, port_in_redirect = true, server_name_in_redirect = false;
  // autoindex
  bool autoindex = false, autoindex_exact_size = true, autoindex_localtime = false;
  enum class AutoindexFormat : uint8_t {
    kHtml,
    kXml,
    kJson,
    kJsonp
  } autoindex_format = AutoindexFormat::kHtml;
  // access
  List<AccessRule> access_rules;
  bool satisfy_any = false;
  enum class DisableSymlinks : uint8_t {
    kOff,
    kOn,
    kIfNotOwner
  } disable_symlinks = DisableSymlinks::kOff;
  Template disable_symlinks_from;
  // logs
  List<AccessLog> access_logs;  // empty: off
  List<ErrorLog> error_logs;
  // client limits
  uint64_t client_max_body_size = 1 << 20;  // 0 = unlimited
  size_t client_body_buffer_size = 16384;
  Millis client_body_timeout{60000}, send_timeout{60000};
  std::string client_body_temp_path;
  Millis keepalive_timeout{75000};
  std::optional<Seconds> keepalive_header;
  uint32_t keepalive_requests = 1000;
  Millis keepalive_time{3600000};
  bool keepalive_disable_msie6 = true;
  enum class LingeringClose : uint8_t { kOff, kOn, kAlways } lingering_close = LingeringClose::kOn;
  Millis lingering_time{30000}, lingering_timeout{5000};
  bool reset_timedout_connection = false;
  bool sendfile = false, tcp_nopush = false, tcp_nodelay = true;
  uint64_t sendfile_max_chunk = 2u << 20;
  std::optional<Template> limit_rate, limit_rate_after;
  uint64_t postpone_output = 1460;
  bool msie_padding = true;
  // open_file_cache (max 0 = off); front always keeps its own cache, these only widen validity
  uint32_t open_file_cache_max = 0;
  Seconds open_file_cache_valid{60}, open_file_cache_inactive{60};
  uint32_t open_file_cache_min_uses = 1;
  bool open_file_cache_errors = false;
  // content handler beside static files
  FastcgiConf fastcgi;
  bool stub_status = false, empty_gif = false, metrics = false;
  // Not empty: an access protection or content handler that this version lacks is asked for here,
  // e.g. `"auth_basic" is not supported by this version of Bulkhead: ...`.  Front answers 503 for
  // such a location (whatever `return` or files it has) and logs the reason once per start.
  std::string unsupported;
};

struct Location {
  enum class Kind : uint8_t {
    kServer,
    kExact,
    kPrefix,
    kPrefixNoRegex /* ^~ */,
    kRegex,
    kNamed,
    kIf
  } kind;
  std::string text;  // uri, pattern, @name
  RegexPtr regex;
  std::vector<std::pair<uint32_t, uint32_t>> named;
  bool auto_redirect = false;  // prefix ending in '/' with a *_pass: 301 to add the slash
  LocConf conf;
  std::vector<RewriteOp> ops;                       // rewrite module statements in order
  std::vector<std::unique_ptr<Location>> children;  // nested locations in file order (not kIf)
  std::vector<std::unique_ptr<Location>> ifs;       // owned by RewriteOp::kIf entries
  const Location* parent = nullptr;
  uint32_t server = 0;
  uint32_t file = 0, line = 0;
};

struct Server {
  std::vector<ServerName> names;   // empty list means one empty name
  std::string primary_name;        // first name, for $server_name; "" if none
  std::unique_ptr<Location> root;  // Kind::kServer: server-level conf, ops and locations
  std::vector<uint32_t> listens;   // into Model::listens
  // server-level only
  Millis client_header_timeout{60000};
  size_t client_header_buffer_size = 1024;
  uint32_t large_buffers_count = 4;
  size_t large_buffers_size = 8192;
  bool merge_slashes = true, underscores_in_headers = false, ignore_invalid_headers = true;
  // who opens this server's files (`user` inside server; Bulkhead's own)
  std::string user, group;  // "" when not said
  uint32_t file = 0, line = 0;
};

struct UpstreamServer {
  std::string address;
  uint32_t weight = 1, max_fails = 1, max_conns = 0;
  Millis fail_timeout{10000};
  bool backup = false, down = false;
};
struct Upstream {
  std::string name;  // for an implicit one: the address
  bool implicit = false;
  std::vector<UpstreamServer>
      servers;  // address: "unix:/path" or "host:port" resolved: see sockaddrs
  std::vector<std::vector<std::string>> sockaddrs;  // per server, raw sockaddrs it resolved to
  uint32_t keepalive = 0;
  uint32_t keepalive_requests = 1000;
  Millis keepalive_timeout{60000}, keepalive_time{3600000};
  enum class Method : uint8_t {
    kRoundRobin,
    kLeastConn,
    kIpHash,
    kHash,
    kRandom
  } method = Method::kRoundRobin;
  Template hash_key;
  bool consistent = false;  // hash KEY consistent
  bool random_two = false;  // random two
};
struct MapDef {
  std::string variable;  // without '$'
  Template source;
  bool hostnames = false, is_volatile = false;
  std::vector<std::pair<std::string, Template>> exact;              // key lower case
  std::vector<std::pair<std::string, Template>> leading, trailing;  // wildcards when hostnames
  struct Re {
    RegexPtr regex;
    Template value;
    std::vector<std::pair<uint32_t, uint32_t>> named;
  };
  std::vector<Re> regexes;
  std::optional<Template> default_value;
};

// What `bulkhead` notes about accepted directives that do nothing here.
struct Note {
  std::string text;
  uint32_t file = 0, line = 0;
};

struct Model {
  std::string prefix;  // -p, ends in '/'; a root that starts with a variable and turns out relative
                       // is below it
  // main and events
  std::string user = "nobody", group;  // group "" = the group of that name or the user's
  bool user_is_set = false;
  bool daemon = true, master_process = true;
  uint32_t worker_processes = 1;  // 0 = auto
  uint32_t worker_connections = 512;
  bool multi_accept = false;
  std::optional<uint64_t> worker_rlimit_nofile, worker_rlimit_core;
  int worker_priority = 0;
  Millis worker_shutdown_timeout{0};
  std::string pid_path;              // absolute
  std::vector<ErrorLog> error_logs;  // main level
  std::vector<std::string> env;
  std::vector<std::string> pools_globs;  // Bulkhead's `pools GLOB;`
  std::string working_directory;
  bool has_http = false;
  // http
  std::vector<LogFile> log_files;  // every file some error_log or access_log names, deduplicated
  std::vector<LogFormat> log_formats;  // [0] combined
  std::vector<Listen> listens;         // deduplicated by sockaddr
  std::vector<std::unique_ptr<Server>> servers;
  std::vector<Upstream> upstreams;
  std::vector<MapDef> maps;
  std::vector<std::string> user_variables;  // slot -> name
  std::vector<Note> notes;
  // Every name that was looked up: "host:port" as written (no port: as the directive defaults it)
  // to raw sockaddrs.  Master hands it to front, which builds with BuildOptions::resolved.
  std::map<std::string, std::vector<std::string>> resolved;
  std::unique_ptr<LocConf> http_defaults;  // http-level conf (used before a server is chosen)
};

// A configuration error in nginx's wording: level, text, file and line (line 0: none).
struct ConfigError {
  LogLevel level = LogLevel::kEmerg;
  std::string text;  // e.g. unknown directive "foo"
  std::string file;
  uint32_t line = 0;
  // "unknown directive \"foo\" in /etc/nginx/nginx.conf:3"
  [[nodiscard]] std::string describe() const;
};

enum class Dialect : uint8_t { kNginx, kBulkhead };  // kBulkhead adds pools and user-in-server

struct BuildOptions {
  Dialect dialect = Dialect::kBulkhead;
  std::string default_error_log = "logs/error.log";  // relative to prefix; -e
  std::string default_pid = "logs/nginx.pid";
  std::string default_access_log = "logs/access.log";
  // Answers of earlier look-ups, consulted before (and, without resolve_names, instead of) the DNS;
  // not owned, may be null, not serialised.
  const std::map<std::string, std::vector<std::string>>* resolved = nullptr;
  bool resolve_names = true;  // look hosts in fastcgi_pass and upstream up (master); front takes
                              // sockaddrs from the snapshot
};

// Builds and validates the model.  `warnings` gets nginx's [warn] and [notice] lines.
std::expected<std::unique_ptr<Model>, ConfigError> build_model(const Ast& ast,
                                                               const BuildOptions& options,
                                                               std::vector<ConfigError>* warnings);

}  // namespace bulkhead::config
