// Rows: http and server blocks, logs, rewriting.
#include "config/nginx_rows.h"

namespace bulkhead::config {
namespace {

constexpr Choice<LocConf::ServerTokens> kServerTokens[] = {
    {"off", LocConf::ServerTokens::kOff},
    {"on", LocConf::ServerTokens::kOn},
    {"build", LocConf::ServerTokens::kBuild}};
constexpr Choice<LocConf::IfModifiedSince> kIfModifiedSince[] = {
    {"off", LocConf::IfModifiedSince::kOff},
    {"exact", LocConf::IfModifiedSince::kExact},
    {"before", LocConf::IfModifiedSince::kBefore}};
constexpr Choice<LocConf::LingeringClose> kLingeringClose[] = {
    {"off", LocConf::LingeringClose::kOff},
    {"on", LocConf::LingeringClose::kOn},
    {"always", LocConf::LingeringClose::kAlways}};

// clang-format off
constexpr auto kOverride = Merge::kOverride;
constexpr auto kNow = ReloadEffect::kServing;
constexpr auto kOk = Support::kInForce;
constexpr DirectiveRow kRows[] = {
    {"server", kHttp, kNone0 | kBlock, kOk, set_server, "", Merge::kNotMerged, kNow, "One virtual server."},
    {"listen", kServer, k1More, kOk, set_listen, "*:80", Merge::kAppend, ReloadEffect::kSockets, "Address and port, or UNIX socket, the server answers on."},
    {"server_name", kServer, k1More, kOk, set_server_name, "\"\"", Merge::kAppend, kNow, "Host names of the server: exact, with a wildcard, or ~pattern."},
    {"location", kServer | kLocation, kTake12 | kBlock, kOk, set_location, "", Merge::kNotMerged, kNow, "Settings for requests whose path matches."},
    lacking("limit_except", kLocation, k1More | kBlock, set_limit_except, "requests by method would not be limited"),
    {"map", kHttp, kTake2 | kBlock, kOk, set_map, "", Merge::kNotMerged, kNow, "A variable whose value depends on another text."},
    {"types", kHSL, kNone0 | kBlock, kOk, set_types, "text/html html; image/gif gif; image/jpeg jpg", Merge::kReplaceList, kNow, "Content types by file name extension."},
    // logs
    {"access_log", kHSLI | kLimitExcept, k1More, kOk, set_access_log, "logs/access.log combined", Merge::kReplaceList, ReloadEffect::kLogs, "Where requests are written, and in which format."},
    {"log_format", kHttp, k2More, kOk, set_log_format, "combined", Merge::kAppend, kNow, "Names a format for access_log."},
    {"log_not_found", kHSL, kFlag, kOk, set_flag<&LocConf::log_not_found>, "on", kOverride, kNow, "Whether missing files are written to the error log."},
    {"log_subrequest", kHSL, kFlag, kOk, set_flag<&LocConf::log_subrequest>, "off", kOverride, kNow, "Whether subrequests are written to the access log."},
    idle("open_log_file_cache", kHSL, kTake1234, "log files stay open", check_file_cache),
    // the server's connection
    {"client_header_timeout", kHS, kTake1, kOk, set_millis<&Server::client_header_timeout>, "60s", kOverride, kNow, "How long a client may take for its request's head."},
    {"client_header_buffer_size", kHS, kTake1, kOk, set_size<&Server::client_header_buffer_size>, "1k", kOverride, kNow, "First buffer for a request's head."},
    {"large_client_header_buffers", kHS, kTake2, kOk, set_buffers<&Server::large_buffers_count, &Server::large_buffers_size>, "4 8k", kOverride, kNow, "Number and size of buffers for a large head."},
    {"merge_slashes", kHS, kFlag, kOk, set_flag<&Server::merge_slashes>, "on", kOverride, kNow, "Whether // in a path counts as /."},
    {"underscores_in_headers", kHS, kFlag, kOk, set_flag<&Server::underscores_in_headers>, "off", kOverride, kNow, "Whether header names may hold underscores."},
    {"ignore_invalid_headers", kHS, kFlag, kOk, set_flag<&Server::ignore_invalid_headers>, "on", kOverride, kNow, "Whether headers with odd names are left out."},
    idle("connection_pool_size", kHS, kTake1, "memory is not taken in pools", check_pool_size),
    idle("request_pool_size", kHS, kTake1, "memory is not taken in pools", check_pool_size),
    idle("server_names_hash_max_size", kHttp, kTake1, "tables grow as needed", check_number),
    idle("server_names_hash_bucket_size", kHttp, kTake1, "tables grow as needed", check_number),
    idle("variables_hash_max_size", kHttp, kTake1, "tables grow as needed", check_number),
    idle("variables_hash_bucket_size", kHttp, kTake1, "tables grow as needed", check_number),
    idle("types_hash_max_size", kHSL, kTake1, "tables grow as needed", check_number),
    idle("types_hash_bucket_size", kHSL, kTake1, "tables grow as needed", check_number),
    idle("map_hash_max_size", kHttp, kTake1, "tables grow as needed", check_number),
    idle("map_hash_bucket_size", kHttp, kTake1, "tables grow as needed", check_number),
    idle("max_headers", kHS, kTake1, "the buffers for heads are the limit", check_number),
    // connection settings of a location
    {"keepalive_timeout", kHSL, kTake12, kOk, set_keepalive_timeout, "75s", kOverride, kNow, "How long an idle client may stay; second value: the Keep-Alive header."},
    {"keepalive_requests", kHSL, kTake1, kOk, set_number<&LocConf::keepalive_requests>, "1000", kOverride, kNow, "Requests one client connection may make."},
    {"keepalive_time", kHSL, kTake1, kOk, set_millis<&LocConf::keepalive_time>, "1h", kOverride, kNow, "Longest life of a client connection."},
    {"keepalive_disable", kHSL, kTake12, kOk, set_keepalive_disable, "msie6", kOverride, kNow, "Browsers whose connections are closed after each answer."},
    idle("keepalive_min_timeout", kHSL, kTake1, "connections may be closed when idle", check_millis),
    {"lingering_close", kHSL, kTake1, kOk, set_choice<&LocConf::lingering_close, kLingeringClose>, "on", kOverride, kNow, "Whether unread data is awaited before closing."},
    {"lingering_time", kHSL, kTake1, kOk, set_millis<&LocConf::lingering_time>, "30s", kOverride, kNow, "Longest lingering in all."},
    {"lingering_timeout", kHSL, kTake1, kOk, set_millis<&LocConf::lingering_timeout>, "5s", kOverride, kNow, "Longest wait for more data while lingering."},
    {"reset_timedout_connection", kHSL, kFlag, kOk, set_flag<&LocConf::reset_timedout_connection>, "off", kOverride, kNow, "Whether connections that time out are reset."},
    {"send_timeout", kHSL, kTake1, kOk, set_millis<&LocConf::send_timeout>, "60s", kOverride, kNow, "How long a client may take nothing."},
    {"sendfile", kHSLI, kFlag, kOk, set_flag<&LocConf::sendfile>, "off", kOverride, kNow, "Whether the kernel copies files to sockets."},
    {"sendfile_max_chunk", kHSL, kTake1, kOk, set_size<&LocConf::sendfile_max_chunk>, "2m", kOverride, kNow, "Most bytes of one sendfile call."},
    {"tcp_nopush", kHSL, kFlag, kOk, set_flag<&LocConf::tcp_nopush>, "off", kOverride, kNow, "Whether head and file leave in full packets."},
    {"tcp_nodelay", kHSL, kFlag, kOk, set_flag<&LocConf::tcp_nodelay>, "on", kOverride, kNow, "Whether small packets leave at once."},
    {"limit_rate", kHSLI, kTake1, kOk, set_limit_rate, "0", kOverride, kNow, "Bytes per second to one client."},
    {"limit_rate_after", kHSLI, kTake1, kOk, set_limit_rate_after, "0", kOverride, kNow, "Bytes before limit_rate begins."},
    {"postpone_output", kHSL, kTake1, kOk, set_size<&LocConf::postpone_output>, "1460", kOverride, kNow, "Bytes gathered before they are sent."},
    idle("output_buffers", kHSL, kTake2, "answers are not copied", check_buffers),
    idle("send_lowat", kHSL, kTake1, "not on Linux", check_size),
    idle("read_ahead", kHSL, kTake1, "the kernel decides", check_size),
    idle("aio", kHSL, kTake1, "files never block the event loop", check_aio),
    idle("aio_write", kHSL, kFlag, "files never block the event loop"),
    idle("directio", kHSL, kTake1, "files are sent from the page cache", check_directio),
    idle("directio_alignment", kHSL, kTake1, "files are sent from the page cache", check_offset),
    idle("resolver", kHSL, k1More, "names are looked up once, at start"),
    idle("resolver_timeout", kHSL, kTake1, "names are looked up once, at start", check_millis),
    idle("subrequest_output_buffer_size", kHSL, kTake1, "there are no such subrequests", check_size),
    idle("auth_delay", kHSL, kTake1, "there is no authentication yet", check_millis),
    idle("early_hints", kHSL, k1More, "no early hints are sent"),
    // what the answer says
    {"server_tokens", kHSL, kTake1, kOk, set_choice<&LocConf::server_tokens, kServerTokens>, "on", kOverride, kNow, "Whether the Server header and error pages tell the version."},
    {"etag", kHSL, kFlag, kOk, set_flag<&LocConf::etag>, "on", kOverride, kNow, "Whether files get an ETag."},
    {"if_modified_since", kHSL, kTake1, kOk, set_choice<&LocConf::if_modified_since, kIfModifiedSince>, "exact", kOverride, kNow, "How If-Modified-Since is compared."},
    {"max_ranges", kHSL, kTake1, kOk, set_number<&LocConf::max_ranges>, "", kOverride, kNow, "Most ranges one request may ask for."},
    {"chunked_transfer_encoding", kHSL, kFlag, kOk, set_flag<&LocConf::chunked_transfer_encoding>, "on", kOverride, kNow, "Whether HTTP/1.1 answers of unknown length are chunked."},
    {"absolute_redirect", kHSL, kFlag, kOk, set_flag<&LocConf::absolute_redirect>, "on", kOverride, kNow, "Whether redirects name scheme and host."},
    {"port_in_redirect", kHSL, kFlag, kOk, set_flag<&LocConf::port_in_redirect>, "on", kOverride, kNow, "Whether redirects name the port."},
    {"server_name_in_redirect", kHSL, kFlag, kOk, set_flag<&LocConf::server_name_in_redirect>, "off", kOverride, kNow, "Whether redirects name server_name instead of Host."},
    {"msie_padding", kHSL, kFlag, kOk, set_flag<&LocConf::msie_padding>, "on", kOverride, kNow, "Whether error pages are padded for old browsers."},
    idle("msie_refresh", kHSL, kFlag, "redirects are never refreshes"),
    // rewriting
    {"set", kRewriteContexts, kTake2, kOk, set_set, "", Merge::kAppend, kNow, "Gives a variable a value."},
    {"break", kRewriteContexts, kNone0, kOk, set_break, "", Merge::kAppend, kNow, "Ends rewriting in this block."},
    {"return", kRewriteContexts, kTake12, kOk, set_return, "", Merge::kAppend, kNow, "Answers with a status, a text or a redirect."},
    {"rewrite", kRewriteContexts, kTake23, kOk, set_rewrite, "", Merge::kAppend, kNow, "Changes a path that matches, or redirects."},
    {"if", kServer | kLocation, k1More | kBlock, kOk, set_if, "", Merge::kNotMerged, kNow, "Settings that hold while a condition does."},
    idle("rewrite_log", kHSLI | kServerIf, kFlag, "see error_log debug"),
    idle("uninitialized_variable_warn", kHSLI | kServerIf, kFlag, "empty variables are not reported"),
};
// clang-format on

}  // namespace

std::span<const DirectiveRow> http_rows() { return kRows; }

}  // namespace bulkhead::config
