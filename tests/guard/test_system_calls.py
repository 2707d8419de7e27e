"""System calls per request of a running server, counted by strace: kinds and numbers, not time.

Each limit is what this code asks; a test fails when a request asks more.
"""
import collections
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from harness.servers import Bulkhead, wait_for
from harness.users import users

NGINX = '''
user www-data;
pid @DIR@/run.pid;
error_log @DIR@/error.log;
worker_processes 1;
events { worker_connections 1024; }
http {
    access_log @DIR@/access.log;
    keepalive_requests 1000000;
    server {
        listen 127.0.0.1:@PORT@ default_server;
        root @DIR@/www;
        location / { try_files $uri $uri/ =404; }
        location ~ \\.php$ {
            try_files $uri =404;
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
'''
REQUESTS = 400

TRIES = 3  # what is asked once per time, not per request, is more on a machine that stalls

# Process, calls: at most so many per request.  What is not named must be rare (SELDOM).
SELDOM = 0.1
ALONE = {
    # One request after the other: both sides may sleep in between, and the turn has one request.
    ('/hello.php', 'front'): {'recvfrom': 1, 'sendmsg': 1, 'newfstatat': 1, 'write': 1, 'futex': 1, 'epoll_wait': 3},
    ('/hello.php', 'worker'): {'futex': 1, 'write': 1, 'clock_gettime': 0.5},
    ('/1k.txt', 'front'): {'recvfrom': 1, 'sendmsg': 1, 'newfstatat': 1, 'write': 1, 'epoll_wait': 2},
    ('/1k.txt', 'worker'): {},
}
TOGETHER = {
    # 64 at once: what a turn asks once is shared by its requests.
    ('/hello.php', 'front'): {'recvfrom': 1, 'sendmsg': 1, 'newfstatat': 0.5, 'write': 0.5, 'futex': 0.5, 'epoll_wait': 1},
    ('/hello.php', 'worker'): {'futex': 1, 'write': 1, 'clock_gettime': 0.5},
    ('/1k.txt', 'front'): {'recvfrom': 1, 'sendmsg': 1, 'newfstatat': 0.5, 'write': 0.5, 'epoll_wait': 0.5},
    ('/1k.txt', 'worker'): {},
}


@pytest.fixture(scope='module')
def server(work):
    with users('a') as (a,):
        server = Bulkhead(work, NGINX, FPM.format(a=a.name))
        old = time.time() - 60
        for name, text in (('hello.php', '<?php echo "Hello, world\\n";'), ('1k.txt', 'x' * 1024)):
            os.utime(work.write(f'{server.dir}/www/{name}', text), (old, old))
        a.own(f'{server.dir}/www', 0o755)
        with server:
            yield server


def ask(sockets, path):
    """One request on each connection, all before the first answer is read."""
    request = f'GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n'.encode()
    for s in sockets:
        s.sendall(request)
    for s in sockets:
        answer = b''
        while b'\r\n\r\n' not in answer or not answer.endswith((b'world\n', b'world\n\r\n0\r\n\r\n', b'x' * 1024)):
            part = s.recv(65536)
            assert part, answer
            answer += part
        assert answer.startswith(b'HTTP/1.1 200 ')


def counted(server, path, connections, process):
    """call -> calls per request of that process."""
    pattern = {'front': r'bulkhead: front', 'worker': r'php-fpm: pool a'}[process]
    pid, = wait_for(lambda: [p for p, f in server.descendants().items() if re.search(pattern, f[2])], why=process)
    sockets = [socket.create_connection(('127.0.0.1', server.port), 30) for _ in range(connections)]
    out = os.path.join(server.dir, f'strace-{process}')
    try:
        for _ in range(20):
            ask(sockets, path)
        tracer = subprocess.Popen(['strace', '-f', '-qq', '-o', out, '-p', str(pid)], stderr=subprocess.PIPE)
        try:
            wait_for(lambda: is_traced(pid), why='strace')
            rounds = REQUESTS // connections
            for _ in range(rounds):
                ask(sockets, path)
        finally:
            tracer.send_signal(signal.SIGINT)
            errors = tracer.communicate(timeout=30)[1]
    finally:
        for s in sockets:
            s.close()
    assert os.path.exists(out), errors
    calls = collections.Counter()
    with open(out, encoding='latin-1') as f:
        for line in f:
            call = re.match(r'\d+ +(\w+)\(', line)
            if call:
                calls[call.group(1)] += 1
    return {call: number / (rounds * connections) for call, number in calls.items()}


def is_traced(pid):
    with open(f'/proc/{pid}/status', encoding='ascii') as f:
        return not re.search(r'^TracerPid:\t0$', f.read(), re.M)


def judge(figures, limits):
    """What is above its limit; a tenth more is the noise of turns that found more or less to do."""
    return {call: round(n, 2) for call, n in figures.items() if n > limits.get(call, 0) * 1.1 + SELDOM}


@pytest.mark.parametrize('connections,limits', [(1, ALONE), (64, TOGETHER)], ids=['alone', 'together'])
@pytest.mark.parametrize('path,process', list(ALONE))
def test_a_request_asks_no_more_than_it_did(server, path, process, connections, limits):
    for _ in range(TRIES):
        figures = counted(server, path, connections, process)
        print(path, process, {c: round(n, 2) for c, n in sorted(figures.items())})
        if not judge(figures, limits[path, process]):
            break
    assert not judge(figures, limits[path, process]), figures
    if process == 'front':
        assert figures['recvfrom'] >= 0.99, 'not counted'
