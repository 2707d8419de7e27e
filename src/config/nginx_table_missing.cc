// Rows: http modules of nginx that this version lacks.
//
// The rule of each row: ignoring it must not expose content, drop a protection or break a site
// silently (see nginx_set_missing.cc).
#include "config/nginx_rows.h"

namespace bulkhead::config {
namespace {

constexpr Choice<bool> kHttpVersions[] = {{"1.0", false}, {"1.1", true}};

// clang-format off
constexpr std::string_view kNoGzip = "answers are not compressed";
constexpr std::string_view kNoAuth = "passwords would not be asked for";
constexpr std::string_view kNoLimit = "requests would not be limited";
constexpr std::string_view kNoGeo = "the variable would be empty and rules that use it would not hold";
constexpr std::string_view kPlus = "NGINX Plus only";
constexpr uint32_t kLocations = kHSL | kLimitExcept;
constexpr DirectiveRow kRows[] = {
    // compression
    idle("gzip", kHSLI, kFlag, kNoGzip),
    idle("gzip_buffers", kHSL, kTake2, kNoGzip, check_buffers),
    idle("gzip_comp_level", kHSL, kTake1, kNoGzip, set_gzip_comp_level),
    idle_list("gzip_disable", kHSL, k1More, kNoGzip, [](Builder& b, const Directive& d) {
      for (const Word& word : d.args) {
        if (word.text != "msie6" && word.text != "degradation") b.compile_regex(d, word.text, RegexCase::kInsensitive, nullptr);
      }
    }),
    idle("gzip_hash", kHSL, kTake1, kNoGzip, check_size),
    idle("gzip_http_version", kHSL, kTake1, kNoGzip, set_choice<&Nowhere::flag, kHttpVersions>),
    idle("gzip_min_length", kHSL, kTake1, kNoGzip, check_size),
    idle("gzip_no_buffer", kHSL, kFlag, kNoGzip),
    idle_list("gzip_proxied", kHSL, k1More, kNoGzip, [](Builder& b, const Directive& d) {
      for (const Word& word : d.args) {
        bool is_known = false;
        for (std::string_view known : {"off", "expired", "no-cache", "no-store", "private", "no_last_modified", "no_etag", "auth", "any"}) is_known |= word.text == known;
        if (!is_known) return b.fail(d, "invalid value \"" + word.text + "\"");
      }
    }),
    idle("gzip_static", kHSL, kTake1, kNoGzip),
    idle_list("gzip_types", kHSL, k1More, kNoGzip, set_gzip_types),
    idle("gzip_vary", kHSL, kFlag, kNoGzip),
    idle("gzip_window", kHSL, kTake1, kNoGzip, check_size),
    idle("gunzip", kHSL, kFlag, "compressed answers reach the client as they are"),
    idle("gunzip_buffers", kHSL, kTake2, "compressed answers reach the client as they are", check_buffers),
    idle("postpone_gzipping", kHSL, kTake1, kNoGzip, check_size),
    // who may come in
    lacking("auth_basic", kLocations, kTake1, lack_protection, kNoAuth, Merge::kOverride),
    idle("auth_basic_user_file", kLocations, kTake1, "see auth_basic"),
    lacking("auth_request", kHSL, kTake1, lack_protection, "the other location would not be asked", Merge::kOverride),
    idle_list("auth_request_set", kHSL, kTake2, "see auth_request", [](Builder& b, const Directive& d) {
      if (d.args[0].text.size() > 1) b.define_user(d, std::string_view(d.args[0].text).substr(1));
    }),
    lacking("auth_jwt", kLocations, kTake12, lack_protection, "tokens would not be checked"),
    idle_list("auth_jwt_claim_set", kHttp, k2More, kPlus),
    idle_list("auth_jwt_header_set", kHttp, k2More, kPlus),
    idle_list("auth_jwt_key_file", kLocations, kTake1, "see auth_jwt"),
    idle_list("auth_jwt_key_request", kLocations, kTake1, "see auth_jwt"),
    idle("auth_jwt_key_cache", kHSL, kTake1, "see auth_jwt"),
    idle("auth_jwt_leeway", kHSL, kTake1, "see auth_jwt"),
    lacking("auth_jwt_require", kLocations, k1More, lack_protection, "tokens would not be checked"),
    idle("auth_jwt_type", kLocations, kTake1, "see auth_jwt"),
    lacking("auth_oidc", kHSL, kTake1, lack_protection, "nobody would have to log in"),
    refused("oidc_provider", kHttp, kTake1 | kBlock, kPlus),
    lacking("auth_require", kLocations, k1More, lack_protection, "claims would not be checked"),
    lacking("valid_referers", kServer | kLocation, k1More, lack_protection, "$invalid_referer would be empty"),
    idle("referer_hash_bucket_size", kServer | kLocation, kTake1, "see valid_referers", check_number),
    idle("referer_hash_max_size", kServer | kLocation, kTake1, "see valid_referers", check_number),
    lacking("secure_link", kHSL, kTake1, lack_protection, "$secure_link would be empty", Merge::kOverride),
    idle("secure_link_md5", kHSL, kTake1, "see secure_link"),
    lacking("secure_link_secret", kLocation, kTake1, lack_protection, "$secure_link would be empty"),
    lacking("limit_req", kHSL, kTake123, lack_protection, kNoLimit),
    idle_list("limit_req_zone", kHttp, kTake34, "see limit_req", [](Builder& b, const Directive& d) { b.compile(d, d.args[0].text); }),
    idle("limit_req_dry_run", kHSL, kFlag, "see limit_req"),
    idle("limit_req_log_level", kHSL, kTake1, "see limit_req"),
    idle("limit_req_status", kHSL, kTake1, "see limit_req", check_number),
    lacking("limit_conn", kHSL, kTake2, lack_protection, "connections would not be limited"),
    idle_list("limit_conn_zone", kHttp, kTake2, "see limit_conn", [](Builder& b, const Directive& d) { b.compile(d, d.args[0].text); }),
    idle("limit_conn_dry_run", kHSL, kFlag, "see limit_conn"),
    idle("limit_conn_log_level", kHSL, kTake1, "see limit_conn"),
    idle("limit_conn_status", kHSL, kTake1, "see limit_conn", check_number),
    refused("limit_zone", kHttp, kTake3, "it is limit_conn_zone since nginx 1.1.8"),
    // the client's address behind a proxy
    {"set_real_ip_from", kHSL, kTake1, Support::kWarned, set_real_ip_from, {}, Merge::kAppend, ReloadEffect::kServing, "$remote_addr stays the proxy's address; locations with allow or deny by address answer 503"},
    idle("real_ip_header", kHSL, kTake1, "see set_real_ip_from"),
    idle("real_ip_recursive", kHSL, kFlag, "see set_real_ip_from"),
    // variables
    refused("geo", kHttp, kTake12 | kBlock, kNoGeo),
    refused("split_clients", kHttp, kTake2 | kBlock, "the variable would be empty"),
    refused("perl_set", kHttp, kTake2, "there is no Perl"),
    refused("js_set", kHttp, k2More, "there is no JavaScript"),
    refused("keyval", kHttp, k2More, kPlus),
    idle_list("keyval_zone", kHttp, k1More, kPlus),
    idle("geoip_country", kHttp, kTake12, "$geoip_... variables are empty"),
    idle("geoip_city", kHttp, kTake12, "$geoip_... variables are empty"),
    idle("geoip_org", kHttp, kTake12, "$geoip_... variables are empty"),
    idle_list("geoip_proxy", kHttp, kTake1, "$geoip_... variables are empty"),
    idle("geoip_proxy_recursive", kHttp, kFlag, "$geoip_... variables are empty"),
    idle_list("ancient_browser", kHSL, k1More, "$ancient_browser is empty"),
    idle("ancient_browser_value", kHSL, kTake1, "$ancient_browser is empty"),
    idle_list("modern_browser", kHSL, kTake12, "$modern_browser is empty"),
    idle("modern_browser_value", kHSL, kTake1, "$modern_browser is empty"),
    // other contents
    warned("dav_methods", kHSL, k1More, "files are not changed; PUT and DELETE answer 405"),
    idle("dav_access", kHSL, kTake123, "see dav_methods"),
    idle("create_full_put_path", kHSL, kFlag, "see dav_methods"),
    idle("min_delete_depth", kHSL, kTake1, "see dav_methods", check_number),
    warned("flv", kLocation, kNone0, "files are sent from their beginning"),
    warned("mp4", kLocation, kNone0, "files are sent from their beginning"),
    idle("mp4_buffer_size", kHSL, kTake1, "see mp4", check_size),
    idle("mp4_max_buffer_size", kHSL, kTake1, "see mp4", check_size),
    idle("mp4_limit_rate", kHSL, kTake1, "see mp4"),
    idle("mp4_limit_rate_after", kHSL, kTake1, "see mp4"),
    idle("mp4_start_key_frame", kHSL, kFlag, "see mp4"),
    lacking("random_index", kLocation, kFlag, lack_protection, "directories would be answered by other means", Merge::kOverride),
    lacking("perl", kLocation | kLimitExcept, kTake1, lack_handler, "there is no Perl"),
    idle_list("perl_modules", kHttp, kTake1, "there is no Perl"),
    idle_list("perl_require", kHttp, kTake1, "there is no Perl"),
    lacking("js_content", kLocation | kLimitExcept, kTake1, lack_handler, "there is no JavaScript"),
    lacking("js_access", kHSL, kTake1, lack_protection, "there is no JavaScript"),
    lacking("js_header_filter", kLocation | kLocationIf, kTake1, lack_handler, "there is no JavaScript"),
    lacking("js_body_filter", kLocation | kLocationIf, kTake12, lack_handler, "there is no JavaScript"),
    idle_list("js_import", kHSL, kTake13, "there is no JavaScript"),
    idle_list("js_path", kHSL, kTake1, "there is no JavaScript"),
    idle_list("js_preload_object", kHSL, kTake13, "there is no JavaScript"),
    idle_list("js_var", kHSL, kTake12, "there is no JavaScript", [](Builder& b, const Directive& d) {
      if (d.args[0].text.size() > 1) b.define_user(d, std::string_view(d.args[0].text).substr(1));
    }),
    lacking("hls", kLocation, kNone0, lack_handler, kPlus),
    lacking("f4f", kLocation, kNone0, lack_handler, kPlus),
    lacking("api", kLocation, kNone0 | kTake1, lack_handler, kPlus),
    lacking("status", kLocation, kNone0, lack_handler, kPlus),
    idle("status_format", kHSL, kTake12, kPlus),
    idle("status_zone", kServer | kLocation, kTake1, kPlus),
    lacking("upstream_conf", kLocation, kNone0, lack_handler, kPlus),
    lacking("tunnel_pass", kServer | kLocation, kNone0 | kTake1, lack_handler, "there is no CONNECT proxy"),
    lacking("acme_challenge", kLocation, k1More, lack_handler, "certificates are not asked for"),
    idle("health_check", kLocation, kAny, kPlus),
    idle("session_log", kHSL, kTake1, kPlus),
    idle_list("session_log_format", kHttp, k2More, kPlus),
    idle_list("session_log_zone", kHttp, k2More, kPlus),
    // changes of answers
    lacking("ssi", kHSLI, kFlag, lack_filter, "pages would be sent with their commands unread", Merge::kOverride),
    idle("ssi_last_modified", kHSL, kFlag, "see ssi"),
    idle("ssi_min_file_chunk", kHSL, kTake1, "see ssi", check_size),
    idle("ssi_silent_errors", kHSL, kFlag, "see ssi"),
    idle_list("ssi_types", kHSL, k1More, "see ssi"),
    idle("ssi_value_length", kHSL, kTake1, "see ssi", check_size),
    warned("sub_filter", kHSL, kTake2, "texts are not replaced"),
    idle("sub_filter_last_modified", kHSL, kFlag, "see sub_filter"),
    idle("sub_filter_once", kHSL, kFlag, "see sub_filter"),
    idle_list("sub_filter_types", kHSL, k1More, "see sub_filter"),
    warned("add_before_body", kHSL, kTake1, "nothing is put before the answer"),
    warned("add_after_body", kHSL, kTake1, "nothing is put behind the answer"),
    idle_list("addition_types", kHSL, k1More, "see add_before_body"),
    lacking("image_filter", kLocation, kTake123, lack_filter, "pictures would not be changed"),
    idle("image_filter_buffer", kHSL, kTake1, "see image_filter", check_size),
    idle("image_filter_interlace", kHSL, kFlag, "see image_filter"),
    idle("image_filter_jpeg_quality", kHSL, kTake1, "see image_filter"),
    idle("image_filter_sharpen", kHSL, kTake1, "see image_filter"),
    idle("image_filter_transparency", kHSL, kFlag, "see image_filter"),
    idle("image_filter_webp_quality", kHSL, kTake1, "see image_filter"),
    lacking("xslt_stylesheet", kLocation, k1More, lack_filter, "pages would be sent as XML"),
    idle("xml_entities", kHSL, kTake1, "see xslt_stylesheet"),
    idle("xslt_last_modified", kHSL, kFlag, "see xslt_stylesheet"),
    idle_list("xslt_param", kHSL, kTake2, "see xslt_stylesheet"),
    idle_list("xslt_string_param", kHSL, kTake2, "see xslt_stylesheet"),
    idle_list("xslt_types", kHSL, k1More, "see xslt_stylesheet"),
    warned("source_charset", kHSLI, kTake1, "texts are not converted to another charset"),
    idle_list("charset_map", kHttp, kTake2 | kBlock, "texts are not converted to another charset", [](Builder& b, const Directive& d) {
      if (to_lower(d.args[0].text) == to_lower(d.args[1].text)) b.fail(d, "\"charset_map\" between the same charsets \"" + d.args[0].text + "\" and \"" + d.args[1].text + "\"");
    }),
    idle("slice", kHSL, kTake1, "only caches need slices", check_size),
    warned("post_action", kHSLI, kTake1, "nothing is done after an answer"),
    warned("mirror", kHSL, kTake1, "requests are not copied elsewhere"),
    idle("mirror_request_body", kHSL, kFlag, "see mirror"),
    // cookies that tell visitors apart
    idle("userid", kHSL, kTake1, "no cookie is set"),
    idle("userid_domain", kHSL, kTake1, "see userid"),
    idle("userid_expires", kHSL, kTake1, "see userid"),
    idle_list("userid_flags", kHSL, k1More, "see userid"),
    idle("userid_mark", kHSL, kTake1, "see userid"),
    idle("userid_name", kHSL, kTake1, "see userid"),
    idle("userid_p3p", kHSL, kTake1, "see userid"),
    idle("userid_path", kHSL, kTake1, "see userid"),
    idle("userid_service", kHSL, kTake1, "see userid"),
    // tracing
    idle("otel_exporter", kHttp, kNone0 | kBlock, "requests are not traced", [](Builder&, const Directive&) {}),
    idle("otel_service_name", kHttp, kTake1, "requests are not traced"),
    idle("otel_trace", kHSL, kTake1, "requests are not traced"),
    idle("otel_trace_context", kHSL, kTake1, "requests are not traced"),
    idle("otel_span_name", kHSL, kTake1, "requests are not traced"),
    idle_list("otel_span_attr", kHSL, kTake2, "requests are not traced"),
};
// clang-format on

}  // namespace

std::span<const DirectiveRow> missing_rows() { return kRows; }

}  // namespace bulkhead::config
