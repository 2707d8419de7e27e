// Values with variables in them ("$document_root$fastcgi_script_name"), compiled once.
//
// Runs in: master (validation), front (evaluation is front's; this is the compiled form).
// Input: configuration text (trusted).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::config {

// Every variable front can compute without a name argument.  Kept in the order of the table in
// variables.cc, which also gives the spelling.  Ref: nginx 1.22 documentation, "Alphabetical index
// of variables"; php-fpm has none.
// clang-format off
enum class Var : uint16_t {
  kArgs, kBinaryRemoteAddr, kBodyBytesSent, kBytesSent, kConnection, kConnectionRequests,
  kConnectionTime, kContentLength, kContentType, kDateGmt, kDateLocal, kDocumentRoot, kDocumentUri,
  kFastcgiPathInfo, kFastcgiScriptName, kHost, kHostname, kHttps, kInvalidReferer, kIsArgs,
  kLimitRate, kMsec, kNginxVersion, kPid, kPipe, kProxyAddXForwardedFor, kQueryString,
  kRealpathRoot, kRemoteAddr, kRemotePort, kRemoteUser, kRequest, kRequestBody, kRequestBodyFile,
  kRequestCompletion, kRequestFilename, kRequestId, kRequestLength, kRequestMethod, kRequestTime,
  kRequestUri, kScheme, kServerAddr, kServerName, kServerPort, kServerProtocol, kStatus,
  kTcpinfoRtt, kTcpinfoRttvar, kTcpinfoSndCwnd, kTcpinfoRcvSpace, kTimeIso8601, kTimeLocal,
  kUpstreamAddr, kUpstreamBytesReceived, kUpstreamBytesSent, kUpstreamCacheStatus,
  kUpstreamConnectTime,
  kUpstreamHeaderTime, kUpstreamResponseLength, kUpstreamResponseTime, kUpstreamStatus, kUri,
  // empty until TLS
  kHttp2, kHttp3, kGzipRatio, kSslProtocol, kSslCipher, kSslServerName, kSslOther,
  kProxyHost, kProxyPort, kConnectionsActive, kConnectionsReading, kConnectionsWriting,
  kConnectionsWaiting,
};
// clang-format on

// What one reference in a template means.
enum class RefKind : uint8_t {
  kLiteral,       // text
  kBuiltin,       // Var in `index`
  kUser,          // variable of `set` or of a named capture: slot `index` in the request
  kMap,           // `map` (also geo, split_clients later): maps[index]
  kCapture,       // $1..$9: `index` is the number
  kArg,           // $arg_NAME          name, as written
  kHttp,          // $http_NAME         request header; name lower case, '_' for '-'
  kSentHttp,      // $sent_http_NAME    response header
  kUpstreamHttp,  // $upstream_http_NAME
  kCookie,        // $cookie_NAME
  kUpstreamCookie,
  kEmpty,  // recognised, always empty in this build (ssl_*, geoip_* ...)
};

struct VarRef {
  RefKind kind = RefKind::kLiteral;
  uint32_t index = 0;  // meaning by kind
  std::string text;    // literal text, or NAME
};

// Literal text and references in order.  Without references, `text()` is the value.
struct Template {
  std::vector<VarRef> parts;

  [[nodiscard]] bool is_literal() const {
    return parts.empty() || (parts.size() == 1 && parts[0].kind == RefKind::kLiteral);
  }
  // The value of a literal template; empty when it has no part.
  [[nodiscard]] std::string_view literal() const {
    return parts.empty() ? std::string_view() : std::string_view(parts[0].text);
  }
};

}  // namespace bulkhead::config
