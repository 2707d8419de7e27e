"""What one site may take: its processes are ended as a whole, its tasks and its places in front are
counted, its neighbour serves on.  (Memory, processor and disk need controllers: tests/vm/run.)"""
import glob
import json
import os
import re
import select
import signal
import socket
import subprocess
import threading
import time

import pytest

from harness import http
from harness.servers import BIN, SLOW, Bulkhead, processes, wait_for
from harness.users import users

NGINX = '''
user www-data;
worker_processes 2;
pid @DIR@/run.pid;
error_log @DIR@/error.log;
events {{ worker_connections 400; }}
http {{
    access_log off;
    client_body_buffer_size 64k;
    client_body_temp_path @DIR@/spool;
    server {{
        listen 127.0.0.1:@PORT@ default_server;
        server_name a.example;
        root {a_root};
        location / {{ fastcgi_pass unix:@DIR@/a.sock; fastcgi_buffers 256 4k;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name; include @TOP@/share/conf/fastcgi_params; }}
    }}
    server {{
        listen 127.0.0.1:@PORT@;
        server_name b.example;
        root {b_root};
        location / {{ fastcgi_pass unix:@DIR@/b.sock;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name; include @TOP@/share/conf/fastcgi_params; }}
    }}
}}
'''
FPM = '''[global]
error_log = @DIR@/fpm.log
[a]
user = {a}
listen = @DIR@/a.sock
pm = static
pm.max_children = 4
{limits}
[b]
user = {b}
listen = @DIR@/b.sock
pm = static
pm.max_children = 2
'''
SCRIPTS = {
    'hello.php': '<?php echo "hello";',
    'sleep.php': '<?php sleep((int)($_GET["s"] ?? 2)); echo "slept";',
    'length.php': '<?php echo strlen(file_get_contents("php://input"));',
    'big.php': '<?php for ($i = 0; $i < 40; $i++) echo str_repeat("x", 25000);',
    # Leaves its session, ignores every signal, and its parent does not wait.
    'daemon.php': '''<?php exec('setsid sh -c "trap \\"\\" TERM HUP INT QUIT USR1; (sleep 3111 & sleep 3112) &" >/dev/null 2>&1 &'); usleep(300000); echo "forked";''',
    'run.php': '<?php set_time_limit(0); passthru(file_get_contents("php://input") . " 2>/dev/null");',
    'forks.php': '''<?php $n = 0; $held = []; for ($i = 0; $i < 200; $i++) {
        $p = @proc_open(["sleep", "20"], [], $pipes); if (!$p) break; $held[] = $p; $n++; }
        echo $n; foreach ($held as $p) { proc_terminate($p, 9); proc_close($p); }''',
}


@pytest.fixture(scope='module')
def people(work):
    with users('la', 'lb') as (a, b):
        for user in (a, b):
            for name, text in SCRIPTS.items():
                work.write(f'{user.name}/{name}', text)
            user.own(work / user.name)
        yield a, b


@pytest.fixture
def start(people, work):
    a, b = people
    started = []

    def run(limits=''):
        server = Bulkhead(work, NGINX.format(a_root=work / a.name, b_root=work / b.name),
                          FPM.format(a=a.name, b=b.name, limits=limits))
        started.append(server)
        server.start()
        wait_for(lambda: server.fetch('/hello.php', host='b.example').status == 200, why='the first answer')
        return server
    yield run
    for server in started:
        server.stop()


def command(name, server, *args):
    return subprocess.run([os.path.join(BIN, 'bulkhead'), name, '--nginx', server.nginx_conf, '--fpm', server.fpm_conf,
                           *args], capture_output=True, text=True, timeout=60, check=False)


def of_user(user):
    return {pid: facts for pid, facts in processes().items() if facts[1] == user.uid and facts[3] != 'Z'}


def test_a_site_that_goes_leaves_no_process(start, people):
    server = start()
    assert server.fetch('/daemon.php', host='a.example').body == b'forked'
    stubborn = [p for p in of_user(people[0]).values() if 'sleep 311' in p[2]]
    assert len(stubborn) >= 2
    pool = next(pid for pid, f in of_user(people[0]).items() if f[2].startswith('bulkhead: pool'))
    os.kill(pool, 9)
    # The pool comes back; what the old one had forked does not stay.
    wait_for(lambda: not [p for p in of_user(people[0]).values() if 'sleep 311' in p[2]], why='the daemons to end')
    wait_for(lambda: server.fetch('/hello.php', host='a.example').status == 200, why='the new pool')
    assert server.fetch('/daemon.php', host='a.example').body == b'forked'
    server.stop()
    wait_for(lambda: not of_user(people[0]), why='every process of the site to end')


# What a hostile site runs: none of it ends by itself.
HOGS = {
    'fork bomb': "bash -c ':(){ :|:& };:'",
    'double forks that ignore signals': """sh -c 'trap "" TERM HUP INT QUIT; while :; do (setsid sh -c "trap \\"\\" TERM; sleep 0.3" &); done'""",
    'memory': "php -n -r '$a = []; while (true) { $a[] = str_repeat(chr(random_int(1, 250)), 1 << 20); if (count($a) > 300) $a = []; }'",
    'descriptors': "php -n -r '$f = []; while (true) { $x = @fopen(\"/dev/null\", \"r\"); if ($x) $f[] = $x; }'",
    'disk': "sh -c 'while :; do dd if=/dev/zero of=/tmp/fill bs=1M count=100 conv=fsync; done'",
    'inotify': """python3 -c '
import ctypes, os
libc, held = ctypes.CDLL(None), []
while True:
    fd = libc.inotify_init()
    if fd >= 0: held.append(fd)
    for at in os.listdir("/usr/bin") if held else (): libc.inotify_add_watch(held[-1], ("/usr/bin/" + at).encode(), 2)
'""",
}
WATCH = """python3 -c 'import ctypes; l = ctypes.CDLL(None); print(l.inotify_add_watch(l.inotify_init(), b"/tmp", 2))'"""


@pytest.mark.parametrize('hog', HOGS)
def test_a_hog_does_not_stop_its_neighbour_and_goes_with_its_site(start, people, hog):
    server = start('limit.tasks = 60\nlimit.connections = 20')
    began = server.connect().send(http.request_bytes('/run.php', 'POST', host='a.example', body=HOGS[hog].encode()))

    def runs():
        nonlocal began
        if [f for f in of_user(people[0]).values() if not f[2].startswith(('bulkhead:', 'php-fpm:'))]:
            return True
        if select.select([began.socket], [], [], 0.2)[0]:  # it could not start; again
            began.close()
            began = server.connect().send(http.request_bytes('/run.php', 'POST', host='a.example', body=HOGS[hog].encode()))
        return False
    wait_for(runs, why='the attack to begin')
    times = []
    until = time.monotonic() + 2
    while time.monotonic() < until or len(times) < 20:
        at = time.monotonic()
        assert server.fetch('/hello.php', host='b.example').body == b'hello'
        times.append(time.monotonic() - at)
        assert len(of_user(people[0])) <= 60
        time.sleep(0.02)
    assert sorted(times)[len(times) // 2] < 0.5 * SLOW, times
    assert server.fetch('/run.php', 'POST', host='b.example', body=WATCH.encode()).text.strip().startswith('1')
    remove_site_a(server)
    wait_for(lambda: not of_user(people[0]), why='every process of the site to end')
    assert server.fetch('/hello.php', host='b.example').body == b'hello'
    began.close()


def remove_site_a(server):
    """A reload without the site; the neighbour stays."""
    for path, pattern in ((server.nginx_conf, r'server \{\s+listen \S+ default_server.*?\}\s+\}'), (server.fpm_conf, r'\[a\].*?(?=\[b\])')):
        with open(path, encoding='utf-8') as f:
            text = f.read()
        cut = re.sub(pattern, '', text, count=1, flags=re.S)
        assert cut != text
        with open(path, 'w', encoding='utf-8') as f:
            f.write(cut)
    os.kill(server.pid, signal.SIGHUP)


def test_no_group_is_left_behind(start):
    def groups():
        """By inode: a name is used again at once, by another server."""
        found = set()
        for path in glob.glob('/sys/fs/cgroup/**/site-[ab]', recursive=True):
            try:
                with open(f'{path}/cgroup.procs', encoding='ascii') as f:
                    if not set(f.read().split()).isdisjoint(ours):
                        found.add(os.stat(path).st_ino)
            except OSError:
                pass
        return found
    server = start()
    ours = set(map(str, server.descendants()))
    made = groups()
    server.stop()
    left = {os.stat(p).st_ino for p in glob.glob('/sys/fs/cgroup/**/site-[ab]', recursive=True) if os.path.exists(p)}
    assert not left & made


def test_tasks_are_limited(start):
    server = start('limit.tasks = 40')
    count = int(server.fetch('/forks.php', host='a.example').body)
    assert 10 <= count <= 40
    assert server.fetch('/hello.php', host='b.example').body == b'hello'
    assert int(server.fetch('/forks.php', host='b.example').body) == 200


def test_a_changed_limit_is_in_force_after_a_reload(start, work):
    server = start('limit.tasks = 40')
    assert int(server.fetch('/forks.php', host='a.example').body) <= 40
    conf = server.fpm_conf
    with open(conf, encoding='utf-8') as f:
        text = f.read()
    with open(conf, 'w', encoding='utf-8') as f:
        f.write(text.replace('limit.tasks = 40', 'limit.tasks = 90'))
    os.kill(server.pid, signal.SIGHUP)
    wait_for(lambda: 50 <= int(server.fetch('/forks.php', host='a.example').body or 0) <= 90, why='the new limit')


def test_what_is_not_in_force_is_said_once_and_in_status(start):
    server = start('limit.memory = 64M\nlimit.cpu = 50%')
    # The server answers requests a moment before it says that it serves.
    done = wait_for(lambda: (d := command('status', server, '--json')).returncode == 0 and d, why='the status')
    status = json.loads(done.stdout)
    log = server.read('out.log') + server.read('error.log')
    has_all = not {'memory', 'cpu'} & set(status['limits']['missing'])
    lines = re.findall(r'limits of ([a-z, ]+) are not in force', log)
    assert lines == ([] if has_all else ['memory, cpu'])


def test_strict_refuses_a_site_whose_limits_cannot_be_kept_and_no_other(start):
    server = start('limit.memory = 64M\nsandbox = strict')
    status = wait_for(lambda: (d := command('status', server, '--json')).returncode == 0 and json.loads(d.stdout), why='the status')
    page = server.fetch('/hello.php', host='a.example')
    assert server.fetch('/hello.php', host='b.example').status == 200
    if 'memory' in status['limits']['missing']:
        assert page.status == 503
        assert 'sandbox = strict: limits of memory cannot be kept' in server.read('fpm.log')
    else:
        assert page.status == 200


@pytest.mark.parametrize('line, words', [
    ('limit.memory = much', "limit.memory': must be a size"), ('limit.cpu = 50', "limit.cpu': must be a share"),
    ('limit.tasks = 1', "limit.tasks': must be a number from 8"), ('limit.io = x', "limit.io': must be bytes"),
    ('limit.queue = 0', "limit.queue': must be"), ('mail.relay = a b', "mail.relay': must be a host")])
def test_a_wrong_limit_names_its_line(people, work, line, words):
    a, b = people
    server = Bulkhead(work, NGINX.format(a_root=work / a.name, b_root=work / b.name),
                      FPM.format(a=a.name, b=b.name, limits=line))
    done = command('test', server)
    assert done.returncode == 1
    assert words in done.stderr and re.search(r'\.conf:8\]', done.stderr), done.stderr


def statuses(server, path, count, host='a.example'):
    """Asks `count` times at once: the responses."""
    answers, threads = [], []
    for _ in range(count):
        threads.append(threading.Thread(target=lambda: answers.append(server.fetch(path, host=host))))
        threads[-1].start()
    for thread in threads:
        thread.join(30 * SLOW)
    return answers


def test_more_requests_than_limit_connections_are_refused(start):
    server = start('limit.connections = 6')
    answers = statuses(server, '/sleep.php?s=2', 12)
    assert sorted(a.status for a in answers) == [200] * 6 + [503] * 6
    assert all(a.header('Retry-After') == '1' for a in answers if a.status == 503)
    # The places are given back.
    assert server.fetch('/hello.php', host='a.example').status == 200
    lines = [l for l in server.read('error.log').splitlines() if 'limit.connections of the site is used up' in l]
    assert 1 <= len(lines) <= 3


def test_more_waiting_requests_than_limit_queue_are_refused(start):
    server = start('limit.queue = 3')
    wait_for(lambda: server.fetch('/hello.php', host='a.example').status == 200)
    # A ring holds 32 requests a loop beside the queue.
    answers = statuses(server, '/sleep.php?s=1', 90)
    refused = [a for a in answers if a.status == 503]
    assert refused and len(refused) < 90
    assert all(a.header('Retry-After') == '1' for a in refused)
    assert server.fetch('/hello.php', host='b.example').status == 200


def test_clients_that_send_slowly_use_up_their_sites_buffer_only(start):
    server = start('limit.buffer = 256k')
    held = []
    for _ in range(5):
        s = socket.create_connection(('127.0.0.1', server.port))
        s.sendall(b'POST /length.php HTTP/1.1\r\nHost: a.example\r\nContent-Length: 60001\r\n\r\n' + b'x' * 60000)
        held.append(s)
    wait_for(lambda: server.fetch('/hello.php', host='a.example').status == 503, why='the buffer to be full')
    assert server.fetch('/hello.php', host='b.example').status == 200
    for s in held:
        s.sendall(b'x')
        assert b'200 OK' in s.recv(65536)
        s.close()
    wait_for(lambda: server.fetch('/hello.php', host='a.example').status == 200, why='the buffer to be free')


def test_neighbour_serves_while_all_workers_sleep_and_clients_are_slow(start):
    server = start()
    slow = [socket.create_connection(('127.0.0.1', server.port)) for _ in range(60)]
    for i, s in enumerate(slow):
        s.sendall(b'GET /%s HTTP/1.1\r\nHost: a.example\r\n' % (b'big.php' if i % 2 else b'sleep.php?s=9'))
        if i % 3:
            s.sendall(b'\r\n')
    before = time.monotonic()
    for _ in range(50):
        assert server.fetch('/hello.php', host='b.example').body == b'hello'
    assert time.monotonic() - before < 10 * SLOW
    for s in slow:
        s.close()
