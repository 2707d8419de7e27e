"""With the programs people already run: stock nginx in front of our pools, our web server in front
of stock php-fpm, cgi-fcgi on a pool's socket."""
import os
import subprocess

import pytest

from harness.servers import Bulkhead, BulkheadFpm, BulkheadNginx, StockFpm, StockNginx
from harness.users import users

NGINX = '''
user www-data;
worker_processes 1;
pid @DIR@/run.pid;
error_log @DIR@/error.log;
events { }
http {
    access_log @DIR@/access.log;
    upstream pooled { server unix:SOCKET; keepalive 4; }
    server {
        listen 127.0.0.1:@PORT@;
        root WWW;
        location ~ \\.php$ {
            fastcgi_pass unix:SOCKET;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            include @TOP@/share/conf/fastcgi_params;
        }
        location /kept/ {
            fastcgi_pass pooled;
            fastcgi_keep_conn on;
            fastcgi_param SCRIPT_FILENAME WWW/pid.php;
            include @TOP@/share/conf/fastcgi_params;
        }
        location /down/ {
            fastcgi_pass unix:@DIR@/nobody-listens.sock;
        }
    }
}
'''
FPM = '''[global]
error_log = @DIR@/fpm.log
[a]
user = {a}
listen = @DIR@/a.sock
listen.owner = www-data
listen.group = www-data
listen.mode = 0660
pm = static
pm.max_children = 2
pm.status_path = /status
ping.path = /ping
php_admin_value[post_max_size] = 64M
'''
SCRIPTS = {
    'pid.php': '<?php echo getmypid();',
    'echo.php': '<?php header("X-A: b"); http_response_code(201); echo $_SERVER["REQUEST_METHOD"], " ", strlen(file_get_contents("php://input"));',
    'big.php': '<?php for ($i = 0; $i < 64; $i++) echo str_repeat(chr(65 + $i % 26), 65536);',
    'err.php': '<?php error_log("said this"); echo "ok";',
    'sapi.php': '<?php echo PHP_SAPI;',
}


@pytest.fixture(scope='module')
def owner():
    with users('nb') as (user,):
        yield user


@pytest.fixture(scope='module')
def www(work, owner):
    for name, text in SCRIPTS.items():
        work.write(f'www/{name}', text)
    return owner.own(work / 'www')


PAIRS = {'stock nginx, our pools': (StockNginx, BulkheadFpm), 'our nginx, stock php-fpm': (BulkheadNginx, StockFpm),
         'our nginx, our php-fpm': (BulkheadNginx, BulkheadFpm)}


@pytest.fixture(scope='module', params=PAIRS, ids=lambda p: p.replace(' ', '-'))
def pair(request, work, www, owner):
    front, back = PAIRS[request.param]
    tag = request.param.replace(' ', '').replace(',', '-')
    fpm = back(work, None, FPM.replace('{a}', owner.name), tag=f'{tag}-b')
    socket = f'{fpm.dir}/a.sock'
    nginx = front(work, NGINX.replace('SOCKET', socket).replace('WWW', www), tag=f'{tag}-f')
    nginx.socket = socket
    nginx.backend = fpm
    with fpm, nginx:
        yield nginx


def test_scripts_run_as_fpm(pair):
    assert pair.fetch('/sapi.php').text == 'fpm-fcgi'
    page = pair.fetch('/echo.php', method='POST', body=b'x' * 100)
    assert (page.status, page.text, page.header('X-A')) == (201, 'POST 100', 'b')


def test_large_bodies_both_ways(pair):
    body = pair.fetch('/big.php').body
    assert len(body) == 64 * 65536 and body[:1] == b'A' and body[65536:65537] == b'B'
    assert pair.raw(b'POST /echo.php HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\nConnection: close\r\n\r\n'
                    + b'z' * 900000)[0].text == 'POST 900000'


def test_kept_connections_are_used_again(pair):
    assert all(pair.fetch(f'/kept/{n}').text.isdigit() for n in range(10))


def test_stderr_reaches_the_web_servers_log(pair):
    assert pair.fetch('/err.php').text == 'ok'
    assert 'FastCGI sent in stderr: "PHP message: said this"' in pair.read('error.log')


def test_missing_script_and_missing_server(pair):
    page = pair.fetch('/none.php')
    assert page.status == 404 and page.text == 'File not found.\n'
    assert 'Primary script unknown' in pair.read('error.log')
    assert pair.fetch('/down/x').status == 502
    assert 'failed (2: No such file or directory) while connecting to upstream' in pair.read('error.log')


def cgi_fcgi(sock, **variables):
    done = subprocess.run(['cgi-fcgi', '-bind', '-connect', sock], env={**os.environ, **variables},
                          capture_output=True, text=True, check=False, timeout=20)
    return done.stdout


def test_cgi_fcgi_speaks_to_the_pools_socket(pair):
    out = cgi_fcgi(pair.socket, SCRIPT_NAME='/ping', SCRIPT_FILENAME='/ping', REQUEST_METHOD='GET')
    assert out.endswith('pong')
    out = cgi_fcgi(pair.socket, SCRIPT_NAME='/status', SCRIPT_FILENAME='/status', REQUEST_METHOD='GET')
    assert 'process manager:      static' in out


def test_socket_has_the_owner_and_mode_of_the_pool_file(pair):
    import pwd
    facts = os.stat(pair.socket)
    assert facts.st_mode & 0o777 == 0o660 and facts.st_uid == pwd.getpwnam('www-data').pw_uid


def test_both_in_one_and_still_reachable_by_stock_nginx(work, www, owner):
    """`bulkhead serve` listens on the pool's socket too."""
    ours = Bulkhead(work, NGINX.replace('SOCKET', '@DIR@/a.sock').replace('WWW', www), FPM.replace('{a}', owner.name), tag='both')
    with ours:
        stock = StockNginx(work, NGINX.replace('SOCKET', f'{ours.dir}/a.sock').replace('WWW', www), tag='both-stock')
        with stock:
            for server in (ours, stock):
                assert server.fetch('/sapi.php').text == 'fpm-fcgi'
                assert server.fetch('/echo.php', method='POST', body=b'abc').text == 'POST 3'
                assert server.fetch('/kept/x').text.isdigit()
