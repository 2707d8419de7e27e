"""`bulkhead nginx` is nginx to whoever starts it: command line, messages, exit codes, pid file, signals,
log lines.  What can be compared is compared with Debian's nginx in the same run."""
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from harness import http
from harness.load import Load
from harness.servers import BIN, SLOW, BulkheadNginx, StockNginx, descendants, free_port, processes, wait_for

PEER = os.environ.get('BULKHEAD_TEST_STOCK') == '1'
STOCK = ['/usr/sbin/nginx']
OURS = STOCK if PEER else [f'{BIN}/bulkhead', 'nginx']
Ours = StockNginx if PEER else BulkheadNginx

GOOD = '''user www-data;
worker_processes 1;
pid @DIR@/run.pid;
error_log @DIR@/error.log notice;
events { }
http {
    access_log @DIR@/access.log;
    server {
        listen 127.0.0.1:@PORT@;
        root @DIR@/www;
        location /gone { return 410; }
        location /denied { deny all; }
    }
}
'''
# configuration files for the command line: name -> text
FILES = {
    'good': GOOD,
    'empty': '',
    'no-events': GOOD.replace('events { }', ''),
    'typo': GOOD.replace('root', 'roto'),
    'semicolon': GOOD.replace('events { }', 'events { }\nuser x'),
    'unclosed': GOOD.rstrip()[:-1],
    'closed-twice': GOOD + '}\n',
    'arguments': GOOD.replace('listen 127', 'listen; listen 127'),
    'place': GOOD.replace('events { }', 'events { }\nlisten 80;'),
    'twice': GOOD.replace('events { }', 'events { }\npid x;'),
    'no-include': GOOD.replace('events { }', 'events { }\ninclude missing.conf;'),
    'no-glob': GOOD.replace('events { }', 'events { }\ninclude missing/*.conf;'),
    'include': GOOD.replace('events { }', 'events { }\ninclude part.conf;'),
    'bad-include': GOOD.replace('events { }', 'events { }\ninclude bad-part.conf;'),
    'no-user': GOOD.replace('www-data', 'no-such-user'),
    'no-group': GOOD.replace('user www-data', 'user www-data no-such-group'),
    'no-log-folder': GOOD.replace('@DIR@/error.log', '@DIR@/none/error.log'),
    'no-access-folder': GOOD.replace('@DIR@/access.log', '@DIR@/none/access.log'),
    'unknown-variable': GOOD.replace('return 410', 'return 410 $nothing'),
    'bad-regex': GOOD.replace('location /gone', 'location ~ "(x"'),
    'bad-number': GOOD.replace('worker_processes 1', 'worker_processes x'),
    'bad-size': GOOD.replace('root', 'client_max_body_size 5x; root'),
    'bad-time': GOOD.replace('root', 'send_timeout 5q; root'),
    'bad-flag': GOOD.replace('root', 'etag maybe; root'),
    'bad-listen': GOOD.replace('127.0.0.1:@PORT@', '127.0.0.1:99999'),
    'bad-host': GOOD.replace('127.0.0.1:@PORT@', 'no-such-host.invalid:80'),
    'listen-twice': GOOD.replace('root', 'listen 127.0.0.1:@PORT@; root'),
    'default-twice': GOOD.replace('127.0.0.1:@PORT@;', '127.0.0.1:@PORT@ default_server; } server { listen 127.0.0.1:@PORT@ default_server;'),
    'name-twice': GOOD.replace('root', 'server_name a.example a.example; root').replace(
        'http {', 'http {\n    server { listen 127.0.0.1:@PORT@; server_name a.example; }', 1),
    'location-twice': GOOD.replace('location /gone', 'location /gone { return 1; }\n        location /gone'),
    'nested-outside': GOOD.replace('/gone { return 410; }', '/gone { location /other { } }'),
    'quote': GOOD.replace('return 410', 'return 410 "x'),
    'after-quote': GOOD.replace('return 410', 'return 410 "x"y'),
    'if': GOOD.replace('return 410;', 'if ($uri = x { return 410; }'),
    'if-op': GOOD.replace('return 410;', 'if ($uri x y) { return 410; }'),
    'rewrite-flag': GOOD.replace('return 410;', 'rewrite ^ /x gone;'),
    'try-files': GOOD.replace('return 410;', 'try_files $uri;'),
    'fastcgi-port': GOOD.replace('return 410;', 'fastcgi_pass 127.0.0.1;'),
    'fastcgi-host': GOOD.replace('return 410;', 'fastcgi_pass no-such-host.invalid:9000;'),
    'log-format': GOOD.replace('access.log;', 'access.log nosuch;'),
    'map-twice': GOOD.replace('http {', 'http {\n    map $uri $m { a 1; a 2; }'),
    'map-default-twice': GOOD.replace('http {', 'http {\n    map $uri $m { default 1; default 2; }'),
    'upstream-empty': GOOD.replace('http {', 'http {\n    upstream u { }'),
    'upstream-twice': GOOD.replace('http {', 'http {\n    upstream u { server 127.0.0.1:1; }\n    upstream u { server 127.0.0.1:1; }'),
    'allow': GOOD.replace('deny all', 'deny 1.2.3.4/40'),
    'alias-root': GOOD.replace('return 410;', 'alias /x; root /y;'),
    'error-page': GOOD.replace('return 410;', 'error_page 99 /x;'),
    'expires': GOOD.replace('return 410;', 'expires 5q;'),
    'env-block': GOOD.replace('events { }', 'events { worker_connections 5; worker_connections 6; }'),
    'autoindex-format': GOOD.replace('return 410;', 'autoindex_format csv;'),
    'tokens': GOOD.replace('return 410;', 'server_tokens maybe;'),
    'add-header': GOOD.replace('return 410;', 'add_header X;'),
    'internal-arg': GOOD.replace('return 410;', 'internal on;'),
    'error-log-level': GOOD.replace('error.log notice', 'error.log loud'),
    'block-expected': GOOD.replace('events { }', 'events;'),
    'block-unexpected': GOOD.replace('worker_processes 1;', 'worker_processes { }'),
}
PARTS = {'part.conf': '# a part\n\ttimer_resolution 100ms;  # tabs stay\n', 'bad-part.conf': '\n\nnonsense on;\n'}


@pytest.fixture(scope='module')
def confs(work):
    work.mkdir('www')
    port = str(free_port())
    for name, text in {**{f'{n}.conf': t for n, t in FILES.items()}, **PARTS}.items():
        work.write(name, text.replace('@DIR@', work.path).replace('@PORT@', port))
    return work


def even(text, work=None):
    text = re.sub(r'\d{4}/\d\d/\d\d \d\d:\d\d:\d\d', 'TIME', text)
    text = re.sub(r'\d+#\d+:( \*\d+)?', 'PID:', text)
    return text.replace(work.path, 'DIR') if work else text


def run(command, *arguments, cwd=None, seconds=20):
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=cwd, check=False,
                          timeout=seconds * SLOW)
    return done.returncode, done.stdout, done.stderr


def both(work, *arguments, **more):
    results = []
    for command in (STOCK, OURS):
        code, out, err = run(command, *arguments, **more)
        results.append((code, even(out, work), even(err, work)))
    return results


@pytest.mark.parametrize('name', FILES)
def test_what_t_says(confs, name):
    peer, ours = both(confs, '-t', '-c', confs / f'{name}.conf', '-e', confs / 'e.log')
    assert ours == peer


@pytest.mark.parametrize('arguments', [
    ['-v'], ['-h'], ['-?'], ['-hv'], ['-x'], ['--version'], ['word'], ['-c'], ['-g'], ['-p'], ['-e'], ['-s'], ['-s', 'restart'],
    ['-t', '-q', '-c', '@/good.conf'], ['-tq', '-c@/good.conf'], ['-tqc', '@/good.conf'], ['-T', '-c', '@/good.conf'],
    ['-T', '-c', '@/include.conf'], ['-Tq', '-c', '@/include.conf'], ['-T', '-c', '@/typo.conf'], ['-t', '-q', '-c', '@/typo.conf'],
    ['-t', '-p', '@', '-c', 'good.conf'], ['-t', '-p', '@/', '-c', 'include.conf'], ['-t', '-p', '@', '-c', 'missing.conf'],
    ['-t', '-c', '@/missing.conf'], ['-t', '-c', '@'], ['-t', '-c', '@/good.conf', '-g', 'worker_priority 3;'],
    ['-t', '-c', '@/good.conf', '-g', 'pid x;'], ['-t', '-c', '@/good.conf', '-g', 'nonsense;'], ['-t', '-c', '@/good.conf', '-g', 'user x'],
    ['-t', '-c', '@/good.conf', '-e', '@/none/e.log'], ['-t', '-c', '@/good.conf', '-e', 'stderr'],
    ['-s', 'reload', '-c', '@/good.conf'], ['-s', 'stop', '-c', '@/typo.conf'], ['-c', '@/typo.conf'], ['-c', '@/no-user.conf'],
], ids=' '.join)
def test_command_line(confs, arguments):
    arguments = [a.replace('@', confs.path) for a in arguments]
    peer, ours = both(confs, *arguments, cwd=confs.path)
    assert ours == peer


def test_capital_v_names_version_and_features():
    code, out, err = run(OURS, '-V')
    lines = err.splitlines()
    assert (code, out, lines[0]) == (0, '', 'nginx version: nginx/1.22.1')
    assert lines[-1].startswith('configure arguments: ') and ' --with-' in lines[-1]


def test_a_link_named_nginx_is_nginx(work):
    if PEER:
        pytest.skip('about our program')
    os.symlink(f'{BIN}/bulkhead', work / 'nginx')
    assert run([work / 'nginx'], '-v') == (0, '', 'nginx version: nginx/1.22.1\n')


@pytest.fixture(params=[StockNginx, Ours], ids=['nginx', 'ours'])
def server(request, work):
    kind = request.param
    server = kind(work, GOOD, tag=f'live-{"peer" if kind is StockNginx else "ours"}')
    work.write(f'{server.dir}/www/index.html', 'index')
    for name in ('error.log', 'access.log'):
        if os.path.exists(f'{server.dir}/{name}'):
            os.remove(f'{server.dir}/{name}')
    server.command = STOCK if kind is StockNginx else OURS
    yield server
    if server.processes:
        server.stop()


def say(server, *arguments):
    return run(server.command, '-p', server.dir + '/', '-c', server.nginx_conf, *arguments)


def pid_in_file(server):
    return int(server.read('run.pid').strip() or 0)


def test_pid_file_holds_the_process_started_and_comes_after_the_sockets(server):
    process = server.spawn(server.commands()[0])
    wait_for(lambda: server.read('run.pid').endswith('\n'), 10, 'the pid file')
    socket.create_connection(('127.0.0.1', server.port), 1).close()
    assert pid_in_file(server) == process.pid
    assert server.stop() == [0]
    assert not os.path.exists(f'{server.dir}/run.pid')


def test_quit_and_term_exit_with_0_and_finish_or_not(server):
    for how in (signal.SIGQUIT, signal.SIGTERM, signal.SIGINT):
        server.start()
        assert server.fetch('/').text == 'index'
        assert server.stop(how) == [0]


def test_daemon_goes_to_the_background_and_follows_s(server):
    conf = server.nginx_conf
    try:
        code, out, err = say(server)
        assert (code, out, err) == (0, '', '')
        assert server.fetch('/').text == 'index'
        pid = pid_in_file(server)
        assert processes()[pid][0] == 1 or processes()[pid][2].startswith('nginx: master process')
        os.rename(f'{server.dir}/access.log', f'{server.dir}/old.log')
        code, out, err = say(server, '-s', 'reopen')
        assert (code, out, even(err)) == (0, '', 'TIME [notice] PID: signal process started\n')
        wait_for(lambda: os.path.exists(f'{server.dir}/access.log'), 5)
        # The master makes the file; its workers follow a moment later.
        wait_for(lambda: server.fetch('/after-reopen') and '/after-reopen' in server.read('access.log'), 5)
        with open(conf, 'a', encoding='utf-8') as f:
            f.write('# changed\n')
        assert say(server, '-s', 'reload')[0] == 0
        wait_for(lambda: 'reconfiguring' in server.read('error.log'), 5)
        assert server.fetch('/').text == 'index' and pid_in_file(server) == pid
    finally:
        pid = pid_in_file(server)
        assert pid and say(server, '-s', 'quit')[0] == 0
        wait_for(lambda: processes().get(pid, (0, 0, '', 'Z'))[3] == 'Z', 10, 'nginx to end')
        wait_for(lambda: not os.path.exists(f'{server.dir}/run.pid'), 5)
    assert say(server, '-s', 'stop')[0] == 1


def test_titles(server):
    server.start()
    wait_for(lambda: processes()[server.pid][2].startswith('nginx: master process '), 5)
    wait_for(lambda: [f for f in descendants(server.pid).values() if f[2].startswith('nginx: worker process')], 5,
             "a worker's title")


def test_broken_configuration_at_hup_changes_nothing(server):
    server.start()
    good = server.read('nginx.conf')
    with open(server.nginx_conf, 'w', encoding='utf-8') as f:
        f.write(good.replace('root', 'roto'))
    os.kill(server.pid, signal.SIGHUP)
    wait_for(lambda: 'unknown directive "roto"' in server.read('error.log'), 5)
    assert re.search(r'\[emerg\] \d+#\d+: unknown directive "roto" in \S+/nginx\.conf:\d+', server.read('error.log'))
    assert server.fetch('/').text == 'index'


def test_shutdown_timeout_ends_old_connections(work):
    for kind, tag in ((StockNginx, 'peer'), (Ours, 'ours')):
        with kind(work, 'worker_shutdown_timeout 1s;\n' + GOOD, tag=f'timeout-{tag}') as server:
            work.write(f'{server.dir}/www/index.html', 'index')
            work.write(f'{server.dir}/www/big', os.urandom(16 << 20))
            with server.connect() as slow:
                slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
                slow.send(http.request_bytes('/big'))
                time.sleep(0.3)
                before = time.monotonic()
                assert server.stop(signal.SIGQUIT) == [0]
                assert time.monotonic() - before < 4 * SLOW


def test_quit_finishes_a_response(work):
    for kind, tag in ((StockNginx, 'peer'), (Ours, 'ours')):
        server = kind(work, GOOD, tag=f'finish-{tag}').start()
        body = os.urandom(16 << 20)
        work.write(f'{server.dir}/www/big', body)
        got = []

        def read(server=server, got=got):
            with server.connect() as client:
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
                client.send(http.request_bytes('/big', close=False))
                time.sleep(0.7)
                got.append(client.read_response())
        thread = threading.Thread(target=read)
        thread.start()
        time.sleep(0.3)
        server.stop(signal.SIGQUIT)
        thread.join()
        assert got[0].complete and got[0].body == body


def lines_of(server, name='error.log'):
    return [even(l, None).replace(server.dir, 'DIR').replace(str(server.port), 'PORT') for l in server.read(name).splitlines()]


# Lines that only one of the two can say, with the reason.
ONE_SIDED = re.compile('|'.join([
    r'built by gcc',              # a compiler is no business of the log
    r'start (worker process \d|cache)',  # workers are threads of front here; their numbers differ
    r'signal \d+ \(SIGCHLD\)',    # processes come and go differently
    r'worker process \d+ exited',
    r'exiting|gracefully shutting down|exit$',
    r'signal 29 \(SIGIO\)',
    r'open\(\) "DIR/\w+\.log" failed \(13: ',  # nginx's worker races the change of owner
    r'signal \d+ \(SIG\w+\) received from',
]))


def test_lines_of_start_reload_and_stop(work):
    logs = []
    for kind, tag in ((StockNginx, 'peer'), (Ours, 'ours')):
        server = kind(work, GOOD, tag=f'lines-{tag}').start()
        os.kill(server.pid, signal.SIGUSR1)
        wait_for(lambda s=server: 'reopening logs' in s.read('error.log'), 5)
        os.kill(server.pid, signal.SIGHUP)
        wait_for(lambda s=server: 'reconfiguring' in s.read('error.log'), 5)
        time.sleep(0.7)
        server.stop(signal.SIGTERM)
        logs.append([l for l in lines_of(server) if not ONE_SIDED.search(l)])
    for line in ('using the "epoll" event method', 'nginx/1.22.1', 'OS: Linux', 'getrlimit(RLIMIT_NOFILE)', 'start worker processes',
                 'reconfiguring', 'reopening logs'):
        assert [l for l in logs[1] if line in l], line
    assert sorted(set(logs[1])) == sorted(set(logs[0]))


@pytest.mark.parametrize('level', ['debug', 'info', 'notice', 'warn', 'error', 'crit', 'alert', 'emerg'])
def test_error_log_levels(work, level):
    """The same lines of requests at every level; debug adds nothing that is compared."""
    logs = []
    for kind, tag in ((StockNginx, 'peer'), (Ours, 'ours')):
        server = kind(work, GOOD.replace('error.log notice', f'error.log {level}').replace('listen', 'keepalive_timeout 5; listen'),
                      tag=f'level-{level}-{tag}')
        work.write(f'{server.dir}/www/index.html', 'index')
        with server:
            for path in ('/', '/missing', '/denied', '/gone', '/www%', '/index.html/x'):
                server.fetch(path)
            server.raw(b'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n')
            server.raw(b'NONSENSE\r\n\r\n')
            time.sleep(0.2)
            lines = lines_of(server)
        logs.append(sorted(l for l in lines if 'client' in l and '[debug]' not in l))
    assert logs[1] == logs[0]
    assert bool(logs[1]) == (level not in ('crit', 'alert', 'emerg'))


def test_port_in_use_is_said_as_nginx_says_it(work):
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        conf = work.write('taken.conf', GOOD.replace('@DIR@', work.path).replace('@PORT@', str(taken.getsockname()[1])))
        peer, ours = both(work, '-c', conf, '-g', 'daemon off;')
        assert ours == peer and ours[0] == 1 and 'still could not bind()' in ours[2]


def test_access_log_and_server_header(server):
    server.start()
    page = server.fetch('/missing', headers=[('User-Agent', 'probe "q"'), ('Referer', 'http://x/')])
    assert page.header('Server') == 'nginx/1.22.1' and '<center>nginx/1.22.1</center>' in page.text
    wait_for(lambda: 'probe' in server.read('access.log'), 5)
    line = server.read('access.log').splitlines()[-1]
    assert re.fullmatch(r'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET /missing HTTP/1\.1" 404 \d+ '
                        r'"http://x/" "probe \\x22q\\x22"', line), line
    assert re.search(r'^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[error\] \d+#\d+: \*\d+ open\(\) "\S+/www/missing" failed '
                     r'\(2: No such file or directory\), client: 127\.0\.0\.1, server: , request: "GET /missing HTTP/1\.1", '
                     r'host: "localhost", referrer: "http://x/"$', server.read('error.log'), re.M)


def workers_of(pid):
    """Live children of a master that serve (and are not told to finish)."""
    return [p for p, f in processes().items() if f[0] == pid and f[3] != 'Z' and 'worker process' in f[2]
            and 'shutting down' not in f[2]]


def is_gone(pid):
    return processes().get(pid, (0, 0, '', 'Z'))[3] == 'Z'


class Background:
    """A server in the background, as init scripts start it; whoever holds its pid files is ended."""

    def __init__(self, server):
        self.server = server

    def old_pid(self):
        return int(self.server.read('run.pid.oldbin').strip() or 0)

    def start(self):
        code, out, err = say(self.server)
        assert (code, out, err) == (0, '', '')
        pid = pid_in_file(self.server)
        # nginx loses a signal that comes before it waits for signals.
        wait_for(lambda: workers_of(pid), why='workers')
        return pid

    def upgrade(self, pid):
        """USR2; returns the new master once both serve."""
        os.kill(pid, signal.SIGUSR2)
        wait_for(lambda: self.old_pid() == pid and pid_in_file(self.server) not in (0, pid), why='the new master')
        new = pid_in_file(self.server)
        wait_for(lambda: workers_of(new), why="the new master's workers")
        assert processes()[new][0] == pid and workers_of(pid)
        return new

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pid in (pid_in_file(self.server), self.old_pid()):
            if pid and not is_gone(pid):
                os.kill(pid, signal.SIGTERM)
                wait_for(lambda p=pid: is_gone(p), why='the server to end')


def test_upgrade_and_rollback_under_load(server):
    """USR2, WINCH, HUP, QUIT as nginx.org tells an administrator to do it, each step on both."""
    ours = server.command == OURS
    with Background(server) as run:
        first = run.start()
        with Load(server, '/', threads=2, expect=[b'index']) as load:
            second = run.upgrade(first)
            os.kill(first, signal.SIGUSR2)
            wait_for(lambda: 'the changing binary signal is ignored: you should shutdown or terminate before either old or '
                             "new binary's process" in server.read('error.log'), why='the refusal of a third')
            os.kill(first, signal.SIGWINCH)
            wait_for(lambda: not workers_of(first), why='the old workers to finish')
            os.kill(first, signal.SIGHUP)
            wait_for(lambda: workers_of(first), why='the old workers to come back')
            os.kill(second, signal.SIGQUIT)
            wait_for(lambda: is_gone(second) and pid_in_file(server) == first, why='the rollback')
            assert not run.old_pid() and workers_of(first)
            third = run.upgrade(first)
            os.kill(first, signal.SIGWINCH)
            wait_for(lambda: not workers_of(first), why='the old workers to finish')
            os.kill(first, signal.SIGQUIT)
            wait_for(lambda: is_gone(first) and not run.old_pid(), why='the old master to end')
            assert pid_in_file(server) == third
            time.sleep(0.3)
        assert load.count > 100
        if ours:
            assert not load.failures
    log = [even(l) for l in server.read('error.log').splitlines()]
    for text in ('signal 12 (SIGUSR2) received from', 'changing binary', 'start new binary process',
                 'using inherited sockets from "', 'signal 28 (SIGWINCH) received from', 'new binary process'):
        assert [l for l in log if text in l], text


def test_a_new_binary_that_dies_gives_the_work_back(server):
    with Background(server) as run:
        first = run.start()
        second = run.upgrade(first)
        os.kill(first, signal.SIGWINCH)
        wait_for(lambda: not workers_of(first), why='the old workers to finish')
        os.kill(second, signal.SIGTERM)
        wait_for(lambda: is_gone(second) and pid_in_file(server) == first and workers_of(first), why='the old workers')
        assert server.fetch('/').text == 'index'
        # A new binary that cannot start is the same.
        good = server.read('nginx.conf')
        with open(server.nginx_conf, 'w', encoding='utf-8') as f:
            f.write(good.replace('root', 'roto'))
        lines = len(server.read('error.log'))
        os.kill(first, signal.SIGUSR2)
        wait_for(lambda: 'new binary process' in server.read('error.log')[lines:].split('start new binary process', 1)[-1],
                 why='the end of the new one')
        wait_for(lambda: pid_in_file(server) == first and not run.old_pid(), why='the pid file')
        assert server.fetch('/').text == 'index'
        with open(server.nginx_conf, 'w', encoding='utf-8') as f:
            f.write(good)


def test_in_the_foreground_usr2_and_winch_are_ignored(server):
    server.start()
    before = wait_for(lambda: workers_of(server.pid), why='workers')
    os.kill(server.pid, signal.SIGWINCH)
    os.kill(server.pid, signal.SIGUSR2)
    wait_for(lambda: 'the changing binary signal is ignored' in server.read('error.log'), why='the refusal')
    assert re.search(r'signal 28 \(SIGWINCH\) received from \d+$', server.read('error.log'), re.M)
    assert workers_of(server.pid) == before and server.fetch('/').text == 'index'
