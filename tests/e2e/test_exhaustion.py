"""What runs out (memory that a site may hold in front, descriptors, a log's disk) has a clear error, and ends."""
import socket
import time

import pytest

from harness.servers import Bulkhead, wait_for
from harness.users import users

NGINX = '''
user www-data;
worker_processes 1;
worker_rlimit_nofile @NOFILE@;
pid @DIR@/run.pid;
error_log @DIR@/error.log warn;
events { worker_connections 400; }
http {
    access_log @DIR@/access.log;
    server {
        listen 127.0.0.1:@PORT@;
        root @DIR@/www;
        client_body_buffer_size 16k;
        location /full { access_log /dev/full; return 200 served; }
        location ~ \\.php$ {
            fastcgi_pass unix:@DIR@/a.sock;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            include @TOP@/share/conf/fastcgi_params;
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
pm.max_children = 1
limit.buffer = 1M
'''
BODY = 90_000  # kept in memory while the site holds little, client_body_buffer_size or not


def start(work, user, nofile):
    server = Bulkhead(work, NGINX.replace('@NOFILE@', str(nofile)), FPM.replace('{a}', user.name))
    work.write(f'{server.dir}/www/size.php', '<?php echo strlen(file_get_contents("php://input"));')
    user.own(f'{server.dir}/www')
    return server


@pytest.fixture(scope='module')
def user():
    with users('exh') as (a,):
        yield a


def spools(server):
    return server.read('error.log').count('a client request body is buffered to a temporary file')


def test_many_who_begin_a_body_together_hold_no_more_than_the_site_may(work, user):
    with start(work, user, 2048) as server:
        clients = [server.connect(30) for _ in range(60)]
        for c in clients:
            c.send(f'POST /size.php HTTP/1.1\r\nHost: x\r\nContent-Length: {BODY}\r\n'
                   'Connection: close\r\n\r\n'.encode())
        time.sleep(0.3)  # all have begun before any has sent
        for c in clients:
            c.send(b'b' * (BODY - 1))
        # 60 bodies are 5.4 MB; a quarter of limit.buffer is 256 KB.
        wait_for(lambda: spools(server) >= 40, why='bodies to be put into files')
        for c in clients[-10:]:
            c.send(b'b')
            assert c.read_response().text == str(BODY)
        for c in clients:
            c.close()


def test_a_full_disk_of_a_log_is_told_once_and_nobody_waits(work, user):
    with start(work, user, 2048) as server:
        for _ in range(20):
            assert server.fetch('/full').text == 'served'
        wait_for(lambda: '/dev/full' in server.read('error.log'), why='the loss to be told')
        lines = [l for l in server.read('error.log').splitlines() if '/dev/full' in l]
        assert len(lines) == 1, lines
        assert '[alert]' in lines[0]
        assert 'write() to "/dev/full" failed (28: No space left on device)' in lines[0]


def test_without_descriptors_it_says_so_and_goes_on_when_there_are_some(work, user):
    with start(work, user, 80) as server:
        held = []
        try:
            for _ in range(120):
                s = socket.create_connection(('127.0.0.1', server.port), 5)
                s.sendall(b'GET /full HTTP/1.1\r\nHost: x\r\nX-Slow: ')  # no idle one that could make room
                held.append(s)
            wait_for(lambda: 'accept4() failed (24: Too many open files)' in server.read('error.log'),
                     why='front to have no descriptor left')
        finally:
            for s in held:
                s.close()
        wait_for(lambda: answers(server), why='front to serve again')
        assert server.read('error.log').count('accept4() failed') < 100


def answers(server):
    try:
        return server.fetch('/full').text == 'served'
    except OSError:
        return False
