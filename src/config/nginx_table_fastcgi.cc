// Rows: fastcgi_*.
#include "config/nginx_rows.h"

namespace bulkhead::config {
namespace {

// clang-format off
constexpr auto kOverride = Merge::kOverride;
constexpr auto kReplaceList = Merge::kReplaceList;
constexpr auto kNow = ReloadEffect::kServing;
constexpr auto kOk = Support::kInForce;
constexpr std::string_view kNoCache = "there is no FastCGI cache; every request reaches PHP";
constexpr DirectiveRow kRows[] = {
    {"fastcgi_pass", kLocation | kLocationIf, kTake1, kOk, set_fastcgi_pass, "", kOverride, kNow, "The pool, socket or upstream that answers."},
    {"fastcgi_param", kHSL, kTake23, kOk, set_fastcgi_param, "", kReplaceList, kNow, "One variable for the application."},
    {"fastcgi_index", kHSL, kTake1, kOk, set_text<&FastcgiConf::index>, "", kOverride, kNow, "File name added to a path that ends in a slash."},
    {"fastcgi_split_path_info", kHSL, kTake1, kOk, set_fastcgi_split_path_info, "", kReplaceList, kNow, "Pattern that parts script and path info."},
    {"fastcgi_connect_timeout", kHSL, kTake1, kOk, set_millis<&FastcgiConf::connect_timeout>, "60s", kOverride, kNow, "Longest wait for a connection."},
    {"fastcgi_read_timeout", kHSL, kTake1, kOk, set_millis<&FastcgiConf::read_timeout>, "60s", kOverride, kNow, "Longest pause in the application's answer."},
    {"fastcgi_send_timeout", kHSL, kTake1, kOk, set_millis<&FastcgiConf::send_timeout>, "60s", kOverride, kNow, "Longest pause in handing the request over."},
    {"fastcgi_buffer_size", kHSL, kTake1, kOk, set_size<&FastcgiConf::buffer_size>, "4k", kOverride, kNow, "Largest head of an answer."},
    {"fastcgi_buffers", kHSL, kTake2, kOk, set_buffers<&FastcgiConf::buffers_count, &FastcgiConf::buffers_size>, "8 4k", kOverride, kNow, "Number and size of buffers of one answer."},
    {"fastcgi_busy_buffers_size", kHSL, kTake1, kOk, set_size<&FastcgiConf::busy_buffers_size>, "8k", kOverride, kNow, "Bytes on their way to the client before more is read."},
    {"fastcgi_max_temp_file_size", kHSL, kTake1, kOk, set_size<&FastcgiConf::max_temp_file_size>, "1024m", kOverride, kNow, "Largest answer spooled for a slow client; 0: none."},
    {"fastcgi_temp_file_write_size", kHSL, kTake1, kOk, set_size<&FastcgiConf::temp_file_write_size>, "8k", kOverride, kNow, "Bytes spooled at once."},
    {"fastcgi_temp_path", kHSL, kTake1234, kOk, check_temp_path, "fastcgi_temp", kOverride, kNow, "Answers are spooled to nameless files; the path is kept for nginx's sake."},
    {"fastcgi_buffering", kHSL, kFlag, kOk, set_flag<&FastcgiConf::buffering>, "on", kOverride, kNow, "Whether answers are read ahead of the client."},
    {"fastcgi_request_buffering", kHSL, kFlag, kOk, set_flag<&FastcgiConf::request_buffering>, "on", kOverride, kNow, "Whether a body is read whole before the application starts."},
    {"fastcgi_keep_conn", kHSL, kFlag, kOk, set_flag<&FastcgiConf::keep_conn>, "off", kOverride, kNow, "Whether connections to foreign servers stay open."},
    {"fastcgi_intercept_errors", kHSL, kFlag, kOk, set_flag<&FastcgiConf::intercept_errors>, "off", kOverride, kNow, "Whether error_page holds for the application's errors."},
    {"fastcgi_ignore_client_abort", kHSL, kFlag, kOk, set_flag<&FastcgiConf::ignore_client_abort>, "off", kOverride, kNow, "Whether the application goes on when the client leaves."},
    {"fastcgi_pass_request_headers", kHSL, kFlag, kOk, set_flag<&FastcgiConf::pass_request_headers>, "on", kOverride, kNow, "Whether the application sees the request's headers."},
    {"fastcgi_pass_request_body", kHSL, kFlag, kOk, set_flag<&FastcgiConf::pass_request_body>, "on", kOverride, kNow, "Whether the application sees the request's body."},
    {"fastcgi_next_upstream", kHSL, k1More, kOk, set_fastcgi_next_upstream, "error timeout", kReplaceList, kNow, "When the next server of an upstream is tried."},
    {"fastcgi_next_upstream_tries", kHSL, kTake1, kOk, set_number<&FastcgiConf::next_upstream_tries>, "0", kOverride, kNow, "Most servers tried; 0: all."},
    {"fastcgi_next_upstream_timeout", kHSL, kTake1, kOk, set_millis<&FastcgiConf::next_upstream_timeout>, "0", kOverride, kNow, "Longest time for trying servers; 0: any."},
    {"fastcgi_hide_header", kHSL, kTake1, kOk, set_fastcgi_hide_header, "Status X-Accel-...", kReplaceList, kNow, "A header of the application the client does not get."},
    {"fastcgi_pass_header", kHSL, kTake1, kOk, set_fastcgi_pass_header, "", kReplaceList, kNow, "A header the client gets though it is hidden by default."},
    {"fastcgi_ignore_headers", kHSL, k1More, kOk, set_fastcgi_ignore_headers, "", kReplaceList, kNow, "Headers of the application that are not obeyed."},
    {"fastcgi_catch_stderr", kHSL, kTake1, kOk, set_fastcgi_catch_stderr, "", kReplaceList, kNow, "Text on stderr that makes an answer invalid."},
    idle("fastcgi_cache", kHSL, kTake1, kNoCache),
    idle("fastcgi_cache_key", kHSL, kTake1, kNoCache),
    idle_list("fastcgi_cache_path", kHttp, k2More, kNoCache),
    idle_list("fastcgi_cache_bypass", kHSL, k1More, kNoCache),
    idle_list("fastcgi_no_cache", kHSL, k1More, kNoCache),
    idle_list("fastcgi_cache_valid", kHSL, k1More, kNoCache),
    idle("fastcgi_cache_min_uses", kHSL, kTake1, kNoCache, check_number),
    idle("fastcgi_cache_max_range_offset", kHSL, kTake1, kNoCache, check_offset),
    idle_list("fastcgi_cache_use_stale", kHSL, k1More, kNoCache),
    idle_list("fastcgi_cache_methods", kHSL, k1More, kNoCache),
    idle("fastcgi_cache_lock", kHSL, kFlag, kNoCache),
    idle("fastcgi_cache_lock_timeout", kHSL, kTake1, kNoCache, check_millis),
    idle("fastcgi_cache_lock_age", kHSL, kTake1, kNoCache, check_millis),
    idle("fastcgi_cache_revalidate", kHSL, kFlag, kNoCache),
    idle("fastcgi_cache_background_update", kHSL, kFlag, kNoCache),
    idle_list("fastcgi_cache_purge", kHSL, k1More, kNoCache),
    idle("fastcgi_allow_upstream", kHSL, k1More, "every upstream of the configuration is allowed"),
    idle("fastcgi_bind", kHSL, kTake12, "the kernel chooses the address"),
    idle("fastcgi_bind_dynamic", kHSL, kFlag, "the kernel chooses the address"),
    idle("fastcgi_force_ranges", kHSL, kFlag, "ranges are the application's matter"),
    idle("fastcgi_limit_rate", kHSL, kTake1, "the client's pace limits the application", check_size),
    idle("fastcgi_send_lowat", kHSL, kTake1, "not on Linux", check_size),
    idle("fastcgi_socket_keepalive", kHSL, kFlag, "broken connections are noticed by timeouts"),
    idle("fastcgi_store", kHSL, kTake1, "answers are not stored as files"),
    idle("fastcgi_store_access", kHSL, kTake123, "answers are not stored as files"),
    idle("fastcgi_request_dynamic", kHSL, kFlag, "NGINX Plus only"),
};
// clang-format on

}  // namespace

std::span<const DirectiveRow> fastcgi_rows() { return kRows; }

}  // namespace bulkhead::config
