"""Large, slow and broken-off bodies, in both directions."""
import hashlib
import os
import socket
import time

import pytest

from harness.servers import SLOW, Bulkhead, wait_for
from harness.users import users

NGINX = '''
user www-data;
worker_processes 2;
pid @DIR@/run.pid;
error_log @DIR@/error.log info;
events { }
http {
    access_log @DIR@/access.log;
    server {
        listen 127.0.0.1:@PORT@ default_server;
        root @DIR@/www;
        client_max_body_size 300m;
        client_body_timeout 2s;
        client_header_timeout 2s;
        send_timeout 5s;
        location ~ \\.php$ {
            fastcgi_pass unix:@DIR@/a.sock;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            include @TOP@/share/conf/fastcgi_params;
            location ~ ^/unbuffered {
                fastcgi_request_buffering off;
                fastcgi_buffering off;
                fastcgi_pass unix:@DIR@/a.sock;
            }
            location ~ ^/small {
                client_max_body_size 1k;
                fastcgi_pass unix:@DIR@/a.sock;
            }
        }
    }
}
'''
FPM = '''[global]
error_log = @DIR@/fpm.log
[a]
user = {a}
listen = @DIR@/a.sock
pm = static
pm.max_children = 2
php_admin_value[post_max_size] = 300M
php_admin_value[upload_max_filesize] = 300M
php_admin_value[memory_limit] = 64M
php_admin_value[output_buffering] = 0
'''
SCRIPTS = {
    'hash.php': '<?php $h = hash_init("md5"); $f = fopen("php://input", "r"); $n = 0;'
                'while (!feof($f)) { $s = fread($f, 65536); $n += strlen($s); hash_update($h, $s); }'
                'echo $n, " ", hash_final($h);',
    'upload.php': '<?php $f = $_FILES["file"]; echo $f["error"], " ", $f["size"], " ", md5_file($f["tmp_name"]);',
    'down.php': '<?php $n = (int)$_GET["mb"]; header("Content-Length: " . $n * 1048576);'
                '$s = str_repeat("0123456789abcdef", 65536); while ($n-- > 0) echo $s;',
    'chunks.php': '<?php for ($i = 0; $i < (int)$_GET["n"]; $i++) { echo str_repeat("x", 100000); flush(); }',
    'tick.php': '<?php header("X-Accel-Buffering: no"); for ($i = 0; $i < 5; $i++) { echo "tick$i\\n"; flush(); usleep(300000); }',
    'abort.php': '<?php ignore_user_abort(false); register_shutdown_function(function () {'
                 'file_put_contents(__DIR__ . "/aborted", connection_status()); });'
                 'for ($i = 0; $i < 200; $i++) { echo str_repeat("x", 20000); flush(); usleep(20000); }',
    'finish.php': '<?php echo "done"; fastcgi_finish_request(); usleep(500000); touch(__DIR__ . "/finished");',
    'pid.php': '<?php echo getmypid();',
    'method.php': '<?php echo $_SERVER["REQUEST_METHOD"], strlen(file_get_contents("php://input"));',
}


@pytest.fixture(scope='module')
def server(work):
    with users('bod') as (a,):
        server = Bulkhead(work, NGINX, FPM.replace('{a}', a.name))
        for name, text in SCRIPTS.items():
            work.write(f'{server.dir}/www/{name}', text)
            work.write(f'{server.dir}/www/unbuffered-{name}', text)
            work.write(f'{server.dir}/www/small-{name}', text)
        a.own(f'{server.dir}/www')
        with server:
            yield server


def memory(server):
    """Resident bytes of every process of the server, file-backed pages left out."""
    total = 0
    for pid in [server.pid, *server.descendants()]:
        try:
            with open(f'/proc/{pid}/status', encoding='ascii') as f:
                fields = dict(l.split(':', 1) for l in f if ':' in l)
            total += int(fields['RssAnon'].split()[0]) + int(fields['RssShmem'].split()[0])
        except (OSError, KeyError):
            pass
    return total * 1024


def send_body(connection, size, piece=b'0123456789abcdef' * 65536):
    digest = hashlib.md5()
    while size > 0:
        part = piece[:size]
        connection.socket.sendall(part)
        digest.update(part)
        size -= len(part)
    return digest.hexdigest()


@pytest.mark.parametrize('path', ['/hash.php', '/unbuffered-hash.php'])
def test_200_mb_up_without_holding_it_in_memory(server, path):
    size = 200 << 20
    before = memory(server)
    with server.connect(60) as c:
        c.send(f'POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n'
               'Content-Type: application/octet-stream\r\nConnection: close\r\n\r\n'.encode())
        digest = send_body(c, size)
        peak = memory(server)
        assert c.read_response().text == f'{size} {digest}'
    assert peak - before < 60 << 20


def test_200_mb_down_without_holding_it_in_memory(server):
    before, peak, got = memory(server), 0, 0
    with server.connect(60) as c:
        c.send(b'GET /down.php?mb=200 HTTP/1.0\r\nHost: x\r\n\r\n')
        while data := c.socket.recv(1 << 20):
            got += len(data)
            if got % (16 << 20) < (1 << 16):
                peak = max(peak, memory(server))
    assert got > 200 << 20 and peak - before < 60 << 20


def test_multipart_upload(server):
    content = os.urandom(3 << 20)
    body = (b'--B\r\nContent-Disposition: form-data; name="file"; filename="x.bin"\r\n'
            b'Content-Type: application/octet-stream\r\n\r\n' + content + b'\r\n--B--\r\n')
    page = server.fetch('/upload.php', method='POST', body=body,
                        headers=[('Content-Type', 'multipart/form-data; boundary=B')])
    assert page.text == f'0 {len(content)} {hashlib.md5(content).hexdigest()}'


@pytest.mark.parametrize('path', ['/hash.php', '/unbuffered-hash.php'])
def test_chunked_request_body(server, path):
    data = b''.join(b'%x\r\n%s\r\n' % (n, b'y' * n) for n in (1, 10, 5000, 70000, 3)) + b'0\r\n\r\n'
    plain = b'y' * 75014
    response, = server.raw(f'POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n'
                           'Connection: close\r\n\r\n'.encode() + data, ['POST'])
    assert response.text == f'75014 {hashlib.md5(plain).hexdigest()}'


def test_too_large_body_is_413_before_it_is_read(server):
    with server.connect() as c:
        c.send(b'POST /small-hash.php HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n')
        assert c.read_response().status == 413


def test_too_large_chunked_body_is_413(server):
    response, = server.raw(b'POST /small-hash.php HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n'
                           b'800\r\n' + b'z' * 2048 + b'\r\n0\r\n\r\n')
    assert response.status == 413


def test_100_continue_is_sent_when_the_body_is_wanted_only(server):
    with server.connect() as c:
        c.send(b'POST /hash.php HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n'
               b'Connection: close\r\n\r\n')
        assert c.read_response().status == 100
        c.send(b'abc')
        assert c.read_response().text.startswith('3 ')
    with server.connect() as c:
        c.send(b'POST /small-hash.php HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\nExpect: 100-continue\r\n\r\n')
        assert c.read_response().status == 413


def test_flush_reaches_the_client_as_it_happens(server):
    with server.connect() as c:
        c.send(b'GET /tick.php HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
        start, times, seen = time.monotonic(), [], b''
        while data := c.socket.recv(4096):
            seen += data
            times.append(time.monotonic() - start)
        assert b'tick0' in seen and b'tick4' in seen
        assert len(times) >= 5 and times[-1] - times[0] > 0.8


def test_slow_sender_gets_408_and_does_not_hold_a_worker(server):
    with server.connect() as c:
        c.send(b'POST /hash.php HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc')
        assert server.fetch('/pid.php').status == 200
        response = c.read_response()
        assert response is None or response.status == 408


def test_slow_headers_are_ended(server):
    with server.connect() as c:
        c.send(b'GET / HTTP/1.1\r\nHost: x\r\n')
        response = c.read_response()
        assert response is None or response.status == 408


def test_slow_readers_leave_the_workers_free(server):
    """Two workers, six clients that do not read: others are still answered."""
    stuck = []
    for _ in range(6):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(('127.0.0.1', server.port))
        s.sendall(b'GET /chunks.php?n=30 HTTP/1.1\r\nHost: x\r\n\r\n')
        stuck.append(s)
    try:
        start = time.monotonic()
        assert server.fetch('/pid.php').status == 200
        assert time.monotonic() - start < 3 * SLOW
        # And a slow reader gets everything in the end.
        data = b''
        stuck[0].settimeout(20)
        while len(data) < 3_000_000:
            part = stuck[0].recv(65536)
            assert part, 'cut short'
            data += part
    finally:
        for s in stuck:
            s.close()


def test_client_that_leaves_is_noticed_by_the_script(server):
    with server.connect() as c:
        c.send(b'GET /abort.php HTTP/1.1\r\nHost: x\r\n\r\n')
        c.socket.recv(1000)
    wait_for(lambda: os.path.exists(f'{server.dir}/www/aborted'), 10, 'the shutdown function')
    with open(f'{server.dir}/www/aborted', encoding='ascii') as f:
        assert int(f.read()) & 1
    wait_for(lambda: ' 499 ' in server.read('access.log') or ' 200 ' in server.read('access.log'))
    assert server.fetch('/pid.php').status == 200


def test_finish_request_answers_before_the_script_ends(server):
    start = time.monotonic()
    assert server.fetch('/finish.php').text == 'done'
    assert time.monotonic() - start < 0.45 * SLOW
    wait_for(lambda: os.path.exists(f'{server.dir}/www/finished'), 5, 'the rest of the script')


def test_unread_body_does_not_break_the_next_request(server):
    body = b'q' * 100000
    one = b'POST /page-that-is-missing HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n' % len(body) + body
    two = b'GET /pid.php HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
    first, second = server.raw(one + two, ['POST', 'GET'])
    assert first.status in (404, 405)
    assert second is None or second.status == 200


@pytest.mark.parametrize('size,spooled', [(60_000, False), (96 * 1024, False), (200_000, True)])
def test_a_body_that_fits_a_workers_slot_makes_no_file(server, size, spooled):
    """Whatever client_body_buffer_size (16k here) says."""
    def lines():
        return server.read('error.log').count('a client request body is buffered to a temporary file')
    body = os.urandom(size)
    before = lines()
    page = server.fetch('/hash.php', method='POST', body=body)
    assert page.text == f'{size} {hashlib.md5(body).hexdigest()}'
    server.fetch('/pid.php')
    assert lines() - before == int(spooled)


def test_disk_full_while_spooling_is_500_and_named(work):
    """The spool directory is a file system of 1 MB."""
    import subprocess
    with users('full') as (a,):
        text = NGINX.replace('client_max_body_size 300m;', 'client_max_body_size 300m; client_body_temp_path @DIR@/tiny;')
        server = Bulkhead(work, text, FPM.replace('{a}', a.name), tag='full')
        work.mkdir(f'{server.dir}/tiny', 0o1777)
        work.write(f'{server.dir}/www/hash.php', SCRIPTS['hash.php'])
        work.write(f'{server.dir}/www/pid.php', SCRIPTS['pid.php'])
        subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=1m,mode=1777', 'none', f'{server.dir}/tiny'], check=True)
        try:
            with server:
                page = server.fetch('/hash.php', method='POST', body=b'z' * (4 << 20))
                assert page.status == 500
                wait_for(lambda: 'No space left on device' in server.read('error.log'), why='the log line')
                assert server.fetch('/pid.php').status == 200
                small = server.fetch('/hash.php', method='POST', body=b'z' * 100)
                assert small.text.startswith('100 ')
        finally:
            subprocess.run(['umount', f'{server.dir}/tiny'], check=False)
