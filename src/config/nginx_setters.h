// The setters of directives that need more than a slot; rows of the tables name them.
//
// Runs in: master, front.  Each file of setters is listed with what it holds.
#pragma once

#include "config/nginx_builder.h"

namespace bulkhead::config {

// nginx_set_main.cc
void set_user(Builder& b, const Directive& d);
void set_worker_processes(Builder& b, const Directive& d);
void set_worker_connections(Builder& b, const Directive& d);
void set_worker_priority(Builder& b, const Directive& d);
void set_worker_rlimit_core(Builder& b, const Directive& d);
void set_event_method(Builder& b, const Directive& d);
void set_env(Builder& b, const Directive& d);
void set_pools(Builder& b, const Directive& d);
void set_events(Builder& b, const Directive& d);
void set_http(Builder& b, const Directive& d);
void set_load_module(Builder& b, const Directive& d);
void set_debug_points(Builder& b, const Directive& d);

// nginx_set_log.cc
void set_error_log(Builder& b, const Directive& d);
void set_access_log(Builder& b, const Directive& d);
void set_log_format(Builder& b, const Directive& d);

// nginx_set_server.cc
void set_server(Builder& b, const Directive& d);
void set_server_name(Builder& b, const Directive& d);
void set_location(Builder& b, const Directive& d);
void set_limit_except(Builder& b, const Directive& d);

// nginx_set_listen.cc
void set_listen(Builder& b, const Directive& d);
void add_listen(Builder& b, const Directive& d, std::string_view address,
                std::vector<std::string_view> parameters);

// nginx_set_rewrite.cc, nginx_set_if.cc
void set_set(Builder& b, const Directive& d);
void set_break(Builder& b, const Directive& d);
void set_return(Builder& b, const Directive& d);
void set_rewrite(Builder& b, const Directive& d);
void set_if(Builder& b, const Directive& d);

// nginx_set_map.cc
void set_map(Builder& b, const Directive& d);
void set_types(Builder& b, const Directive& d);

// nginx_set_files.cc: which file is answered
void set_root(Builder& b, const Directive& d);
void set_index(Builder& b, const Directive& d);
void set_try_files(Builder& b, const Directive& d);
void set_internal(Builder& b, const Directive& d);
void set_disable_symlinks(Builder& b, const Directive& d);
void set_open_file_cache(Builder& b, const Directive& d);
void set_autoindex_format(Builder& b, const Directive& d);
void set_stub_status(Builder& b, const Directive& d);
void set_metrics(Builder& b, const Directive& d);
void set_empty_gif(Builder& b, const Directive& d);

// nginx_set_response.cc: what is answered with it
void set_error_page(Builder& b, const Directive& d);
void set_add_header(Builder& b, const Directive& d);
void set_add_trailer(Builder& b, const Directive& d);
void set_expires(Builder& b, const Directive& d);
void set_charset(Builder& b, const Directive& d);
void set_charset_types(Builder& b, const Directive& d);
void set_access(Builder& b, const Directive& d);
void set_keepalive_timeout(Builder& b, const Directive& d);
void set_keepalive_disable(Builder& b, const Directive& d);
void set_limit_rate(Builder& b, const Directive& d);
void set_limit_rate_after(Builder& b, const Directive& d);

// nginx_set_fastcgi.cc
void set_fastcgi_pass(Builder& b, const Directive& d);
void set_fastcgi_param(Builder& b, const Directive& d);
void set_fastcgi_split_path_info(Builder& b, const Directive& d);
void set_fastcgi_hide_header(Builder& b, const Directive& d);
void set_fastcgi_pass_header(Builder& b, const Directive& d);
void set_fastcgi_ignore_headers(Builder& b, const Directive& d);
void set_fastcgi_next_upstream(Builder& b, const Directive& d);
void set_fastcgi_catch_stderr(Builder& b, const Directive& d);

// nginx_set_upstream.cc
void set_upstream(Builder& b, const Directive& d);
void set_upstream_server(Builder& b, const Directive& d);
void set_upstream_keepalive(Builder& b, const Directive& d);
void set_upstream_method(Builder& b, const Directive& d);

// nginx_set_missing.cc: what this version lacks
void lack_handler(Builder& b, const Directive& d);     // the location's content comes from it
void lack_protection(Builder& b, const Directive& d);  // inherited; "off" takes it back
void lack_filter(Builder& b, const Directive& d);      // same, but only when it is "on"
void set_real_ip_from(Builder& b, const Directive& d);
void set_ssl(Builder& b, const Directive& d);
void set_ssl_certificate(Builder& b, const Directive& d);
void set_ssl_reject_handshake(Builder& b, const Directive& d);
void set_gzip_comp_level(Builder& b, const Directive& d);
void set_gzip_types(Builder& b, const Directive& d);
void check_pool_size(Builder& b, const Directive& d);
void check_file_cache(Builder& b, const Directive& d);
void check_directio(Builder& b, const Directive& d);
void check_cpu_affinity(Builder& b, const Directive& d);
void check_aio(Builder& b, const Directive& d);
void check_temp_path(Builder& b, const Directive& d);

// A reason to answer 503 in this location and those inside it, until taken back under that name.
void protect(Builder& b, std::string_view name, std::string reason);

}  // namespace bulkhead::config
