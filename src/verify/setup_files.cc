// The configuration of a server of verify's own: the article's server block and pool, word for
// word, for each site; the same two files for Debian's nginx + php-fpm and for Bulkhead.
//
// Runs in: bulkhead-verify.
#include <string>

#include "verify/setup.h"

namespace bulkhead::verify {
namespace {

constexpr const char* kParams =
    "        fastcgi_param QUERY_STRING $query_string;\n"
    "        fastcgi_param REQUEST_METHOD $request_method;\n"
    "        fastcgi_param CONTENT_TYPE $content_type;\n"
    "        fastcgi_param CONTENT_LENGTH $content_length;\n"
    "        fastcgi_param SCRIPT_NAME $fastcgi_script_name;\n"
    "        fastcgi_param REQUEST_URI $request_uri;\n"
    "        fastcgi_param DOCUMENT_URI $document_uri;\n"
    "        fastcgi_param DOCUMENT_ROOT $document_root;\n"
    "        fastcgi_param SERVER_PROTOCOL $server_protocol;\n"
    "        fastcgi_param REMOTE_ADDR $remote_addr;\n"
    "        fastcgi_param SERVER_NAME $server_name;\n"
    "        fastcgi_param REDIRECT_STATUS 200;\n";

std::string server_block(const Site& site, bool is_first) {
  const std::string listen = "127.0.0.1:" + std::to_string(site.port);
  return "  server {\n"
         "    listen " +
         listen + (is_first ? " default_server" : "") +
         ";\n"
         "    root " +
         site.root +
         ";\n"
         "    index index.php index.html index.htm;\n"
         "    server_name " +
         site.host +
         ";\n"
         "    access_log " +
         site.access_log +
         ";\n"
         "    autoindex on;\n"
         "    location / {\n"
         "        try_files $uri $uri/ =404;\n"
         "    }\n"
         "    location ~ \"^/re/(a+)+$\" {\n"
         "        return 204;\n"
         "    }\n"
         "    location ~ \\.php$ {\n"
         "        try_files $uri =404;\n"
         "        fastcgi_split_path_info ^(.+\\.php)(/.+)$;\n"
         "        fastcgi_pass unix:" +
         site.pool_socket +
         ";\n"
         "        fastcgi_index index.php;\n"
         "        fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;\n" +
         kParams +
         "    }\n"
         "    location = /bhv-status {\n"
         "        fastcgi_pass unix:" +
         site.pool_socket +
         ";\n"
         "        fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;\n" +
         kParams +
         "    }\n"
         "  }\n";
}

}  // namespace

std::string nginx_text(const Server& server) {
  const std::string& base = server.base;
  std::string text = "user www-data;\nworker_processes 2;\nerror_log " + base +
                     "/log/error.log;\npid " + base + "/run/" +
                     (server.kind == ServerKind::kStock ? "nginx" : "server") +
                     ".pid;\nevents {\n  worker_connections 1024;\n}\nhttp {\n"
                     "  types {\n    text/html html;\n  }\n  default_type text/plain;\n"
                     "  access_log off;\n";
  if (server.kind == ServerKind::kStock) {
    text += "  client_body_temp_path " + base + "/temp/body;\n  fastcgi_temp_path " + base +
            "/temp/fastcgi;\n  proxy_temp_path " + base + "/temp/proxy;\n  uwsgi_temp_path " +
            base + "/temp/uwsgi;\n  scgi_temp_path " + base + "/temp/scgi;\n";
  }
  bool is_first = true;
  for (const Site& site : server.sites) {
    text += server_block(site, is_first);
    is_first = false;
  }
  return text + "}\n";
}

std::string fpm_text(const Server& server, const Plan& plan) {
  std::string text = "[global]\nerror_log = " + server.base + "/log/php-fpm.log\ndaemonize = no\n";
  if (server.kind == ServerKind::kStock) text += "pid = " + server.base + "/run/fpm.pid\n";
  for (const Site& site : server.sites) {
    text += "[" + site.name + "]\nuser = " + site.user.name + "\ngroup = " + site.user.name +
            "\nlisten = " + site.pool_socket +
            "\nlisten.owner = www-data\nlisten.group = www-data\n"
            // As a quarter of the pool files that installers write have it.
            "listen.mode = 0666\n"
            "php_admin_value[disable_functions] = exec,passthru,shell_exec,system\n"
            "php_admin_flag[allow_url_fopen] = off\n"
            // Stands for a hole in PHP: native code in the worker.
            "php_admin_flag[ffi.enable] = on\n"
            "pm = dynamic\npm.max_children = 5\npm.start_servers = 2\npm.min_spare_servers = 1\n"
            "pm.max_spare_servers = 3\npm.status_path = /bhv-status\nchdir = /\n";
    for (const std::string& layer : plan.layers_off) text += "sandbox.off[] = " + layer + "\n";
    for (const std::string& line : plan.pool_lines) text += line + "\n";
  }
  return text;
}

}  // namespace bulkhead::verify
