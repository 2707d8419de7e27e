// Rows: inside mail, which is refused as a whole.
#include "config/nginx_rows.h"

namespace bulkhead::config {
namespace {

// clang-format off
constexpr std::string_view kNoMail = "there is no mail proxy";
constexpr DirectiveRow kRows[] = {
    refused("server", kMail, kNone0 | kBlock, kNoMail),
    refused("listen", kMailServer, k1More, kNoMail),
    refused("auth_http", kMailAll, kTake1, kNoMail),
    refused("auth_http_header", kMailAll, kTake2, kNoMail),
    refused("auth_http_pass_client_cert", kMailAll, kFlag, kNoMail),
    refused("auth_http_timeout", kMailAll, kTake1, kNoMail),
    refused("error_log", kMailAll, k1More, kNoMail),
    refused("imap_auth", kMailAll, k1More, kNoMail),
    refused("imap_capabilities", kMailAll, k1More, kNoMail),
    refused("imap_client_buffer", kMailAll, kTake1, kNoMail),
    refused("max_errors", kMailAll, kTake1, kNoMail),
    refused("pop3_auth", kMailAll, k1More, kNoMail),
    refused("pop3_capabilities", kMailAll, k1More, kNoMail),
    refused("protocol", kMailAll, kTake1, kNoMail),
    refused("proxy_buffer", kMailAll, kTake1, kNoMail),
    refused("proxy_pass_error_message", kMailAll, kFlag, kNoMail),
    refused("proxy_protocol", kMailAll, kFlag, kNoMail),
    refused("proxy_smtp_auth", kMailAll, kFlag, kNoMail),
    refused("proxy_timeout", kMailAll, kTake1, kNoMail),
    refused("resolver", kMailAll, k1More, kNoMail),
    refused("resolver_timeout", kMailAll, kTake1, kNoMail),
    refused("server_name", kMailAll, k1More, kNoMail),
    refused("smtp_auth", kMailAll, k1More, kNoMail),
    refused("smtp_capabilities", kMailAll, k1More, kNoMail),
    refused("smtp_client_buffer", kMailAll, kTake1, kNoMail),
    refused("smtp_greeting_delay", kMailAll, kTake1, kNoMail),
    refused("ssl", kMailAll, kFlag, kNoMail),
    refused("ssl_certificate", kMailAll, kTake1, kNoMail),
    refused("ssl_certificate_key", kMailAll, kTake1, kNoMail),
    refused("ssl_ciphers", kMailAll, kTake1, kNoMail),
    refused("ssl_client_certificate", kMailAll, kTake1, kNoMail),
    refused("ssl_conf_command", kMailAll, kTake2, kNoMail),
    refused("ssl_crl", kMailAll, kTake1, kNoMail),
    refused("ssl_dhparam", kMailAll, kTake1, kNoMail),
    refused("ssl_ecdh_curve", kMailAll, kTake1, kNoMail),
    refused("ssl_password_file", kMailAll, kTake1, kNoMail),
    refused("ssl_prefer_server_ciphers", kMailAll, kFlag, kNoMail),
    refused("ssl_protocols", kMailAll, k1More, kNoMail),
    refused("ssl_session_cache", kMailAll, k1More, kNoMail),
    refused("ssl_session_ticket_key", kMailAll, kTake1, kNoMail),
    refused("ssl_session_tickets", kMailAll, kFlag, kNoMail),
    refused("ssl_session_timeout", kMailAll, kTake1, kNoMail),
    refused("ssl_trusted_certificate", kMailAll, kTake1, kNoMail),
    refused("ssl_verify_client", kMailAll, kTake1, kNoMail),
    refused("ssl_verify_depth", kMailAll, kTake1, kNoMail),
    refused("starttls", kMailAll, kTake1, kNoMail),
    refused("timeout", kMailAll, kTake1, kNoMail),
    refused("tcp_nodelay", kMailAll, kFlag, kNoMail),
    refused("xclient", kMailAll, kFlag, kNoMail),
    refused("set_real_ip_from", kMailAll, kTake1, kNoMail),
};
// clang-format on

}  // namespace

std::span<const DirectiveRow> mail_rows() { return kRows; }

}  // namespace bulkhead::config
