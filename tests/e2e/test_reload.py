"""Reload by difference: nothing is lost, nobody else is touched, a bad file changes nothing."""
import os
import re
import signal
import subprocess
import time

import pytest

from harness import sanitizers
from harness.load import Load
from harness.servers import BIN, ECHO_PID, Bulkhead, processes, wait_for
from harness.users import users

SITE = '''
    server {{
        listen 127.0.0.1:@PORT@;
        server_name {name}.example;
        root @DIR@/{name};
        add_header X-Version {version};
        location ~ \\.php$ {{
            fastcgi_pass unix:@DIR@/{name}.sock;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            include @TOP@/share/conf/fastcgi_params;
        }}
    }}
'''
NGINX = '''
user www-data;
worker_processes 2;
pid @DIR@/run.pid;
error_log @DIR@/error.log notice;
events { }
http {
    access_log @DIR@/access.log;
    include @DIR@/sites/*.conf;
}
'''
POOL = '''[{name}]
user = {user}
listen = @DIR@/{name}.sock
pm = {pm}
pm.max_children = {children}
php_admin_value[memory_limit] = {memory}
'''
FPM = '''[global]
error_log = @DIR@/fpm.log
include = @DIR@/pools/*.conf
'''


class Sites(Bulkhead):
    """A server whose sites are written file by file."""

    def site(self, name, user, version=1, pm='static', children=2, memory='64M'):
        self.save(f'sites/{name}.conf', SITE.format(name=name, version=version))
        self.save(f'pools/{name}.conf', POOL.format(name=name, user=user.name, pm=pm, children=children, memory=memory))
        for script, text in (('pid.php', '<?php ' + ECHO_PID), ('mem.php', '<?php echo ini_get("memory_limit");'),
                             ('one.php', '<?php echo "one";'), ('slow.php', '<?php sleep(2); echo "slow";'),
                             ('hits.php', '<?php echo opcache_get_status()["opcache_statistics"]["misses"];')):
            self.work.write(f'{self.dir}/{name}/{script}', text)
            os.utime(f'{self.dir}/{name}/{script}', (time.time() - 60,) * 2)

    def reload(self):
        lines = len(self.read('error.log').splitlines())
        os.kill(self.pid, signal.SIGHUP)
        return lines

    def version(self, name):
        return self.fetch('/one.php', host=f'{name}.example').header('X-Version')

    def workers(self, name):
        return {p for p, f in self.descendants().items() if f'pool {name}' in f[2]}


@pytest.fixture(scope='module')
def server(work):
    with users('a', 'b', 'c') as made:
        server = Sites(work, NGINX, FPM)
        server.users = made
        server.site('a', made[0])
        server.site('b', made[1])
        with server:
            yield server


def test_reload_under_load_loses_no_request(server):
    with Load(server, '/one.php', 'a.example', expect=[b'one']) as php, \
            Load(server, '/one.php', 'b.example', threads=2, expect=[b'one']) as other:
        for version in range(2, 8):
            server.site('a', server.users[0], version=version)
            server.reload()
            wait_for(lambda v=version: server.version('a') == str(v), why='the new configuration')
    assert not php.failures and not other.failures
    assert php.count > 100


def test_neighbour_keeps_its_workers_and_its_cached_scripts(server):
    before, misses = server.workers('b'), server.fetch('/hits.php', host='b.example').text
    server.site('a', server.users[0], version=20, memory='96M')
    server.reload()
    wait_for(lambda: server.fetch('/mem.php', host='a.example').text == '96M', why='the new pool')
    assert server.workers('b') == before
    assert server.fetch('/hits.php', host='b.example').text == misses


def test_a_changed_pool_is_replaced_without_losing_a_request(server):
    with Load(server, '/one.php', 'a.example', expect=[b'one']) as load:
        for memory in ('70M', '71M', '72M'):
            server.site('a', server.users[0], memory=memory)
            server.reload()
            wait_for(lambda m=memory: server.fetch('/mem.php', host='a.example').text == m, why='the new pool')
    assert not load.failures


def test_only_numbers_changed_resizes_without_restart(server):
    server.site('b', server.users[1], children=2)
    server.reload()
    time.sleep(0.5)
    before = server.workers('b')
    server.site('b', server.users[1], children=4)
    server.reload()
    wait_for(lambda: len(server.workers('b')) == 5, why='four workers')
    assert before <= server.workers('b')


def test_a_new_site_is_served_and_a_removed_one_is_not(server):
    server.site('c', server.users[2])
    server.reload()
    wait_for(lambda: server.fetch('/one.php', host='c.example').header('X-Version') == '1', why='site c')
    pids = server.fetch('/pid.php', host='c.example').text
    assert pids.isdigit()
    os.unlink(f'{server.dir}/sites/c.conf')
    os.unlink(f'{server.dir}/pools/c.conf')
    server.reload()
    wait_for(lambda: not server.workers('c'), why='the workers of c to end')
    assert server.fetch('/one.php', host='a.example').text == 'one'


def test_more_logs_than_one_message_carries(server):
    """Sites with logs of their own, a few at a time: their number goes through the limits of a message (64, 96, 192)."""
    master = server.pid
    names = []
    try:
        for count in (15, 14, 13, 12, 11, 40):
            for _ in range(count):
                name = f'logs{len(names)}'
                names.append(name)
                server.save(f'sites/{name}.conf', f'server {{ listen 127.0.0.1:@PORT@; server_name {name}.example; '
                            f'access_log @DIR@/{name}.access; error_log @DIR@/{name}.error; return 200 {name}; }}')
            server.reload()
            wait_for(lambda: server.fetch('/', host=f'{names[-1]}.example').text == names[-1], why=f'{len(names)} sites')
            wait_for(lambda: os.path.getsize(f'{server.dir}/{names[-1]}.access') > 0, why='its log')
            assert server.pid == master and server.fetch('/one.php', host='a.example').text == 'one'
    finally:
        for name in names:
            os.unlink(f'{server.dir}/sites/{name}.conf')
        server.reload()
    wait_for(lambda: server.fetch('/', host=f'{names[0]}.example').text != names[0], why='them to go')
    # Their root is nginx's default in /usr, which others then may not see: so the others began anew, twice.
    wait_for(lambda: (len(server.workers('a')), len(server.workers('b'))) == (3, 5), why='older pools to end')


@pytest.mark.parametrize('file, text, message', [
    ('sites/bad.conf', 'server {\n  no_such_directive on;\n}\n', r'unknown directive "no_such_directive" in \S+/sites/bad\.conf:2'),
    ('sites/bad.conf', 'server {\n  listen 127.0.0.1:@PORT@\n}\n', r'in \S+/sites/bad\.conf:3'),
    ('pools/bad.conf', '[bad]\nuser = nobody\nlisten = @DIR@/bad.sock\npm = static\n', r'pm\.max_children must be a positive value'),
    ('pools/bad.conf', '[bad]\nno.such = 1\n', r"unknown entry 'no\.such'"),
    ('pools/bad.conf', '[bad]\nuser = no-such-user\nlisten = @DIR@/bad.sock\npm = static\npm.max_children = 1\n', r'no-such-user'),
])
def test_an_error_changes_nothing_and_is_named(server, file, text, message):
    workers = server.workers('a'), server.workers('b')
    server.site('a', server.users[0], version=99)
    server.save(file, text)
    try:
        os.kill(server.pid, signal.SIGHUP)
        wait_for(lambda: re.search(message, server.read('error.log') + server.read('fpm.log') + server.read('out.log')),
                 why='the error')
        time.sleep(0.3)
        assert server.version('a') != '99'
        assert (server.workers('a'), server.workers('b')) == workers
    finally:
        os.unlink(f'{server.dir}/{file}')
        server.site('a', server.users[0])
        server.reload()
        wait_for(lambda: server.version('a') == '1' and server.fetch('/mem.php', host='a.example').text == '64M')
        wait_for(lambda: len(server.workers('a')) == 3, why='the old pool to end')  # supervisor, two workers


def test_a_running_request_outlives_the_reload(server):
    with server.connect() as c:
        c.send(b'GET /slow.php HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n')
        time.sleep(0.3)
        server.site('a', server.users[0], memory='80M')
        server.reload()
        response = c.read_response()
    assert response.status == 200 and response.text == 'slow'


def test_usr1_reopens_logs(server):
    for name in ('access.log', 'error.log', 'fpm.log'):
        os.rename(f'{server.dir}/{name}', f'{server.dir}/{name}.1')
    os.kill(server.pid, signal.SIGUSR1)
    wait_for(lambda: all(os.path.exists(f'{server.dir}/{n}') for n in ('access.log', 'error.log', 'fpm.log')))
    time.sleep(0.2)
    server.fetch('/one.php?reopened', host='a.example')
    wait_for(lambda: 'reopened' in server.read('access.log'), why='a line in the new log')
    assert 'reopened' not in server.read('access.log.1')


def test_commands_reload_and_test(server):
    server.site('a', server.users[0], version=31)
    arguments = ['--nginx', server.nginx_conf, '--fpm', server.fpm_conf]
    done = subprocess.run([f'{BIN}/bulkhead', 'test', *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    done = subprocess.run([f'{BIN}/bulkhead', 'reload', *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    wait_for(lambda: server.version('a') == '31')
    done = subprocess.run([f'{BIN}/bulkhead', 'status', *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and 'a' in done.stdout


def test_quit_finishes_requests_and_ends(work):
    with users('q') as (q,):
        server = Sites(work, NGINX, FPM, tag='quit')
        server.site('a', q)
        server.start()
        with server.connect() as c:
            c.send(b'GET /slow.php HTTP/1.1\r\nHost: a.example\r\n\r\n')
            time.sleep(0.4)
            os.kill(server.pid, signal.SIGQUIT)
            response = c.read_response()
        assert response.status == 200 and response.text == 'slow'
        assert server.processes[0].wait(15) == 0
        server.processes = []


def access(path):
    """Owner, group, mode and ACL entries of named users and groups."""
    info = os.stat(path, follow_symlinks=False)
    acl = subprocess.run(['getfacl', '-cn', path], capture_output=True, text=True, check=True).stdout
    return (info.st_uid, info.st_gid, info.st_mode & 0o777), sorted(re.findall(r'^(?:user|group):\d+:rw-', acl, re.M))


def test_a_socket_that_stays_open_gets_its_new_owner_and_mode(server):
    a, b = server.users[0], server.users[1]
    path = f'{server.dir}/a.sock'
    inode = os.stat(path).st_ino

    def change(settings, expected, acl=()):
        server.site('a', a)
        server.save('pools/a.conf', server.read('pools/a.conf') + settings)
        server.reload()
        wait_for(lambda: access(path) == (expected, sorted(acl)), 5, f'{settings!r}: {access(path)}')
        assert os.stat(path).st_ino == inode, 'the same socket'
    change(f'listen.owner = {a.name}\nlisten.group = {b.name}\nlisten.mode = 0600\n', (a.uid, b.gid, 0o600))
    change(f'listen.owner = {b.name}\nlisten.mode = 0666\n', (b.uid, 0, 0o666))
    change(f'listen.acl_users = {a.name}\nlisten.acl_groups = {b.name}\n', (0, 0, 0o660), [f'user:{a.uid}:rw-', f'group:{b.gid}:rw-'])
    change('listen.mode = 0640\n', (0, 0, 0o640))
    change('', (0, 0, 0o660))


def test_a_replaced_socket_file_changes_nothing_elsewhere(server):
    """Whoever may write the socket's folder may put a link in its place: root must not follow it."""
    a = server.users[0]
    path, victim = f'{server.dir}/a.sock', server.work.write(f'{server.dir}/victim', 'secret', 0o600)
    os.rename(path, path + '.moved')
    os.symlink(victim, path)
    try:
        server.site('a', a)
        server.save('pools/a.conf', server.read('pools/a.conf') + f'listen.owner = {a.name}\nlisten.mode = 0666\n')
        server.reload()
        wait_for(lambda: access(path + '.moved') == ((a.uid, 0, 0o666), []), 5, 'the socket itself to be changed')
        assert access(victim) == ((0, 0, 0o600), []) and os.stat(path, follow_symlinks=False).st_uid == 0
    finally:
        os.unlink(path)
        os.rename(path + '.moved', path)
        server.site('a', a)
        server.reload()
        wait_for(lambda: access(path)[0] == (0, 0, 0o660), 5)


def fronts(server):
    return [p for p, f in server.descendants().items() if re.search('front|worker process', f[2])]


def loops(server):
    """Event loops of the one front there is; 0 while there are two or it ends."""
    found = fronts(server)
    if len(found) != 1:
        return 0
    try:
        with open(f'/proc/{found[0]}/status', encoding='ascii') as f:
            threads = int(re.search(r'^Threads:\s+(\d+)', f.read(), re.M)[1])
            return threads - 1 - (sanitizers.KIND == 'tsan')  # the control thread, ThreadSanitizer's own
    except FileNotFoundError:
        return 0  # it ended just now


def settings(server, old, new):
    with open(server.nginx_conf, encoding='utf-8') as f:
        text = f.read()
    assert old in text
    with open(server.nginx_conf, 'w', encoding='utf-8') as f:
        f.write(text.replace(old, new))


def test_changed_worker_processes_take_effect_under_load(server):
    assert loops(server) == 2
    old = 'worker_processes 2;'
    with Load(server, '/one.php', 'a.example', expect=[b'one']) as php, \
            Load(server, '/one.php', 'b.example', threads=2, expect=[b'one']) as other:
        for number in (4, 1, 3, 2):
            new = f'worker_processes {number};'
            settings(server, old, new)
            old = new
            server.reload()
            wait_for(lambda n=number: loops(server) == n, why=f'{number} loops: {fronts(server)}')
    assert not php.failures and not other.failures
    assert php.count > 100


def test_requests_begun_before_front_is_replaced_are_finished(server):
    """Also one whose site the old front has not needed before, and one whose head comes later."""
    server.site('c', server.users[2], pm='ondemand')
    server.reload()
    wait_for(lambda: os.path.exists(f'{server.dir}/c.sock'), why='site c')
    assert not server.workers('c')
    before = fronts(server)
    with server.connect() as slow, server.connect() as upload, server.connect() as silent:
        slow.send(b'GET /slow.php HTTP/1.1\r\nHost: a.example\r\n\r\n')
        upload.send(b'POST /one.php HTTP/1.1\r\nHost: c.example\r\nContent-Length: 6\r\n\r\nabc')
        time.sleep(0.3)
        settings(server, 'worker_processes 2;', 'worker_processes 3;')
        server.reload()
        wait_for(lambda: len(fronts(server)) == 2, why='a second front')
        wait_for(lambda: [f for f in server.descendants().values() if 'is shutting down' in f[2]], why='the old one to know')
        upload.send(b'def')
        assert upload.read_response().text == 'one'
        silent.send(b'GET /one.php HTTP/1.1\r\nHost: a.example\r\n\r\n')
        assert silent.read_response().text == 'one'
        assert slow.read_response().text == 'slow'
    wait_for(lambda: loops(server) == 3 and before[0] not in fronts(server), why='the old front to end')
    settings(server, 'worker_processes 3;', 'worker_processes 2;')
    os.unlink(f'{server.dir}/sites/c.conf')
    os.unlink(f'{server.dir}/pools/c.conf')
    server.reload()
    wait_for(lambda: loops(server) == 2 and not server.workers('c'))


def test_front_leaves_a_user_that_a_pool_gets(server):
    """A pool of front's own user could stop front: after the reload front is somebody else."""
    def users_of_front():
        return [f[1] for f in server.descendants().values() if re.search('front|worker process', f[2])]
    before, = users_of_front()
    server.site('c', server.users[2])
    server.save('pools/c.conf', POOL.format(name='c', user=before, pm='ondemand', children=1, memory='64M'))
    with Load(server, '/one.php', 'a.example', expect=[b'one']) as load:
        server.reload()
        wait_for(lambda: len(users_of_front()) == 1 and before not in users_of_front(), why='front as another user')
    assert not load.failures
    assert server.fetch('/one.php', host='c.example').text == 'one'
    after = users_of_front()
    os.unlink(f'{server.dir}/sites/c.conf')
    os.unlink(f'{server.dir}/pools/c.conf')
    server.reload()
    wait_for(lambda: not server.workers('c'))
    assert users_of_front() == after, 'nobody is replaced without need'


def test_changed_php_ini_takes_effect_and_a_running_request_does_not_notice(work):
    """With a fresh PHP: the pools follow one after another, nothing is lost, an equal file changes nothing."""
    with users('i') as (user,):
        server = Sites(work, NGINX, FPM, tag='ini')
        server.site('a', user)
        work.write(f'{server.dir}/a/ini.php', '<?php echo ini_get("precision");')
        server.save('conf.d/90-test.ini', 'precision = 7\n')
        plain = server.spawn
        server.spawn = lambda command: plain(command, env={
            **os.environ, 'PHP_INI_SCAN_DIR': f'/etc/php/8.2/fpm/conf.d:{server.dir}/conf.d'})

        def precision():
            return server.fetch('/ini.php', host='a.example').text

        def zygotes():
            return [p for p, f in server.descendants().items() if 'zygote' in f[2]]
        with server:
            assert precision() == '7'
            php, workers = zygotes(), server.workers('a')
            server.reload()
            time.sleep(0.5)
            assert zygotes() == php and server.workers('a') == workers
            with Load(server, '/one.php', 'a.example', expect=[b'one']) as load, server.connect() as slow:
                slow.send(b'GET /slow.php HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n')
                time.sleep(0.3)
                server.save('conf.d/90-test.ini', 'precision = 12\n')
                server.reload()
                wait_for(lambda: precision() == '12', why='the new setting')
                assert slow.read_response().text == 'slow'
            assert not load.failures and load.count > 50
            wait_for(lambda: len(zygotes()) == 1 and zygotes() != php, why='the old PHP to end')
            wait_for(lambda: not workers & server.workers('a'), why='the old pool to end')
            # PHP can be killed afterwards, too.
            os.kill(zygotes()[0], signal.SIGKILL)
            wait_for(lambda: len(zygotes()) == 1 and precision() == '12')


def test_the_program_is_replaced_under_load_without_losing_a_request(work):
    """USR2 to `bulkhead serve`, then QUIT to the old one; and back again when the new one is ended."""
    with users('u') as (user,):
        server = Sites(work, NGINX, FPM, tag='upgrade')
        server.site('a', user)
        started = []

        def pid_file(name):
            return int(server.read(name).strip() or 0)

        def upgrade(old):
            os.kill(old, signal.SIGUSR2)
            wait_for(lambda: pid_file('run.pid') not in (0, old) and pid_file('run.pid.oldbin') == old, why='the new program')
            started.append(pid_file('run.pid'))
            return started[-1]

        def gone(pid):
            return processes().get(pid, (0, 0, '', 'Z'))[3] == 'Z'
        server.start()
        try:
            first = server.pid
            with Load(server, '/one.php', 'a.example', expect=[b'one']) as load, server.connect() as slow:
                # Answered once, so it is the first one's: an open socket may be accepted by either.
                slow.send(b'GET /one.php HTTP/1.1\r\nHost: a.example\r\n\r\n')
                assert slow.read_response().text == 'one'
                second = upgrade(first)
                os.kill(second, signal.SIGTERM)
                wait_for(lambda: gone(second) and pid_file('run.pid') == first, why='the old one to take over again')
                assert os.path.exists(f'{server.dir}/a.sock')
                slow.send(b'GET /slow.php HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n')
                third = upgrade(first)
                os.kill(first, signal.SIGQUIT)
                answer = slow.read_response()
                assert answer and answer.text == 'slow', server.read('error.log')[-2000:]
                wait_for(lambda: gone(first), why='the old one to end')
                assert pid_file('run.pid') == third and not os.path.exists(f'{server.dir}/run.pid.oldbin')
                time.sleep(0.3)
            assert not load.failures and load.count > 50
            assert os.path.exists(f'{server.dir}/a.sock') and server.fetch('/one.php', host='a.example').text == 'one'
            arguments = ['--nginx', server.nginx_conf, '--fpm', server.fpm_conf]
            done = subprocess.run([f'{BIN}/bulkhead', 'status', *arguments], capture_output=True, text=True, check=False)
            assert done.returncode == 0 and f'pid {third}' in done.stdout
        finally:
            server.stop()
            for pid in started:
                if not gone(pid):
                    os.kill(pid, signal.SIGTERM)
                    wait_for(lambda p=pid: gone(p), why='the new program to end')
        assert not os.path.exists(f'{server.dir}/a.sock') and not os.path.exists(f'{server.dir}/run.pid')


def test_a_pool_takes_one_descriptor_of_master_and_front_after_reloads_too(work):
    """Ten thousand pools have to do with a limit of twenty thousand descriptors."""
    pools = 100

    def held(pid):
        return [os.readlink(f'/proc/{pid}/fd/{fd}') for fd in os.listdir(f'/proc/{pid}/fd')]

    with users('m') as (user,):
        server = Sites(work, NGINX, FPM, tag='many')
        for number in range(pools):
            server.site(f'p{number}', user, pm='ondemand')
        with server:
            assert server.fetch('/one.php', host='p7.example').text == 'one'
            assert not [name for name in held(server.pid) if name.endswith('.sock')]
            for version in (2, 3, 4):
                server.site('p7', user, version=version, pm='ondemand')
                server.reload()
                wait_for(lambda v=version: server.version('p7') == str(v), why='the new configuration')
                time.sleep(0.3)  # the loops let go of the configuration before
                for pid in (server.pid, *fronts(server)):
                    assert len([name for name in held(pid) if name.startswith('socket:')]) < 1.5 * pools
