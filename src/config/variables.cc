#include "config/variables.h"

#include <algorithm>

namespace bulkhead::config {
namespace {

// `set` may give these a value of its own: a module that is not here defines them in nginx.
constexpr bool kSettable = true;
constexpr VariableRow empty_row(std::string_view name, bool writable = false) {
  return {name, Var::kSslOther, RefKind::kEmpty, writable};
}
constexpr VariableRow row(std::string_view name, Var var, bool writable = false) {
  return {name, var, RefKind::kBuiltin, writable};
}

// clang-format off
constexpr VariableRow kRows[] = {
    empty_row("ancient_browser"),
    row("args", Var::kArgs, kSettable),
    row("binary_remote_addr", Var::kBinaryRemoteAddr),
    row("body_bytes_sent", Var::kBodyBytesSent),
    row("bytes_sent", Var::kBytesSent),
    row("connection", Var::kConnection),
    row("connection_requests", Var::kConnectionRequests),
    row("connection_time", Var::kConnectionTime),
    row("connections_active", Var::kConnectionsActive),
    row("connections_reading", Var::kConnectionsReading),
    row("connections_waiting", Var::kConnectionsWaiting),
    row("connections_writing", Var::kConnectionsWriting),
    row("content_length", Var::kContentLength),
    row("content_type", Var::kContentType),
    row("date_gmt", Var::kDateGmt),
    row("date_local", Var::kDateLocal),
    row("document_root", Var::kDocumentRoot),
    row("document_uri", Var::kDocumentUri),
    row("fastcgi_path_info", Var::kFastcgiPathInfo),
    row("fastcgi_script_name", Var::kFastcgiScriptName),
    empty_row("geoip_area_code", kSettable),
    empty_row("geoip_city", kSettable),
    empty_row("geoip_city_continent_code", kSettable),
    empty_row("geoip_city_country_code", kSettable),
    empty_row("geoip_city_country_code3", kSettable),
    empty_row("geoip_city_country_name", kSettable),
    empty_row("geoip_country_code", kSettable),
    empty_row("geoip_country_code3", kSettable),
    empty_row("geoip_country_name", kSettable),
    empty_row("geoip_dma_code", kSettable),
    empty_row("geoip_latitude", kSettable),
    empty_row("geoip_longitude", kSettable),
    empty_row("geoip_org", kSettable),
    empty_row("geoip_postal_code", kSettable),
    empty_row("geoip_region", kSettable),
    empty_row("geoip_region_name", kSettable),
    empty_row("gzip_ratio"),
    row("host", Var::kHost),
    row("hostname", Var::kHostname),
    empty_row("http2"),
    empty_row("http3", kSettable),
    row("https", Var::kHttps),
    empty_row("invalid_referer"),
    row("is_args", Var::kIsArgs),
    row("limit_rate", Var::kLimitRate, kSettable),
    empty_row("limit_conn_status"),
    empty_row("limit_req_status"),
    empty_row("modern_browser"),
    row("msec", Var::kMsec),
    empty_row("msie"),
    row("nginx_version", Var::kNginxVersion),
    row("pid", Var::kPid),
    row("pipe", Var::kPipe),
    row("proxy_add_x_forwarded_for", Var::kProxyAddXForwardedFor),
    empty_row("proxy_host"),
    empty_row("proxy_port"),
    empty_row("proxy_protocol_addr"),
    empty_row("proxy_protocol_port"),
    empty_row("proxy_protocol_server_addr"),
    empty_row("proxy_protocol_server_port"),
    row("query_string", Var::kQueryString),
    row("realip_remote_addr", Var::kRemoteAddr),
    row("realip_remote_port", Var::kRemotePort),
    row("realpath_root", Var::kRealpathRoot),
    row("remote_addr", Var::kRemoteAddr),
    row("remote_port", Var::kRemotePort),
    row("remote_user", Var::kRemoteUser),
    row("request", Var::kRequest),
    row("request_body", Var::kRequestBody),
    row("request_body_file", Var::kRequestBodyFile),
    row("request_completion", Var::kRequestCompletion),
    row("request_filename", Var::kRequestFilename),
    row("request_id", Var::kRequestId),
    row("request_length", Var::kRequestLength),
    row("request_method", Var::kRequestMethod),
    row("request_time", Var::kRequestTime),
    row("request_uri", Var::kRequestUri),
    row("scheme", Var::kScheme),
    empty_row("secure_link"),
    empty_row("secure_link_expires"),
    row("server_addr", Var::kServerAddr),
    row("server_name", Var::kServerName),
    row("server_port", Var::kServerPort),
    row("server_protocol", Var::kServerProtocol),
    empty_row("slice_range"),
    empty_row("ssl_alpn_protocol"),
    empty_row("ssl_cipher"),
    empty_row("ssl_ciphers"),
    empty_row("ssl_client_cert"),
    empty_row("ssl_client_escaped_cert"),
    empty_row("ssl_client_fingerprint"),
    empty_row("ssl_client_i_dn"),
    empty_row("ssl_client_i_dn_legacy"),
    empty_row("ssl_client_raw_cert"),
    empty_row("ssl_client_s_dn"),
    empty_row("ssl_client_s_dn_legacy"),
    empty_row("ssl_client_serial"),
    empty_row("ssl_client_v_end"),
    empty_row("ssl_client_v_remain"),
    empty_row("ssl_client_v_start"),
    empty_row("ssl_client_verify"),
    empty_row("ssl_curve"),
    empty_row("ssl_curves"),
    empty_row("ssl_early_data"),
    empty_row("ssl_protocol"),
    empty_row("ssl_server_name"),
    empty_row("ssl_session_id"),
    empty_row("ssl_session_reused"),
    row("status", Var::kStatus),
    row("tcpinfo_rcv_space", Var::kTcpinfoRcvSpace),
    row("tcpinfo_rtt", Var::kTcpinfoRtt),
    row("tcpinfo_rttvar", Var::kTcpinfoRttvar),
    row("tcpinfo_snd_cwnd", Var::kTcpinfoSndCwnd),
    row("time_iso8601", Var::kTimeIso8601),
    row("time_local", Var::kTimeLocal),
    empty_row("uid_got"),
    empty_row("uid_reset", kSettable),
    empty_row("uid_set"),
    row("upstream_addr", Var::kUpstreamAddr),
    row("upstream_bytes_received", Var::kUpstreamBytesReceived),
    row("upstream_bytes_sent", Var::kUpstreamBytesSent),
    row("upstream_cache_status", Var::kUpstreamCacheStatus),
    row("upstream_connect_time", Var::kUpstreamConnectTime),
    row("upstream_header_time", Var::kUpstreamHeaderTime),
    row("upstream_response_length", Var::kUpstreamResponseLength),
    row("upstream_response_time", Var::kUpstreamResponseTime),
    row("upstream_status", Var::kUpstreamStatus),
    row("uri", Var::kUri),
};
// clang-format on

struct PrefixRow {
  std::string_view prefix;
  RefKind kind;
};
constexpr PrefixRow kPrefixes[] = {
    {"arg_", RefKind::kArg},
    {"cookie_", RefKind::kCookie},
    {"http_", RefKind::kHttp},
    {"proxy_protocol_tlv_", RefKind::kEmpty},
    {"sent_http_", RefKind::kSentHttp},
    {"sent_trailer_", RefKind::kEmpty},
    {"upstream_cookie_", RefKind::kUpstreamCookie},
    {"upstream_http_", RefKind::kUpstreamHttp},
    {"upstream_trailer_", RefKind::kEmpty},
};

std::string lower(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return out;
}

std::optional<VarRef> prefix_reference(std::string_view name) {
  for (const PrefixRow& row : kPrefixes) {
    if (!name.starts_with(row.prefix)) continue;
    VarRef ref{row.kind, 0, std::string(name.substr(row.prefix.size()))};
    bool is_header = row.kind == RefKind::kHttp || row.kind == RefKind::kSentHttp ||
                     row.kind == RefKind::kUpstreamHttp;
    if (is_header) std::replace(ref.text.begin(), ref.text.end(), '_', '-');
    return ref;
  }
  return std::nullopt;
}

}  // namespace

std::span<const VariableRow> variable_table() { return kRows; }

const VariableRow* find_variable(std::string_view name) {
  static const auto& index = *[] {
    auto* map = new std::unordered_map<std::string_view, const VariableRow*>;
    for (const VariableRow& row : kRows) map->emplace(row.name, &row);
    return map;
  }();
  auto found = index.find(name);
  return found == index.end() ? nullptr : found->second;
}

std::string_view variable_name(Var var) {
  for (const VariableRow& row : kRows) {
    if (row.var == var && row.kind == RefKind::kBuiltin && !row.name.starts_with("realip_")) {
      return row.name;
    }
  }
  return {};
}

uint32_t VariableNames::slot(std::string_view name) {
  auto [at, is_new] = slot_of_.emplace(std::string(name), static_cast<uint32_t>(slots_.size()));
  if (is_new) {
    slots_.emplace_back(name);
    defined_.push_back(false);
  }
  return at->second;
}

uint32_t VariableNames::define_user(std::string_view name) {
  uint32_t at = slot(lower(name));
  defined_[at] = true;
  return at;
}

void VariableNames::define_map(std::string_view name, uint32_t index) {
  maps_[lower(name)] = index;
}

const uint32_t* VariableNames::find_map(std::string_view name) const {
  auto found = maps_.find(lower(name));
  return found == maps_.end() ? nullptr : &found->second;
}

VarRef VariableNames::refer(std::string_view written) {
  std::string name = lower(written);
  if (const uint32_t* index = find_map(name)) return {RefKind::kMap, *index, {}};
  auto known = slot_of_.find(name);
  if (known != slot_of_.end() && defined_[known->second]) {
    return {RefKind::kUser, known->second, {}};
  }
  if (const VariableRow* row = find_variable(name)) {
    return {row->kind, static_cast<uint32_t>(row->var), {}};
  }
  if (auto ref = prefix_reference(name)) return *ref;
  return {RefKind::kUser, slot(name), {}};
}

std::optional<std::string> VariableNames::first_undefined() const {
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (!defined_[i]) return slots_[i];
  }
  return std::nullopt;
}

}  // namespace bulkhead::config
