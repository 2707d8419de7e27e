"""One site's slow or greedy clients and the neighbour that the same loop of front serves: what front does in
one turn of its loop, read from its system calls, not from a clock."""
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from harness.servers import SLOW, Bulkhead, wait_for
from harness.users import users

NGINX = '''
user www-data;
worker_processes 1;
pid @DIR@/run.pid;
error_log @DIR@/error.log;
events {{ worker_connections 400; }}
http {{
    access_log off;
    server {{ listen 127.0.0.1:@PORT@ default_server; server_name a.example; root {root}/a;
        location / {{ fastcgi_pass unix:@DIR@/a.sock;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name; include @TOP@/share/conf/fastcgi_params; }} }}
    server {{ listen 127.0.0.1:@PORT@; server_name b.example; root {root}/b;
        location / {{ fastcgi_pass unix:@DIR@/b.sock;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name; include @TOP@/share/conf/fastcgi_params; }} }}
}}
'''
FPM = '''[global]
error_log = @DIR@/fpm.log
[a]
user = {a}
listen = @DIR@/a.sock
pm = static
pm.max_children = 4
[b]
user = {b}
listen = @DIR@/b.sock
pm = static
pm.max_children = 1
'''
BURST = 128 * 1024  # SpoolPace::kBurstBytes: of one site in one turn of the loop
SLOW_CLIENTS = 50


@pytest.fixture(scope='module')
def server(work):
    with users('ta', 'tb') as (a, b):
        for name, user in (('a', a), ('b', b)):
            work.write(f'{name}/hello.php', '<?php echo "hello";')
            work.write(f'{name}/big.php', '<?php for ($i = 0; $i < 200; $i++) echo str_repeat("x", 25000);')
            user.own(work / name)
        with Bulkhead(work, NGINX.format(root=work.path), FPM.format(a=a.name, b=b.name)) as server:
            wait_for(lambda: server.fetch('/hello.php', host='b.example').status == 200)
            yield server


def front_pid(server):
    pid, = wait_for(lambda: [p for p, f in server.descendants().items() if f[2].startswith('bulkhead: front')])
    return pid


def turns_of(trace):
    """thread -> for each stretch between two calls of epoll_wait: bytes written to files there."""
    turns = {}
    for line in trace.splitlines():
        thread = line.split()[0]
        if 'epoll_wait(' in line:
            turns.setdefault(thread, []).append(0)
        elif found := re.search(r'pwrite(?:v2?|64)?\(.*\) = (\d+)$', line):
            turns.setdefault(thread, [0])[-1] += int(found[1])
    return turns


def test_slow_clients_of_one_site_write_little_between_two_looks_at_the_others(server):
    out = os.path.join(server.dir, 'strace')
    tracer = subprocess.Popen(['strace', '-f', '-qq', '-s', '0', '-e', 'trace=epoll_wait,pwrite64,pwritev,pwritev2', '-o', out,
                               '-p', str(front_pid(server))])
    held = []
    try:
        wait_for(lambda: os.path.exists(out), why='strace')
        time.sleep(0.3)
        for _ in range(SLOW_CLIENTS):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.connect(('127.0.0.1', server.port))
            s.sendall(b'GET /big.php HTTP/1.1\r\nHost: a.example\r\n\r\n')
            held.append(s)
        # The neighbour is answered meanwhile; the site's replies are put aside at their pace.
        until = time.monotonic() + 3 * SLOW
        while time.monotonic() < until:
            assert server.fetch('/hello.php', host='b.example').text == 'hello'
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
        for s in held:
            s.close()
    with open(out, encoding='latin-1') as f:
        turns = turns_of(f.read())
    written = [bytes_ for thread in turns.values() for bytes_ in thread if bytes_]
    assert sum(written) > 20 * BURST, 'the clients were not slow enough to show anything'
    assert max(written) <= BURST, f'{max(written)} bytes in one turn'


def test_a_slow_client_gets_all_of_it_in_the_end(server):
    with socket.create_connection(('127.0.0.1', server.port), 30 * SLOW) as s:
        s.sendall(b'GET /big.php HTTP/1.0\r\nHost: a.example\r\n\r\n')
        time.sleep(0.5)  # front puts aside meanwhile
        got = bytearray()
        while part := s.recv(65536):
            got += part
    body = bytes(got).split(b'\r\n\r\n', 1)[1]
    assert body == b'x' * (200 * 25000)
