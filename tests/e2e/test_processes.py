"""Who runs as whom, and that any process may be killed at any time."""
import os
import re
import shutil
import signal
import threading
import time

import pytest

from harness import servers
from harness.servers import SLOW, Bulkhead, processes, wait_for
from harness.users import users

NGINX = '''
user www-data;
worker_processes 2;
pid @DIR@/run.pid;
error_log @DIR@/error.log;
events { }
http {
    access_log @DIR@/access.log;
    server {
        listen 127.0.0.1:@PORT@ default_server;
        server_name a.example;
        root @DIR@/a;
        location ~ \\.php$ {
            fastcgi_pass unix:@DIR@/a.sock;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            include @TOP@/share/conf/fastcgi_params;
        }
    }
    server {
        listen 127.0.0.1:@PORT@;
        server_name b.example;
        root @DIR@/b;
        location ~ \\.php$ {
            fastcgi_pass unix:@DIR@/b.sock;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            include @TOP@/share/conf/fastcgi_params;
        }
    }
    server {
        listen 127.0.0.1:@PORT@;
        server_name static.example;
        root @DIR@/static;
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
[b]
user = {b}
listen = @DIR@/b.sock
pm = ondemand
pm.max_children = 3
pm.process_idle_timeout = 1s
'''
SCRIPTS = {
    'pid.php': '<?php echo getmypid();',
    'sleep.php': '<?php echo "x"; flush(); sleep((int)$_GET["s"]); echo getmypid();',
    'kill.php': '<?php posix_kill(getmypid(), SIGKILL);',
    'cached.php': '<?php foreach (opcache_get_status()["scripts"] as $p => $_) echo $p, "\\n";',
    'maps.php': '<?php header("Content-Type: text/plain"); readfile("/proc/self/maps");',
    'fds.php': '<?php foreach (glob("/proc/self/fd/*") as $f) echo @readlink($f), "\\n";',
    'page.txt': 'static text',
}


@pytest.fixture(scope='module')
def server(work):
    with users('a', 'b') as (a, b):
        server = Bulkhead(work, NGINX, FPM.format(a=a.name, b=b.name))
        server.a, server.b = a, b
        old = time.time() - 60
        for owner, folder in ((a, 'a'), (b, 'b')):
            for name, text in SCRIPTS.items():
                os.utime(work.write(f'{server.dir}/{folder}/{name}', text), (old, old))
            owner.own(f'{server.dir}/{folder}', 0o700)
        work.write(f'{server.dir}/static/page.txt', 'public text')
        with server:
            yield server


def title(server, text):
    """pids of the server's processes whose title matches."""
    return sorted(p for p, facts in server.descendants().items() if re.search(text, facts[2]))


def works(server):
    return all(server.fetch('/pid.php', host=h).status == 200 for h in ('a.example', 'b.example'))


def test_static_pool_has_its_workers_before_the_first_request(server):
    wait_for(lambda: len(title(server, 'pool a')) == 3, why='the supervisor and two workers')
    pools = [f for f in server.descendants().values() if 'pool a' in f[2]]
    assert {f[1] for f in pools} == {server.a.uid}


def test_ondemand_pool_comes_with_a_request_and_its_workers_go_again(server):
    assert server.fetch('/pid.php', host='b.example').text.isdigit()
    pools = [f for f in server.descendants().values() if 'pool b' in f[2]]
    assert pools and {f[1] for f in pools} == {server.b.uid}
    wait_for(lambda: len(title(server, 'pool b')) <= 1, 10, 'idle workers to end')


def test_front_is_not_root(server):
    front, = title(server, 'front|worker process')
    assert processes()[front][1] != 0


def test_files_of_a_private_root_are_served(server):
    assert os.stat(f'{server.dir}/a').st_mode & 0o777 == 0o700
    assert server.fetch('/page.txt', host='a.example').text == 'static text'
    assert server.fetch('/page.txt', host='static.example').text == 'public text'


def test_each_pool_sees_only_its_own_scripts_in_opcache(server):
    for host, folder in (('a.example', 'a'), ('b.example', 'b')):
        server.fetch('/pid.php', host=host)
        seen = server.fetch('/cached.php', host=host).text.split()
        assert f'{server.dir}/{folder}/pid.php' in seen
        assert all(path.startswith(f'{server.dir}/{folder}/') for path in seen)


def test_a_worker_holds_no_shared_memory_but_its_own_sites(server):
    def shared(host):
        lines = server.fetch('/maps.php', host=host).text.splitlines()
        return {l.split()[4] for l in lines if re.match(r'\S+ .w.s', l)}
    a, b = shared('a.example'), shared('b.example')
    assert a and b and not (a & b), 'the same inode is mapped shared and writable in two sites'


def test_a_worker_inherits_no_log_or_listening_socket(server):
    names = server.fetch('/fds.php', host='a.example').text
    assert 'error.log' not in names and 'access.log' not in names and 'fpm.log' not in names


def test_killed_worker_costs_its_own_request_only(server):
    results = []
    other = threading.Thread(target=lambda: results.append(server.fetch('/sleep.php?s=1', host='a.example')))
    other.start()
    time.sleep(0.3)
    assert server.fetch('/kill.php', host='a.example').status == 502
    other.join()
    assert results[0].status == 200 and results[0].complete
    wait_for(lambda: len(title(server, 'pool a')) == 3, why='the worker to be replaced')
    assert works(server)


def test_worker_killed_in_the_middle_of_a_body_cuts_only_that_response(server):
    with server.connect() as c:
        c.send(b'GET /sleep.php?s=20 HTTP/1.1\r\nHost: a.example\r\n\r\n')
        time.sleep(0.5)
        for pid in title(server, 'pool a')[1:]:
            os.kill(pid, signal.SIGKILL)
        response = c.read_response()
        assert response is None or response.status == 502 or not response.complete
    assert wait_for(lambda: works(server))


@pytest.mark.parametrize('who', ['front|worker process', 'zygote', 'pool a', 'pool b', 'bulkhead-files|files'])
def test_killed_process_comes_back(server, who):
    server.fetch('/pid.php', host='b.example')
    server.fetch('/page.txt', host='static.example')
    victims = title(server, who)
    assert victims, f'no process titled {who}'
    os.kill(victims[0], signal.SIGKILL)  # of a pool: the supervisor, its first process

    def again():
        try:
            return works(server) and server.fetch('/page.txt', host='static.example').status == 200
        except (AssertionError, OSError):
            return False
    wait_for(again, 15, f'service after kill -9 of {who}')
    if who in ('front|worker process', 'zygote'):
        wait_for(lambda: (title(server, who) or victims)[0] != victims[0], why=f'a new {who}')


@pytest.mark.parametrize('pool', ['a', 'b'])
def test_requests_wait_for_a_pool_that_is_killed_again_and_again(server, pool):
    host = f'{pool}.example'
    for _ in range(5):
        assert server.fetch('/pid.php', host=host).status == 200
        victims = title(server, f'pool {pool}')
        for pid in reversed(victims):  # the supervisor last: it would replace them
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_for(lambda: not set(victims) & set(title(server, f'pool {pool}')), why='all of the pool to be gone')
        before = time.monotonic()
        assert server.fetch('/pid.php', host=host).status == 200, 'it had not begun: it waits'
        assert time.monotonic() - before < 1 * SLOW


def test_listening_sockets_stay_open_while_front_is_replaced(server):
    front, = title(server, 'front|worker process')
    os.kill(front, signal.SIGKILL)
    # No connection is refused: it waits in the backlog for the next front.
    for _ in range(20):
        assert server.fetch('/page.txt', host='static.example').status == 200
        time.sleep(0.02 * SLOW)


def test_term_to_front_is_survived(server):
    front, = title(server, 'front|worker process')
    os.kill(front, signal.SIGTERM)
    wait_for(lambda: server.fetch('/page.txt', host='static.example').status == 200)


def test_killed_master_leaves_nothing_behind(work):
    with users('m') as (m,):
        server = Bulkhead(work, NGINX, FPM.format(a=m.name, b=m.name), tag='killed')
        for folder in 'ab':
            work.write(f'{server.dir}/{folder}/pid.php', SCRIPTS['pid.php'])
        server.start()
        assert works(server)
        before = server.descendants()
        os.kill(server.pid, signal.SIGKILL)
        server.processes[0].wait()

        def left():
            now = processes()
            return [p for p, f in before.items() if p in now and now[p][2] == f[2] and now[p][3] != 'Z']
        wait_for(lambda: not left(), 10, 'children of a killed master to end')
        server.processes = []
        server.start()  # the sockets and pid file it left are no obstacle
        assert works(server)
        server.stop()


def test_programs_may_lie_anywhere(work):
    """Also in a directory that only root may enter: neither modes nor Landlock stop a site's processes there."""
    def copy(source, target):
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)
    programs = shutil.copytree(servers.BIN, work / 'programs', symlinks=True, copy_function=copy)
    os.chmod(programs, 0o700)
    with users('any') as (site,):
        server = Bulkhead(work, NGINX, FPM.format(a=site.name, b=site.name), tag='anywhere')
        server.bin = programs
        for folder in 'ab':
            work.write(f'{server.dir}/{folder}/pid.php', SCRIPTS['pid.php'])
        work.write(f'{server.dir}/static/page.txt', 'public text')
        with server:
            assert works(server)
            assert server.fetch('/page.txt', host='static.example').text == 'public text'
