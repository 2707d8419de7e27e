// Rows: TLS, HTTP/2, HTTP/3.  Sockets meant for TLS are not opened (nginx_finish.cc), so settings
// of it wait without harm.
#include "config/nginx_rows.h"

namespace bulkhead::config {
namespace {

// clang-format off
constexpr std::string_view kNoTls = "TLS arrives in a later version; its sockets are not opened";
constexpr std::string_view kNoHttp2 = "clients get HTTP/1.1";
constexpr std::string_view kNoHttp3 = "QUIC sockets are not opened";
constexpr DirectiveRow kRows[] = {
    idle("ssl", kHS, kFlag, kNoTls, set_ssl),
    idle_list("ssl_certificate", kHS, kTake1, kNoTls, set_ssl_certificate),
    idle_list("ssl_certificate_key", kHS, kTake1, kNoTls),
    idle("ssl_certificate_cache", kHS, kTake123, kNoTls),
    idle("ssl_certificate_compression", kHS, kFlag, kNoTls),
    idle("ssl_password_file", kHS, kTake1, kNoTls),
    idle_list("ssl_protocols", kHS, k1More, kNoTls),
    idle("ssl_ciphers", kHS, kTake1, kNoTls),
    idle("ssl_prefer_server_ciphers", kHS, kFlag, kNoTls),
    idle("ssl_buffer_size", kHS, kTake1, kNoTls, check_size),
    idle("ssl_dhparam", kHS, kTake1, kNoTls),
    idle("ssl_ecdh_curve", kHS, kTake1, kNoTls),
    idle("ssl_session_cache", kHS, kTake12, kNoTls),
    idle("ssl_session_tickets", kHS, kFlag, kNoTls),
    idle_list("ssl_session_ticket_key", kHS, kTake1, kNoTls),
    idle("ssl_session_timeout", kHS, kTake1, kNoTls, check_seconds),
    idle("ssl_client_certificate", kHS, kTake1, kNoTls),
    idle("ssl_trusted_certificate", kHS, kTake1, kNoTls),
    idle("ssl_verify_client", kHS, kTake1, kNoTls),
    idle("ssl_verify_depth", kHS, kTake1, kNoTls, check_number),
    idle("ssl_crl", kHS, kTake1, kNoTls),
    idle("ssl_ocsp", kHS, kTake1, kNoTls),
    idle("ssl_ocsp_cache", kHS, kTake1, kNoTls),
    idle("ssl_ocsp_responder", kHS, kTake1, kNoTls),
    idle("ssl_stapling", kHS, kFlag, kNoTls),
    idle("ssl_stapling_file", kHS, kTake1, kNoTls),
    idle("ssl_stapling_responder", kHS, kTake1, kNoTls),
    idle("ssl_stapling_verify", kHS, kFlag, kNoTls),
    idle("ssl_early_data", kHS, kFlag, kNoTls),
    idle_list("ssl_conf_command", kHS, kTake2, kNoTls),
    idle("ssl_reject_handshake", kHS, kFlag, kNoTls, set_ssl_reject_handshake),
    idle("ssl_key_log", kHS, kTake1, kNoTls),
    idle("http2", kHS, kFlag, kNoHttp2),
    idle("http2_body_preread_size", kHS, kTake1, kNoHttp2, check_size),
    idle("http2_chunk_size", kHSL, kTake1, kNoHttp2, check_size),
    idle("http2_idle_timeout", kHS, kTake1, kNoHttp2, check_millis),
    idle("http2_max_concurrent_pushes", kHS, kTake1, kNoHttp2, check_number),
    idle("http2_max_concurrent_streams", kHS, kTake1, kNoHttp2, check_number),
    idle("http2_max_field_size", kHS, kTake1, kNoHttp2, check_size),
    idle("http2_max_header_size", kHS, kTake1, kNoHttp2, check_size),
    idle("http2_max_requests", kHS, kTake1, kNoHttp2, check_number),
    idle("http2_pool_size", kHS, kTake1, kNoHttp2, check_size),
    idle_list("http2_push", kHSL, kTake1, kNoHttp2),
    idle("http2_push_preload", kHSL, kFlag, kNoHttp2),
    idle("http2_recv_buffer_size", kHttp, kTake1, kNoHttp2, check_size),
    idle("http2_recv_timeout", kHS, kTake1, kNoHttp2, check_millis),
    idle("http2_streams_index_size", kHS, kTake1, kNoHttp2, check_number),
    idle("http3", kHS, kFlag, kNoHttp3),
    idle("http3_hq", kHS, kFlag, kNoHttp3),
    idle("http3_max_concurrent_streams", kHS, kTake1, kNoHttp3, check_number),
    idle("http3_stream_buffer_size", kHS, kTake1, kNoHttp3, check_size),
    idle("quic_active_connection_id_limit", kHS, kTake1, kNoHttp3, check_number),
    idle("quic_bpf", kMain, kFlag, kNoHttp3),
    idle("quic_gso", kHS, kFlag, kNoHttp3),
    idle("quic_host_key", kHS, kTake1, kNoHttp3),
    idle("quic_retry", kHS, kFlag, kNoHttp3),
};
// clang-format on

}  // namespace

std::span<const DirectiveRow> tls_rows() { return kRows; }

}  // namespace bulkhead::config
