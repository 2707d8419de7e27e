"""The configuration and the files that both servers serve; @WWW@ is the tree they share."""
import os
import time

NGINX = r'''
user www-data;
worker_processes 1;
pid @DIR@/run.pid;
error_log @DIR@/error.log info;
events { worker_connections 512; }
http {
    include @TOP@/share/conf/mime.types;
    default_type application/octet-stream;
    access_log @DIR@/access.log;
    log_format probe '$remote_addr|$request|$status|$body_bytes_sent|$http_referer|$uri|$args';
    sendfile on;
    keepalive_timeout 1;
    client_header_timeout 1s;
    client_body_timeout 1s;
    large_client_header_buffers 4 8k;

    map $uri $mapped { default none; /map/a exact; ~^/map/(?<digits>\d+)$ "digits $digits"; ~*^/map/UP upper; }
    map $http_x_site $by_header { hostnames; default other; *.wild.example wild; .dot.example dot; tail.* tail; plain plain; }
    map $arg_kind $kind { volatile; "" empty; a A; "b c" spaced; default "other:$arg_kind"; }

    # ---- static files ----
    server {
        listen 127.0.0.1:@PORT@ default_server;
        server_name static.example;
        root @WWW@/static;
        index index.html index.txt;
        location /auto/ { autoindex on; }
        location /auto-json/ { alias @WWW@/static/auto/; autoindex on; autoindex_format json; }
        location /auto-xml/ { alias @WWW@/static/auto/; autoindex on; autoindex_format xml; }
        location /noindex/ { index nothing.html; }
        location /charset/ { charset utf-8; }
        location /charset-koi/ { alias @WWW@/static/charset/; charset koi8-r; charset_types text/css; }
        location /expires/ { alias @WWW@/static/; expires 30d; }
        location /expires-max/ { alias @WWW@/static/; expires max; }
        location /expires-epoch/ { alias @WWW@/static/; expires epoch; }
        location /expires-neg/ { alias @WWW@/static/; expires -1; }
        location /expires-mod/ { alias @WWW@/static/; expires modified +1h; }
        location /expires-day/ { alias @WWW@/static/; expires @15h30m; }
        location /expires-off/ { alias @WWW@/static/; expires off; }
        location /expires-var/ { alias @WWW@/static/; set $e 1h; expires $e; }
        location /headers/ { alias @WWW@/static/; add_header X-One 1; add_header X-Uri $uri; add_header X-Empty ""; 
                             location /headers/inner/ { alias @WWW@/static/; add_header X-Two 2 always; } 
                             location /headers/inherit/ { alias @WWW@/static/; } }
        location /cache-control/ { alias @WWW@/static/; add_header Cache-Control "public, no-transform"; expires 1h; }
        location /last-modified/ { alias @WWW@/static/; add_header Last-Modified ""; }
        location /noetag/ { alias @WWW@/static/; etag off; }
        location /ims-off/ { alias @WWW@/static/; if_modified_since off; }
        location /ims-before/ { alias @WWW@/static/; if_modified_since before; }
        location /ranges-one/ { alias @WWW@/static/; max_ranges 1; }
        location /ranges-none/ { alias @WWW@/static/; max_ranges 0; }
        location /types/ { alias @WWW@/static/; types { text/x-special txt; } default_type text/x-default; }
        location /plain/ { alias @WWW@/static/; types { } default_type text/plain; }
        location /internal/ { internal; }
        location /denied/ { deny all; }
        location /allowed/ { alias @WWW@/static/; allow 127.0.0.1; deny all; }
        location /deny-range/ { alias @WWW@/static/; deny 127.0.0.0/8; allow all; }
        location /deny-other/ { alias @WWW@/static/; deny 10.0.0.0/8; deny 2001:db8::/32; allow all; }
        location /tokens-off/ { server_tokens off; }
        location = /empty.gif { empty_gif; }
        location /postable/ { return 200 posted; }
        location /merge { return 200 "merged $uri"; }
        location /relative/ { absolute_redirect off; alias @WWW@/static/; }
        location /noport/ { port_in_redirect off; alias @WWW@/static/; }
        location ~ \.hidden$ { return 403; }
        location /log/ { access_log @DIR@/probe.log probe; return 200 logged; }
    }
    # ---- location matching ----
    server {
        listen 127.0.0.1:@PORT@;
        server_name location.example;
        root @WWW@/static;
        location / { return 200 "prefix / $uri"; }
        location = / { return 200 "exact /"; }
        location = /exact { return 200 "exact"; }
        location /exact { return 200 "prefix exact"; }
        location /images/ { return 200 "images"; }
        location ^~ /images/raw/ { return 200 "images raw"; }
        location ~ \.(gif|jpg)$ { return 200 "regex $1"; }
        location ~* \.PNG$ { return 200 "icase"; }
        location ~ ^/named/(?<first>[a-z]+)/(?<second>\d+)$ { return 200 "$first-$second"; }
        location /outer/ {
            location /outer/inner/ { return 200 "inner"; }
            location ~ \.php$ { return 200 "outer php"; }
            return 200 "outer";
        }
        location "/with space/" { return 200 "space"; }
        location /unicode/ä { return 200 "umlaut"; }
        location ~ ^/look/(?!not) { return 200 "lookahead"; }
        location @name { return 200 "named"; }
        location /to-name { try_files /none @name; }
        location /longest/ { return 200 "longest 1"; }
        location /longest/of/ { return 200 "longest 2"; }
        location /longest/of/all { return 200 "longest 3"; }
        location /pass/ { fastcgi_pass unix:@DIR@/a.sock; include @TOP@/share/conf/fastcgi_params; }
    }
    # ---- rewrite module ----
    server {
        listen 127.0.0.1:@PORT@;
        server_name rewrite.example;
        root @WWW@/static;
        rewrite ^/server-level/(.*)$ /echo/$1;
        rewrite ^/server-last/(.*)$ /last/$1 last;
        location /echo { return 200 "uri=$uri args=$args request_uri=$request_uri\n"; }
        location /last/ { rewrite ^/last/(.*)$ /echo/from-last/$1 last; return 200 "not reached"; }
        location /break/ { rewrite ^/break/(.*)$ /plain/$1 break; return 200 "not reached"; }
        location /brk { rewrite ^/brk$ /plain/a.txt break; }
        location /redirect { rewrite ^/redirect/(.*)$ /echo/$1 redirect; }
        location /permanent { rewrite ^/permanent/(.*)$ /echo/$1 permanent; }
        location /absolute { rewrite ^/absolute/(.*)$ http://other.example/$1; }
        location /scheme { rewrite ^/scheme/(.*)$ $scheme://other.example/$1?x=1; }
        location /args { rewrite ^/args/(.*)$ /echo?page=$1 last; }
        location /noargs { rewrite ^/noargs/(.*)$ /echo?page=$1? last; }
        location /redirargs { rewrite ^/redirargs/(.*)$ /echo/$1?a=b permanent; }
        location /redirnoargs { rewrite ^/redirnoargs/(.*)$ /echo/$1? permanent; }
        location /loop { rewrite ^/loop /loop last; }
        location /set { set $a one; set $b "${a}two"; set $a three; return 200 "$a $b"; }
        location /unset { return 200 "[$never_set]"; set $never_set x; }
        location /if-eq { if ($arg_x = yes) { return 200 "eq"; } return 200 "ne"; }
        location /if-ne { if ($arg_x != yes) { return 200 "ne"; } return 200 "eq"; }
        location /if-re { if ($arg_x ~ ^(a+)(b*)$) { return 200 "$1|$2"; } return 200 "no"; }
        location /if-ire { if ($arg_x ~* ^ABC) { return 200 "yes"; } return 200 "no"; }
        location /if-nre { if ($arg_x !~ ^abc) { return 200 "yes"; } return 200 "no"; }
        location /if-nire { if ($arg_x !~* ^abc) { return 200 "yes"; } return 200 "no"; }
        location /if-bare { if ($arg_x) { return 200 "true"; } return 200 "false"; }
        location /if-f { if (-f @WWW@/static/a.txt) { return 200 "file"; } return 200 "none"; }
        location /if-nf { if (!-f $document_root/none) { return 200 "no file"; } return 200 "file"; }
        location /if-d { if (-d $document_root/auto) { return 200 "dir"; } return 200 "none"; }
        location /if-e { if (-e $document_root/auto) { return 200 "exists"; } return 200 "none"; }
        location /if-ne-e { if (!-e $request_filename) { rewrite ^ /echo/front last; } return 200 "exists"; }
        location /if-x { if (-x $document_root/auto) { return 200 "exec"; } return 200 "none"; }
        location /if-method { if ($request_method = POST) { return 405; } return 200 "get"; }
        location /if-header { if ($http_user_agent ~* (bot|crawler)) { return 403; } return 200 "human"; }
        location /if-cookie { if ($cookie_user) { return 200 "user $cookie_user"; } return 200 "nobody"; }
        location /if-two { set $x 0; if ($arg_a) { set $x 1; } if ($arg_b) { set $x "${x}1"; } if ($x = 11) { return 200 both; } return 200 $x; }
        location /if-conf/ { alias @WWW@/static/; if ($arg_v) { add_header X-V yes; } }
        location /if-root/ { if ($arg_v) { rewrite ^/if-root/(.*)$ /$1 break; root @WWW@/static/auto; } }
        location /ret-301 { return 301 /elsewhere; }
        location /ret-302 { return 302 http://other.example/$request_uri; }
        location /ret-303 { return 303 /x; }
        location /ret-307 { return 307 /x?y=z; }
        location /ret-308 { return 308 https://other.example/x; }
        location /ret-url { return http://other.example/; }
        location /ret-https { return https://$host$request_uri; }
        location /ret-text { return 200 "text with $host and \"quotes\" and \t tab"; }
        location /ret-404 { return 404; }
        location /ret-404t { return 404 "own text"; }
        location /ret-410 { return 410; }
        location /ret-418 { return 418; }
        location /ret-444 { return 444; }
        location /ret-500 { return 500; }
        location /ret-503 { return 503 "later"; }
        location /ret-204 { return 204; }
        location /ret-200 { return 200; }
        location /ret-type { default_type application/json; return 200 '{"a":1}'; }
        location /ret-400 { return 400; }
        location /ret-413 { return 413; }
        location /ret-429 { return 429; }
        location /ret-451 { return 451; }
        location /ret-599 { return 599; }
        location /captures { rewrite "^/captures/([a-z]{2})/([^/]*)$" /echo/$2/$1 last; }
        location /decoded { rewrite ^/decoded/(.*)$ /echo/$1 last; }
        location /encredir { rewrite ^/encredir/(.*)$ /x/$1 redirect; }
        location /brk-if { if ($arg_x) { break; return 200 no; } return 200 done; }
        location /map { return 200 "$mapped"; }
        location /hostmap { return 200 "$by_header"; }
        location /kind { return 200 "$kind"; }
        location /vars { return 200 "$host|$http_host|$server_name|$scheme|$request_method|$uri|$document_uri|$args|$query_string|$is_args|$request_uri|$server_protocol|$remote_addr|$server_addr|$arg_a|$arg_B|$cookie_c|$http_x_y|$content_length|$content_type|$remote_user|$https|$request|$document_root|$request_filename|$realpath_root\n"; }
        location /setargs { set $args "new=1"; return 200 "$args|$query_string|$is_args"; }
        location /body-var { return 200 "$request_length"; }
    }
    # ---- try_files, error pages ----
    server {
        listen 127.0.0.1:@PORT@;
        server_name try.example;
        root @WWW@/static;
        error_page 404 /errors/404.html;
        location / { try_files $uri $uri/ =404; }
        location /front { try_files $uri $uri/ /fallback.txt; }
        location /frontargs { try_files $uri /echo?path=$uri&$args; }
        location /named { try_files $uri @fallback; }
        location @fallback { return 200 "fallback for $uri"; }
        location /code403 { try_files $uri =403; }
        location /code200 { try_files /none =200; }
        location /second { try_files /none.txt /a.txt =404; }
        location /dirs { try_files /auto/ =404; }
        location /isdir { try_files /auto =404; }
        location /internalonly/ { internal; alias @WWW@/static/; }
        location /viatry { try_files /none /internalonly/a.txt; }
        location = /echo { return 200 "echo $args"; }
        location /alias/ { alias @WWW@/static/auto/; try_files $uri $uri/ =404; }
        location ~ ^/ralias/(.+)$ { alias @WWW@/static/$1; }
        location /ep-code { error_page 404 =200 /a.txt; }
        location /ep-eq { error_page 404 = /echo?from=eq; }
        location /ep-named { error_page 404 = @fallback; }
        location /ep-named2 { error_page 404 @fallback; }
        location /ep-url { error_page 404 http://other.example/lost; }
        location /ep-url2 { error_page 404 =301 http://other.example/lost; }
        location /ep-many { error_page 403 404 500 /errors/404.html; return 500; }
        location /ep-missing { error_page 404 /errors/none.html; }
        location /ep-var { error_page 403 /errors/$arg_p.html; return 403; }
        location /ep-chain { error_page 404 /ep-chain2/x; }
        location /ep-chain2/ { error_page 404 /a.txt; }
        location /ep-rec { recursive_error_pages on; error_page 404 /ep-rec2/x; }
        location /ep-rec2/ { recursive_error_pages on; error_page 404 /a.txt; }
        location /ep-post { error_page 405 =200 /a.txt; }
        location /ep-418 { error_page 418 = @teapot; return 418; }
        location @teapot { return 200 "teapot $uri $args"; }
        location /ep-hdr { add_header X-Normal n; add_header X-Always a always; return 404; }
        location /cycle { try_files /none /cycle; }
    }
    # ---- PHP ----
    server {
        listen 127.0.0.1:@PORT@;
        server_name php.example;
        root @WWW@/php;
        index index.php index.html;
        client_max_body_size 200k;
        location / { try_files $uri $uri/ /index.php?$args; }
        location ~ [^/]\.php(/|$) {
            fastcgi_split_path_info ^(.+?\.php)(/.*)$;
            set $path_info $fastcgi_path_info;
            try_files $fastcgi_script_name =404;
            fastcgi_param PATH_INFO $path_info;
            fastcgi_index index.php;
            include @TOP@/share/conf/fastcgi_params;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            fastcgi_pass unix:@DIR@/a.sock;
        }
        location /raw/ {
            location ~ \.php {
                fastcgi_split_path_info ^(.+?\.php)(/.*)?$;
                fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
                fastcgi_param PATH_INFO $fastcgi_path_info;
                fastcgi_param EXTRA "a value" if_not_empty;
                fastcgi_param EMPTY1 $arg_none if_not_empty;
                fastcgi_param EMPTY2 $arg_none;
                include @TOP@/share/conf/fastcgi_params;
                fastcgi_pass unix:@DIR@/a.sock;
            }
        }
        location /value/ {
            fastcgi_param SCRIPT_FILENAME $document_root/ini.php;
            fastcgi_param PHP_VALUE "memory_limit=77M
                                     precision=9";
            fastcgi_param PHP_ADMIN_VALUE "open_basedir=@WWW@";
            include @TOP@/share/conf/fastcgi_params;
            fastcgi_pass unix:@DIR@/value.sock;
        }
        location /intercept/ {
            error_page 404 /static404.html;
            error_page 500 = @caught;
            fastcgi_intercept_errors on;
            fastcgi_param SCRIPT_FILENAME $document_root/status.php;
            include @TOP@/share/conf/fastcgi_params;
            fastcgi_pass unix:@DIR@/a.sock;
        }
        location @caught { return 200 "caught"; }
        location /hide/ {
            fastcgi_hide_header X-Secret; fastcgi_pass_header X-Accel-Expires; fastcgi_ignore_headers X-Accel-Redirect;
            add_header X-Added yes;
            expires 1h;
            fastcgi_param SCRIPT_FILENAME $document_root/headers.php;
            include @TOP@/share/conf/fastcgi_params;
            fastcgi_pass unix:@DIR@/a.sock;
        }
        location /protected/ { internal; alias @WWW@/static/; }
        location /txt/ { fastcgi_param SCRIPT_FILENAME @WWW@/static/a.txt; include @TOP@/share/conf/fastcgi_params; fastcgi_pass unix:@DIR@/a.sock; }
        location /nofile/ { include @TOP@/share/conf/fastcgi_params; fastcgi_pass unix:@DIR@/a.sock; }
        location /dead/ { fastcgi_pass unix:@DIR@/nobody.sock; include @TOP@/share/conf/fastcgi_params; }
        location /slow/ { fastcgi_read_timeout 1s; fastcgi_param SCRIPT_FILENAME $document_root/slow.php; include @TOP@/share/conf/fastcgi_params; fastcgi_pass unix:@DIR@/a.sock; }
        location /app { fastcgi_param SCRIPT_FILENAME $document_root/server.php; fastcgi_param SCRIPT_NAME /app; include @TOP@/share/conf/fastcgi_params; fastcgi_pass unix:@DIR@/a.sock; }
    }
    server {
        listen 127.0.0.1:@PORT@;
        server_name article.example;
        root @WWW@/php;
        index index.php index.html index.htm;
        location / { try_files $uri $uri/ =404; }
        location ~ \.php$ {
            try_files $uri =404;
            fastcgi_split_path_info ^(.+\.php)(/.+)$;
            fastcgi_pass unix:@DIR@/a.sock;
            fastcgi_index index.php;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            include @TOP@/share/conf/fastcgi_params;
        }
    }
    # ---- server names ----
    server { listen 127.0.0.1:@PORT@; server_name exact.names.example; return 200 "exact $server_name"; }
    server { listen 127.0.0.1:@PORT@; server_name *.names.example; return 200 "leading"; }
    server { listen 127.0.0.1:@PORT@; server_name names.*; return 200 "trailing"; }
    server { listen 127.0.0.1:@PORT@; server_name .dot.example; return 200 "dot $host"; }
    server { listen 127.0.0.1:@PORT@; server_name ~^(?<sub>[a-z]+)\.re\.example$; return 200 "regex $sub"; }
    server { listen 127.0.0.1:@PORT@; server_name ~^user(\d+)\.; return 200 "user $1"; }
    server { listen 127.0.0.1:@PORT@; server_name ""; return 200 "empty name"; }
    server { listen 127.0.0.1:@PORT@; server_name many.example alias1.example alias2.example; server_name_in_redirect on; return 301 /x; }
    server { listen 127.0.0.1:@PORT2@; server_name second.example; return 200 "second default"; }
}
'''

POOL = '''[@NAME@]
user = www-data
group = www-data
listen = @DIR@/@NAME@.sock
listen.owner = www-data
listen.group = www-data
pm = static
pm.max_children = 3
pm.status_path = /fpm-status
ping.path = /fpm-ping
env[FROM_POOL] = "pool value"
env[PATH] = /usr/bin:/bin
php_value[precision] = 11
php_admin_value[memory_limit] = 96M
php_admin_value[disable_functions] = exec,system
php_flag[short_open_tag] = on
php_admin_value[session.save_path] = @DIR@
php_value[html_errors] = off
php_value[display_errors] = on
'''
# PHP_VALUE has a pool of its own: a worker of php-fpm keeps what it was told for all requests that follow, and would
# answer the other cases by it (no upload, for one, under the open_basedir it was given).
FPM = '[global]\nerror_log = @DIR@/fpm.log\n' + POOL.replace('@NAME@', 'a') + POOL.replace('@NAME@', 'value')

# Values that differ from run to run or by port are left out by the scripts themselves.
PHP = {
    'index.php': '<?php echo "index ", $_SERVER["REQUEST_URI"], " ", $_SERVER["QUERY_STRING"], "\n";',
    'server.php': '<?php $s = $_SERVER; foreach (["REQUEST_TIME", "REQUEST_TIME_FLOAT", "REMOTE_PORT", "SERVER_PORT"] as $k) '
                  '$s[$k] = isset($s[$k]) ? "set" : "unset"; foreach ($s as $k => $v) echo "$k=", is_array($v) ? json_encode($v) : $v, "\n";',
    'env.php': '<?php $e = getenv(); foreach (["REQUEST_TIME", "REQUEST_TIME_FLOAT", "REMOTE_PORT", "SERVER_PORT"] as $k) unset($e[$k]);'
               'ksort($e); print_r($e); var_dump(getenv("FROM_POOL"), getenv("HTTP_HOST"), $_ENV);',
    'echo.php': '<?php echo $_SERVER["REQUEST_METHOD"], "|", $_SERVER["CONTENT_TYPE"] ?? "-", "|", $_SERVER["CONTENT_LENGTH"] ?? "-", "|";'
                'echo json_encode($_GET), json_encode($_POST), json_encode($_COOKIE), "|", file_get_contents("php://input");',
    'files.php': '<?php foreach ($_FILES as &$f) { $f["tmp_name"] = is_uploaded_file($f["tmp_name"]) ? md5_file($f["tmp_name"]) : "-"; } print_r($_FILES); print_r($_POST);',
    'status.php': '<?php http_response_code((int)$_GET["s"]); echo "status ", $_GET["s"];',
    'statusline.php': '<?php header($_GET["l"]); echo "body";',
    'headers.php': '<?php header("X-Secret: s"); header("X-Shown: y"); header("X-Accel-Expires: 10"); header("X-Dup: 1"); header("X-Dup: 2", false);'
                   'header("X-Powered-By: me"); header("Cache-Control: private"); setcookie("c", "v"); setcookie("d", "w w"); echo "h";',
    'type.php': '<?php header("Content-Type: " . $_GET["t"]); echo "t";',
    'notype.php': '<?php ini_set("default_mimetype", ""); echo "t";',
    'location.php': '<?php header("Location: " . $_GET["to"]); echo "moved";',
    'accel.php': '<?php header("X-Accel-Redirect: " . $_GET["to"]); header("Content-Type: text/x-kept"); header("X-From: php"); echo "not seen";',
    'accelhdr.php': '<?php header("X-Accel-Charset: koi8-r"); header("X-Accel-Buffering: no"); header("X-Accel-Limit-Rate: 0"); echo "x";',
    'big.php': '<?php for ($i = 0; $i < 40; $i++) echo str_repeat(chr(97 + $i % 26), 9973), "\n";',
    'length.php': '<?php header("Content-Length: 5"); echo "12345";',
    'nobody.php': '<?php http_response_code(204);',
    'etag.php': '<?php header("ETag: \\"x\\""); header("Last-Modified: Tue, 01 Jan 2019 00:00:00 GMT"); echo "etag body";',
    'lm304.php': '<?php http_response_code(304);',
    'fatal.php': '<?php echo "before "; no_such_function();',
    'exception.php': '<?php ini_set("display_errors", "0"); throw new Exception("x");',
    'warning.php': '<?php error_log("logged line"); trigger_error("a warning", E_USER_WARNING); echo "after";',
    'exit.php': '<?php register_shutdown_function(function () { echo " shutdown"; }); echo "a"; exit(3);',
    'ini.php': '<?php foreach (["memory_limit", "precision", "open_basedir", "short_open_tag", "disable_functions", "date.timezone", "user_ini.filename", "session.save_path"] as $k) echo "$k=", ini_get($k), "\n"; echo ini_set("memory_limit", "99M") === false ? "locked" : "free", "\n"; var_dump(function_exists("exec"));',
    'sapi.php': '<?php echo PHP_SAPI, " ", php_sapi_name(); var_dump(function_exists("fastcgi_finish_request"), function_exists("fpm_get_status"), function_exists("getallheaders"), function_exists("apache_request_headers"));',
    'allheaders.php': '<?php $h = getallheaders(); ksort($h); print_r($h);',
    'auth.php': '<?php echo $_SERVER["PHP_AUTH_USER"] ?? "-", ":", $_SERVER["PHP_AUTH_PW"] ?? "-", ":", $_SERVER["PHP_AUTH_DIGEST"] ?? "-", ":", $_SERVER["HTTP_AUTHORIZATION"] ?? "-";',
    'session.php': '<?php session_id("fixed" . md5(__DIR__)); session_start(); $_SESSION["n"] = ($_SESSION["n"] ?? 0) + 1; echo $_SESSION["n"] > 0 ? "counted" : "no"; session_destroy();',
    'cwd.php': '<?php echo getcwd(), " ", __FILE__, " ", $_SERVER["PHP_SELF"];',
    'finish.php': '<?php echo "first"; var_dump(fastcgi_finish_request()); echo "never";',
    'flush.php': '<?php for ($i = 0; $i < 5; $i++) { echo "part $i\n"; flush(); }',
    'ob.php': '<?php ob_start(); echo "buffered"; header("X-Late: yes"); $x = ob_get_clean(); echo strtoupper($x);',
    'short.php': '<? echo "short tag" ?>',
    'slow.php': '<?php sleep(3); echo "late";',
    'readpost.php': '<?php echo strlen(file_get_contents("php://input"));',
    'argv.php': '<?php var_dump($_SERVER["argv"] ?? null, $_SERVER["argc"] ?? null);',
    'user.php': '<?php echo $_SERVER["USER"], " ", $_SERVER["HOME"], " ", posix_getpwuid(posix_geteuid())["name"];',
    'headersent.php': '<?php echo str_repeat("x", 5000); flush(); var_dump(headers_sent()); header("X-Too-Late: 1");',
    'nul.php': '<?php echo "a\\0b", chr(255), chr(254);',
    'filter.php': '<?php var_dump(filter_input(INPUT_SERVER, "REQUEST_METHOD"), filter_input(INPUT_GET, "a"));',
    'static404.html': 'static 404 page',
    'sub/index.php': '<?php echo "sub index ", $_SERVER["SCRIPT_NAME"], "|", $_SERVER["PATH_INFO"] ?? "-";',
    'userini/.user.ini': 'precision = 5\nauto_prepend_file = prepend.php\n',
    'userini/prepend.php': '<?php echo "prepended ";',
    'userini/show.php': '<?php echo ini_get("precision"), " ", ini_get("memory_limit");',
    'raw/info.php': '<?php foreach (["SCRIPT_NAME", "SCRIPT_FILENAME", "PATH_INFO", "PATH_TRANSLATED", "ORIG_PATH_INFO", "ORIG_SCRIPT_NAME", "ORIG_SCRIPT_FILENAME", "ORIG_PATH_TRANSLATED", "PHP_SELF", "EXTRA", "EMPTY1", "EMPTY2", "REQUEST_URI", "DOCUMENT_URI"] as $k) echo "$k=", $_SERVER[$k] ?? "unset", "\n";',
    'dir.php/file.txt': 'a directory that looks like a script',
}


def make_files(www, write):
    """Writes the tree; times are fixed so that both servers see the same Last-Modified."""
    text = ''.join(f'line {n:04d}\n' for n in range(200))
    for name, content in {
            'index.html': '<html>index</html>\n', 'a.txt': text, 'fallback.txt': 'fallback\n', 'empty.txt': '',
            'image.gif': 'GIF89a', 'style.css': 'b{}', 'script.js': '1;', 'noext': 'no extension', 'UPPER.HTML': 'upper',
            'x.unknown': 'unknown type', 'a b.txt': 'space', 'ä.txt': 'umlaut', 'plus+and&.txt': 'plus', 'per%cent.txt': 'percent',
            'one.hidden': 'hidden', 'large.bin': bytes(range(256)) * 4096, 'plain/a.txt': 'plain a', 'internal/f.txt': 'x', 'denied/f.txt': 'x',
            'auto/one.txt': 'one', 'auto/two & three.txt': '2', 'auto/Zwölf.txt': '12', 'auto/sub/x': 'x', 'auto/' + 'long' * 20 + '.txt': 'l',
            'auto/<b>.txt': 'b', 'noindex/f.txt': 'x', 'dironly/index.txt': 'txt index\n', 'charset/a.html': 'ä', 'charset/a.css': 'c', 'charset/a.gif': 'g',
            'errors/404.html': 'own 404 page\n', 'noread/f.txt': 'x', 'front/f.txt': 'front f', 'named/f.txt': 'named f', 'tokens-off/x': 'x',
            'if-ne-e/there': 'there', 'auto/a.txt': 'auto a'}.items():
        write(f'{www}/static/{name}', content)
    for name, content in PHP.items():
        write(f'{www}/php/{name}', content)
    os.chmod(f'{www}/static/noread/f.txt', 0o000)
    for n, (folder, dirs, files) in enumerate(os.walk(www)):
        for name in files + dirs + ['.']:
            os.utime(os.path.join(folder, name), (1_600_000_000, 1_600_000_000), follow_symlinks=False)
    assert time.time() > 1_600_000_000
