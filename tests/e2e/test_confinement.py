"""Front and what talks to master, as if somebody had taken the process over: it can do nothing with it."""
import os
import pwd
import re
import signal
import socket

import pytest

from harness import inject, sanitizers
from harness.servers import Bulkhead, BulkheadNginx, StockFpm, descendants, wait_for
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
        listen 127.0.0.1:@PORT@;
        root @DIR@/a;
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
user = USER
listen = @DIR@/a.sock
pm = static
pm.max_children = 1
'''
confined = pytest.mark.skipif(sanitizers.KIND is not None, reason='the sanitizers\' runtime needs files and programs')
injectable = pytest.mark.skipif(not inject.SUPPORTED, reason='registers are those of x86_64')
EPERM, EACCES, ENOENT, SIGSYS = 1, 13, 2, 31


@pytest.fixture(scope='module')
def server(work):
    with users('con') as (user,):
        server = Bulkhead(work, NGINX, FPM.replace('USER', user.name))
        server.user = user
        work.write(f'{server.dir}/a/x.php', '<?php echo "php";')
        work.write(f'{server.dir}/a/x.txt', 'text')
        user.own(f'{server.dir}/a', 0o700)
        with server:
            yield server


def process(server, part):
    found = [pid for pid, facts in descendants(server.pid).items() if part in facts[2]]
    assert len(found) == 1, found
    return found[0]


def front(server):
    return process(server, 'bulkhead: front')


def status(pid):
    with open(f'/proc/{pid}/status', encoding='ascii') as f:
        return dict(line.rstrip('\n').split(':\t', 1) for line in f if ':\t' in line)


def ended(pid):
    try:
        return status(pid)['State'].startswith('Z')
    except (FileNotFoundError, ProcessLookupError):
        return True


def works(server):
    return server.fetch('/x.php').text == 'php' and server.fetch('/x.txt').text == 'text'


def back_again(server, old):
    """A new front serves; returns its pid."""
    wait_for(lambda: [p for p, f in descendants(server.pid).items() if 'bulkhead: front' in f[2] and p != old],
             40, 'a new front')
    assert works(server)
    return front(server)


def test_front_has_given_everything_up(server):
    facts = status(front(server))
    assert set(facts['Uid'].split()) != {'0'} and '0' not in facts['Groups'].split()
    assert {facts[name] for name in facts if name.startswith('Cap')} == {'0000000000000000'}
    assert (facts['NoNewPrivs'], facts['Seccomp']) == ('1', '2')


def test_every_thread_of_front_is_confined(server):
    pid = front(server)
    threads = os.listdir(f'/proc/{pid}/task')
    assert len(threads) >= 3
    for thread in threads:
        facts = status(f'{pid}/task/{thread}')
        assert (facts['NoNewPrivs'], facts['Seccomp'], facts['CapEff']) == ('1', '2', '0000000000000000')


@confined
def test_fronts_root_is_empty_and_stays_so(server):
    pid = front(server)
    assert os.listdir(f'/proc/{pid}/root/') == []
    with open(f'/proc/{pid}/mountinfo', encoding='ascii') as f:
        mounts = f.read().splitlines()
    assert len(mounts) == 1 and ' / / ro,nosuid,nodev,noexec' in mounts[0]
    with pytest.raises(OSError):
        with open(f'/proc/{pid}/root/x', 'w', encoding='ascii'):
            pass


@confined
def test_front_holds_descriptors_of_nothing_but_its_work(server):
    assert works(server)
    pid = front(server)
    allowed = (r'/dev/null|pipe:\[\d+\]|socket:\[\d+\]|anon_inode:\[?(eventfd|eventpoll|signalfd|timerfd)\]?|/memfd:.*|'
               r'.*/(error|access|out|fpm)\.log|.*/a(/x\.(txt|php))?')
    names = {os.readlink(f'/proc/{pid}/fd/{n}') for n in os.listdir(f'/proc/{pid}/fd')}
    assert [n for n in names if not re.fullmatch(allowed, n)] == []


# What, how it is called with the address of the text, and what comes of it.
CALLS = {
    'open': (2, lambda at: (at, 0, 0), '/etc/passwd'),
    'openat': (257, lambda at: (-100, at, 0, 0), '/etc/passwd'),
    'openat2': (437, lambda at: (-100, at, at, 24), '/etc/passwd'),
    'stat': (4, lambda at: (at, at), '/etc/passwd'),
    'readlink': (89, lambda at: (at, at, 10), '/proc/self/exe'),
    'chdir': (80, lambda at: (at,), '/'),
    'mkdir': (83, lambda at: (at, 0o777), '/x'),
    'unlink': (87, lambda at: (at,), '/x'),
    'kill a process': (62, lambda at: (os.getpid(), 0), ''),
    'kill itself': (62, lambda at: (-1, 0), ''),
    'tgkill': (234, lambda at: (os.getpid(), os.getpid(), 0), ''),
    'pidfd_open': (434, lambda at: (os.getpid(), 0), ''),
    'a unix socket': (41, lambda at: (socket.AF_UNIX, socket.SOCK_STREAM, 0), ''),
    'a netlink socket': (41, lambda at: (socket.AF_NETLINK, socket.SOCK_RAW, 0), ''),
    'a raw socket': (41, lambda at: (socket.AF_INET, socket.SOCK_RAW, 1), ''),
    'a process': (56, lambda at: (17, 0, 0, 0, 0), ''),
    'listen': (50, lambda at: (3, 1), ''),
    'bind': (49, lambda at: (3, at, 16), ''),
    'becoming root': (105, lambda at: (0,), ''),
    'prctl dumpable': (157, lambda at: (4, 1, 0, 0, 0), ''),
    'memfd_create': (319, lambda at: (at, 0), 'x'),
    'shmget': (29, lambda at: (1, 4096, 0o1000), ''),
}


@confined
@injectable
def test_calls_that_front_does_not_need_are_refused(server):
    with inject.Thread(front(server)) as thread:
        results = {what: thread.call(number, *arguments(thread.put(text.encode() + b'\0' * 32)))
                   for what, (number, arguments, text) in CALLS.items()}
    assert results == dict.fromkeys(CALLS, -EPERM)
    assert works(server)


@confined
@injectable
@pytest.mark.parametrize('number', [59, 322, 101, 310, 165, 272, 321, 425], ids=[
    'execve', 'execveat', 'ptrace', 'process_vm_readv', 'mount', 'unshare', 'bpf', 'io_uring_setup'])
def test_calls_that_only_an_attacker_makes_end_front(server, number):
    old = front(server)
    lines = len(server.read('error.log').splitlines())
    with inject.Thread(old) as thread:
        assert thread.call(number, thread.put(b'/bin/true\0'), 0, 0, 0, 0, 0) is None
        assert thread.ended == SIGSYS
    back_again(server, old)
    said = [line for line in server.read('error.log').splitlines()[lines:] if f'process {old} ' in line]
    assert len(said) == 1 and 'exited on signal 31' in said[0]


GARBAGE = {
    'nothing but noise': os.urandom(40),
    'an operation that is none': b'\xff\xff\0\0\0\0\0\0',
    'a message from master': (100).to_bytes(2, 'little') + b'\0\0' + (16).to_bytes(4, 'little') + b'\0' * 16,
    'the zygote\'s message': (20).to_bytes(2, 'little') + b'\1\0' + (16).to_bytes(4, 'little') + b'\0' * 16,
    'too long': (10).to_bytes(2, 'little') + b'\0\0' + (5).to_bytes(4, 'little') + b'\0' * 5,
    'a lie about its length': (10).to_bytes(2, 'little') + b'\0\0' + (4).to_bytes(4, 'little') + b'\0' * 5,
    'half a header': b'\x0a',
    'a datagram of 60 KB': b'\x0a' * 60_000,
}


def send_on(pid, number, data, fds=()):
    """As the process would: on a copy of its own descriptor."""
    with socket.socket(fileno=inject.take_descriptor(pid, number)) as channel:
        if fds:
            socket.send_fds(channel, [data], fds)
        else:
            channel.send(data)


def ends_with_one_line(server, pid):
    """Of what it did; that it ended is a line of its own."""
    wait_for(lambda: ended(pid), why='it to be ended')

    def lines():
        text = server.read('error.log') + server.read('fpm.log')
        return [line for line in text.splitlines() if re.search(fr'killed .*process {pid}\b.*: it sent ', line)]
    wait_for(lines, why='the log line')
    assert len(lines()) == 1, lines()


@pytest.mark.parametrize('what', GARBAGE)
def test_front_that_sends_garbage_to_master_dies_and_is_restarted(server, what):
    old = front(server)
    send_on(old, inject.channel_between(old, server.pid), GARBAGE[what])
    ends_with_one_line(server, old)
    back_again(server, old)


def test_front_that_sends_descriptors_to_master_dies(server):
    old = front(server)
    wake = (10).to_bytes(2, 'little') + b'\3\0' + (4).to_bytes(4, 'little') + b'\0' * 4
    before = len(os.listdir(f'/proc/{server.pid}/fd'))
    send_on(old, inject.channel_between(old, server.pid), wake, [0, 1, 2])
    ends_with_one_line(server, old)
    back_again(server, old)
    wait_for(lambda: len(os.listdir(f'/proc/{server.pid}/fd')) <= before, why='master to close what it was sent')


def test_front_that_asks_for_sites_that_are_none_is_not_answered(server):
    """Within the table: an id that no site has."""
    pid = front(server)
    number = inject.channel_between(pid, server.pid)
    for site in (0, 77, 2**31, 2**32 - 1):
        send_on(pid, number, (10).to_bytes(2, 'little') + b'\0\0' + (4).to_bytes(4, 'little') + site.to_bytes(4, 'little'))
    assert works(server) and front(server) == pid


@pytest.mark.parametrize('what', GARBAGE)
def test_a_pool_that_sends_garbage_to_master_dies_and_is_restarted(server, what):
    wait_for(lambda: works(server), why='the pool to be back')
    old = process(server, 'bulkhead: pool a')
    unharmed = front(server)
    send_on(old, inject.channel_between(old, server.pid), GARBAGE[what])
    wait_for(lambda: server.fetch('/x.php').text == 'php', why='the pool to be back')
    ends_with_one_line(server, old)
    assert front(server) == unharmed


STOCK = '''[global]
error_log = @DIR@/fpm.log
daemonize = no
[a]
user = USER
listen = @DIR@/a.sock
listen.owner = www-data
listen.mode = 0600
pm = static
pm.max_children = 8
'''
FOREIGN = '''
user www-data;
worker_processes 2;
pid @DIR@/run.pid;
error_log @DIR@/error.log;
events { }
http {
    access_log @DIR@/access.log;
    map $arg_name $sock { default NONE; a SOCKET; }
    upstream two { server unix:SOCKET; keepalive 2; }
    server {
        listen 127.0.0.1:@PORT@;
        root WWW;
        fastcgi_param SCRIPT_FILENAME $document_root/x.php;
        include @TOP@/share/conf/fastcgi_params;
        location /plain { fastcgi_pass unix:SOCKET; }
        location /kept { fastcgi_pass two; fastcgi_keep_conn on; }
        location /variable { fastcgi_pass unix:$sock; }
        location /closed { fastcgi_pass unix:@DIR@/closed.sock; }
        location /file { fastcgi_pass unix:@DIR@/nginx.conf; }
        location /link { fastcgi_pass unix:@DIR@/link.sock; }
    }
}
'''


@pytest.fixture(scope='module')
def foreign(work):
    with users('for') as (user,):
        backend = StockFpm(work, None, STOCK.replace('USER', user.name))
        work.write('www/x.php', '<?php echo "foreign ", $_SERVER["REQUEST_METHOD"], strlen(file_get_contents("php://input"));')
        user.own(work / 'www')
        server = BulkheadNginx(work, FOREIGN.replace('SOCKET', f'{backend.dir}/a.sock').replace('WWW', work / 'www').replace(
            'NONE', f'{backend.dir}/none.sock'))
        with backend, socket.socket(socket.AF_UNIX) as closed:
            closed.bind(f'{server.dir}/closed.sock')
            closed.listen(1)
            os.chmod(f'{server.dir}/closed.sock', 0o600)
            os.symlink(f'{backend.dir}/a.sock', f'{server.dir}/link.sock')
            os.chown(f'{server.dir}/link.sock', user.uid, user.gid, follow_symlinks=False)
            server.backend = backend
            with server:
                yield server


@pytest.mark.parametrize('where', ['plain', 'kept', 'variable'])
def test_a_socket_that_only_the_main_user_may_use(foreign, where):
    """Front itself could not connect: it reaches no path, and is somebody else."""
    for _ in range(5):
        assert foreign.fetch(f'/{where}?name=a').text == 'foreign GET0'
    assert foreign.fetch(f'/{where}?name=a', method='POST', body=b'x' * 300_000).text == 'foreign POST300000'


@pytest.mark.parametrize('where, why', [
    ('closed', '(13: Permission denied)'), ('variable', '(2: No such file or directory)'),
    ('file', '(111: Connection refused)'), ('link', '(40: Too many levels of symbolic links)')])
def test_sockets_that_cannot_be_had(foreign, where, why):
    mark = len(foreign.read('error.log'))
    assert foreign.fetch(f'/{where}').status == 502
    said = foreign.read('error.log')[mark:]
    assert re.search(r'\[(crit|error)\].*connect\(\) to unix:\S+ failed ' + re.escape(why) + ' while connecting to upstream', said), said


def test_who_connects_has_no_sockets_but_those(foreign):
    assert foreign.fetch('/plain').status == 200
    openers = [f for f in descendants(foreign.pid).values() if 'bulkhead: files' in f[2]]
    assert openers and {uid for _, uid, _, _ in openers} == {pwd.getpwnam('www-data').pw_uid}
    worker = [pid for pid, f in descendants(foreign.pid).items() if 'worker process' in f[2]]
    assert len(worker) == 1 and status(worker[0])['Seccomp'] == '2'


def test_the_connector_may_be_killed(foreign):
    for pid in [pid for pid, f in descendants(foreign.pid).items() if 'bulkhead: files' in f[2]]:
        os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: foreign.fetch('/plain').text == 'foreign GET0', why='the connector to be back')


LOGGING = '''
user www-data;
pid @DIR@/run.pid;
error_log @DIR@/error.log;
events { }
http {
    access_log @DIR@/main.log;
    server {
        listen 127.0.0.1:@PORT@;
        root @DIR@/a;
        access_log @DIR@/a/logs/access.log;
        access_log @DIR@/main.log;
    }
}
'''


@pytest.fixture(scope='module')
def logging(work):
    with users('log') as (user,):
        server = BulkheadNginx(work, LOGGING, tag='logging')
        server.user = user
        work.write(f'{server.dir}/a/x.txt', 'text')
        work.mkdir(f'{server.dir}/a/logs')
        user.own(f'{server.dir}/a')
        os.chmod(f'{server.dir}/a', 0o755)
        with server:
            yield server


def symbolic_link(log, victim, user):
    os.symlink(victim, log)
    os.chown(log, user.uid, user.gid, follow_symlinks=False)


def second_name(log, victim, _):
    os.link(victim, log)  # fs.protected_hardlinks = 0 lets the user do this


def pipe_nobody_reads(log, _, user):
    os.mkfifo(log)
    os.chown(log, user.uid, user.gid)


def directory(log, _, user):
    os.mkdir(log)
    os.chown(log, user.uid, user.gid)


def link_further_up(log, victim, user):
    folder = os.path.dirname(log)
    os.rename(folder, folder + '.own')
    symbolic_link(folder, os.path.dirname(victim), user)


@pytest.mark.parametrize('way', [signal.SIGUSR1, signal.SIGHUP], ids=['reopen', 'reload'])
@pytest.mark.parametrize('trap', [symbolic_link, second_name, pipe_nobody_reads, directory, link_further_up])
def test_a_site_that_owns_its_logs_directory_leads_root_nowhere(logging, work, trap, way):
    log = f'{logging.dir}/a/logs/access.log'
    victim = work.write(f'{logging.dir}/victim/access.log', 'as it was\n', 0o600)
    moved = f'{log}.{trap.__name__}.{way}'
    os.rename(log, moved)
    os.rename(f'{logging.dir}/main.log', f'{logging.dir}/main.log.{trap.__name__}.{way}')
    trap(log, victim, logging.user)
    mark = len(logging.read('error.log'))
    try:
        os.kill(logging.pid, way)
        wait_for(lambda: 'the log stays where it was' in logging.read('error.log')[mark:], why='the line about it')
        said = [line for line in logging.read('error.log')[mark:].splitlines() if 'stays where it was' in line]
        assert len(said) == 1 and f'"{log}"' in said[0] and '[emerg]' in said[0]
        # The others are rotated, and the site's lines go on where they went.
        wait_for(lambda: logging.fetch(f'/{trap.__name__}').status == 404 and trap.__name__ in logging.read('main.log'),
                 why='the other log to be a new file')
        assert os.stat(victim).st_size == len('as it was\n')
        with open(moved.replace('/logs/', '/logs.own/') if trap is link_further_up else moved, encoding='ascii') as f:
            assert f'GET /{trap.__name__} ' in f.read()
    finally:
        if trap is link_further_up:
            os.unlink(os.path.dirname(log))
            os.rename(os.path.dirname(log) + '.own', os.path.dirname(log))
        elif trap is directory:
            os.rmdir(log)
        else:
            os.unlink(log)
        mark = len(logging.read('error.log'))
        os.kill(logging.pid, signal.SIGUSR1)
        wait_for(lambda: os.path.exists(log), why='the log to be back')
    assert 'stays where it was' not in logging.read('error.log')[mark:]
