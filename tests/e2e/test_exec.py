"""`bulkhead exec`: commands inside a site's sandbox, as its user, with status, signals and terminal passed on."""
import contextlib
import fcntl
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import termios
import time

import pytest

from harness.sanitizers import SLOW
from harness.servers import BIN, Bulkhead, descendants, processes, wait_for
from harness.users import users

NGINX = '''
user www-data;
worker_processes 1;
pid @DIR@/run.pid;
error_log @DIR@/error.log;
events { }
http {
    access_log off;
    server {
        listen 127.0.0.1:@PORT@;
        server_name one.example www.one.example *.one.test;
        root {w}/one;
        location ~ \\.php$ {
            fastcgi_pass unix:@DIR@/one.sock;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            include @TOP@/share/conf/fastcgi_params;
        }
    }
    server {
        listen 127.0.0.1:@PORT@;
        server_name two.example;
        root {w}/two;
        location ~ \\.php$ {
            fastcgi_pass unix:@DIR@/two.sock;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            include @TOP@/share/conf/fastcgi_params;
        }
    }
    server {
        listen 127.0.0.1:@PORT@;
        server_name plain.example;
        root {w}/plain;
    }
}
'''
FPM = '''[global]
error_log = @DIR@/fpm.log
[one]
user = {one}
listen = @DIR@/one.sock
pm = ondemand
pm.max_children = 2
idle_timeout = 1s
chdir = {w}/one
env[SITE_COLOUR] = green
env[PATH] = {w}/one/bin:/usr/bin:/bin
[two]
user = {two}
listen = @DIR@/two.sock
pm = static
pm.max_children = 1
[broken]
user = {two}
listen = @DIR@/broken.sock
pm = ondemand
pm.max_children = 1
chdir = {w}/two/gone
'''


class Site:
    """A server with two sites, and a way to run commands in them."""

    def __init__(self, server, one, two):
        self.server, self.one, self.two = server, one, two
        self.control = os.path.join(server.dir, 'run.ctl')

    def line(self, *words):
        return [os.path.join(BIN, 'bulkhead'), 'exec', '--control', self.control, *words]

    def run(self, *words, **kwargs):
        kwargs.setdefault('stdin', subprocess.DEVNULL)
        return subprocess.run(self.line(*words), capture_output=True, text=True, check=False,
                              timeout=60 * SLOW, **kwargs)

    @contextlib.contextmanager
    def running(self, *words, **kwargs):
        kwargs.setdefault('stdin', subprocess.DEVNULL)
        process = subprocess.Popen(self.line(*words), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs)
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def pool(self, name):
        """pid of the supervisor of a pool, or None while it sleeps."""
        found = [pid for pid, facts in self.server.descendants().items() if facts[2] == f'bulkhead: pool {name}']
        return found[0] if found else None

    def processes_named(self, mark):
        return [pid for pid, facts in self.server.descendants().items() if mark in facts[2]]


@pytest.fixture(scope='module')
def people():
    with users('one', 'two', 'three') as made:
        yield made


@pytest.fixture(scope='module')
def site(work, people):
    one, two, _ = people
    for name, owner in (('one', one), ('two', two), ('plain', None)):
        folder = work.mkdir(name)
        work.write(f'{name}/index.html', f'of {name}')
        if owner:
            owner.own(folder)
    work.mkdir('two/gone', 0o700)  # not for the site's user: [broken] cannot start there
    fill = {'{w}': work.path, '{one}': one.name, '{two}': two.name}
    texts = []
    for text in (NGINX, FPM):
        for key, value in fill.items():
            text = text.replace(key, value)
        texts.append(text)
    with Bulkhead(work, *texts) as server:
        yield Site(server, one, two)


def test_runs_as_the_sites_user_and_groups(site):
    done = site.run('one', '--', 'sh', '-c', 'id -u; id -g; id -G')
    assert done.stderr == '' and done.returncode == 0
    assert done.stdout.split() == [str(site.one.uid), str(site.one.gid), str(site.one.gid)]


def test_a_server_name_is_as_good_as_the_pools_name(site):
    for name in ('one.example', 'WWW.one.example', '*.one.test', 'one'):
        assert site.run(name, 'id', '-u').stdout.strip() == str(site.one.uid), name
    assert site.run('two.example', 'id', '-u').stdout.strip() == str(site.two.uid)


def test_streams_pass_bytes_both_ways(site):
    data = os.urandom(3_000_000)
    done = subprocess.run(site.line('one', '--', 'sh', '-c', 'cat; echo aside >&2; exit 3'), input=data,
                          capture_output=True, check=False, timeout=60 * SLOW)
    assert done.stdout == data and done.stderr == b'aside\n' and done.returncode == 3


@pytest.mark.parametrize('command, code', [
    (['true'], 0), (['sh', '-c', 'exit 77'], 77), (['sh', '-c', 'kill -KILL $$'], 137),
    (['sh', '-c', 'kill -TERM $$'], 143), (['there-is-no-such-command'], 127), (['/etc/passwd'], 126)])
def test_exit_status_is_the_commands(site, command, code):
    done = site.run('one', '--', *command)
    assert done.returncode == code, done.stderr
    if code in (126, 127):
        assert done.stderr.startswith(f'bulkhead exec: cannot run "{command[0]}": ')


def test_words_arrive_as_they_are(site):
    words = ['', ' ', '--', '-x', 'a\nb', '$HOME', 'ü', '*']
    done = site.run('one', '--', 'printf', '[%s]', *words)
    assert done.stdout == ''.join(f'[{w}]' for w in words)


def test_environment_is_clean_but_for_the_pools_and_what_is_asked_for(site):
    env = dict(os.environ, LANG='C.UTF-8', SECRET_OF_ROOT='1', TAKEN='yes', LD_PRELOAD='')
    env.pop('LC_ALL', None)
    done = site.run('-e', 'TAKEN', '--env', 'MADE=up=1', '--env=Y=2', 'one', '--', 'env', '-0', env=env)
    got = dict(entry.split('=', 1) for entry in done.stdout.split('\0') if entry)
    for name in ('PWD', 'SHLVL', '_', 'OLDPWD'):
        got.pop(name, None)
    assert got == {'SITE_COLOUR': 'green', 'PATH': f'{site.server.work.path}/one/bin:/usr/bin:/bin',
                   'USER': site.one.name, 'LOGNAME': site.one.name, 'HOME': '/nonexistent', 'SHELL': '/bin/sh',
                   'LANG': 'C.UTF-8', 'TAKEN': 'yes', 'MADE': 'up=1', 'Y': '2'}


def test_starts_where_the_caller_is_when_the_site_has_that_place(site, work):
    assert site.run('one', 'pwd', cwd=f'{work.path}/one').stdout.strip() == f'{work.path}/one'
    os.chmod(work.mkdir('hidden'), 0o700)
    assert site.run('one', 'pwd', cwd=f'{work.path}/hidden').stdout.strip() == '/'  # the home does not exist
    assert site.run('-C', f'{work.path}/one', 'one', 'pwd').stdout.strip() == f'{work.path}/one'
    done = site.run('-C', f'{work.path}/hidden', 'one', 'pwd')
    assert done.returncode == 125 and f'cannot start in "{work.path}/hidden"' in done.stderr


def status_of(pid):
    with open(f'/proc/{pid}/status', encoding='utf-8') as f:
        return dict(line.rstrip('\n').split(':\t', 1) for line in f if ':\t' in line)


def test_a_command_has_every_layer_of_its_pool_and_none_of_its_descriptors(site):
    with site.running('two', '--', 'sleep', '31.4') as caller:
        pid = wait_for(lambda: site.processes_named('sleep 31.4'), why='the command')[0]
        pool = site.pool('two')
        assert processes()[pid][0] == pool
        mine, theirs = status_of(pid), status_of(pool)
        for field in ('Uid', 'Gid', 'Groups', 'NoNewPrivs', 'Seccomp', 'CapInh', 'CapPrm', 'CapEff', 'CapBnd',
                      'CapAmb'):
            assert mine[field] == theirs[field], field
        assert mine['NoNewPrivs'] == '1' and int(mine['CapEff'], 16) == 0
        assert int(mine['SigIgn'], 16) == 0 and int(mine['SigBlk'], 16) == 0
        for kind in os.listdir(f'/proc/{pool}/ns'):
            assert os.readlink(f'/proc/{pid}/ns/{kind}') == os.readlink(f'/proc/{pool}/ns/{kind}'), kind
        for name in ('cgroup', 'limits', 'oom_score_adj'):
            with open(f'/proc/{pid}/{name}', encoding='utf-8') as a, open(f'/proc/{pool}/{name}', encoding='utf-8') as b:
                assert a.read() == b.read(), name
        assert os.readlink(f'/proc/{pid}/root') == os.readlink(f'/proc/{pool}/root')
        assert sorted(os.listdir(f'/proc/{pid}/fd'), key=int) == ['0', '1', '2']
        assert caller.poll() is None


def test_a_sleeping_site_wakes_and_stays_awake_while_a_command_runs(site):
    wait_for(lambda: site.pool('one') is None, 20, 'the site to fall asleep')
    with site.running('one', '--', 'sh', '-c', 'echo up; sleep 4; echo done; read x', stdin=subprocess.PIPE) as caller:
        assert caller.stdout.readline() == 'up\n'
        pool = site.pool('one')
        assert pool is not None
        assert caller.stdout.readline() == 'done\n'
        assert site.pool('one') == pool
        caller.stdin.write('\n')
        caller.stdin.flush()
        assert caller.wait(10 * SLOW) == 0
    wait_for(lambda: site.pool('one') is None, 20, 'the site to fall asleep again')


def test_requests_are_served_beside_a_command(site, work):
    work.write('two/beside.php', '<?php echo "served";')
    with site.running('two', '--', 'sleep', '20'):
        answer = site.server.fetch('/beside.php', host='two.example')
        assert answer.text == 'served'


def test_signals_to_the_caller_reach_the_whole_group(site, work):
    script = 'trap "echo got $1 >&2; exit 5" $1; sleep 60 & sleep 60 & echo ready; wait'

    def sleeps():
        return [pid for pid, facts in site.server.descendants().items() if facts[2] == 'sleep 60']
    for name in ('INT', 'TERM', 'HUP', 'QUIT', 'USR1', 'USR2'):
        with site.running('one', '--', 'bash', '-c', script, 'bash', name) as caller:
            assert caller.stdout.readline() == 'ready\n'
            wait_for(lambda: len(sleeps()) == 2, why='the background jobs')
            caller.send_signal(getattr(signal, 'SIG' + name))
            assert caller.wait(20 * SLOW) == 5, name
            assert caller.stderr.readline() == f'got {name}\n'
            if name not in ('INT', 'QUIT'):  # a shell without job control lets its background jobs ignore these
                wait_for(lambda: not sleeps(), why=f'the group to end by {name}')
            for pid in sleeps():
                os.kill(pid, signal.SIGKILL)


def test_a_killed_caller_hangs_up_on_its_command(site, work):
    mark = f'{work.path}/one/hung-up'
    with site.running('one', '--', 'bash', '-c', f'trap "touch {mark}; exit" HUP; echo ready; while :; do sleep 0.1; done') as caller:
        assert caller.stdout.readline() == 'ready\n'
        caller.kill()
        wait_for(lambda: os.path.exists(mark), why='SIGHUP')
    os.unlink(mark)


def test_a_program_can_be_given_as_a_descriptor(site, work):
    secret = work.write('only-root-reads-this', open('/bin/echo', 'rb').read(), 0o700)
    with open(secret, 'rb') as program:
        done = site.run('--program-fd', str(program.fileno()), 'one', '--', 'name', 'from', 'memory',
                        pass_fds=[program.fileno()])
    assert done.stdout == 'from memory\n', done.stderr
    assert site.run('--program-fd', 'x', 'one', 'a').returncode == 125


def test_a_directory_is_not_passed_into_the_site(site):
    root = os.open('/', os.O_RDONLY)
    try:
        done = site.run('one', 'true', stdin=root)
    finally:
        os.close(root)
    assert done.returncode == 125 and 'standard input is a directory' in done.stderr


# ---- who may ---------------------------------------------------------------------------------------

def test_a_sites_user_may_use_its_own_site_only(site, people):
    def run_as(user, name):
        return site.run(name, '--', 'id', '-un', user=user.uid, group=user.gid, extra_groups=[], cwd='/')
    assert run_as(site.one, 'one').stdout.strip() == site.one.name
    assert run_as(site.one, 'one.example').stdout.strip() == site.one.name
    for user, name in ((site.one, 'two'), (site.one, 'two.example'), (site.two, 'one'), (people[2], 'one')):
        done = run_as(user, name)
        assert done.returncode == 125 and done.stdout == ''
        assert f'no site is named "{name}"' in done.stderr
        others = {'one', 'two'} - ({'one'} if user is site.one else {'two'} if user is site.two else set()) - {name}
        assert not any(f' {other}' in done.stderr.split('named', 1)[1] for other in others), done.stderr


def test_errors_say_what_to_do(site, work):
    done = site.run('onne', 'true')
    assert done.returncode == 125 and 'no site is named "onne"; near it: one' in done.stderr
    done = site.run('tow.example', 'true')
    assert 'near it: two.example' in done.stderr
    done = site.run('plain.example', 'true')
    assert done.returncode == 125 and 'serves files only' in done.stderr
    done = subprocess.run([os.path.join(BIN, 'bulkhead'), 'exec', '--control', f'{work.path}/nobody.ctl', 'one', 'true'],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 125 and f'no server answers at {work.path}/nobody.exec' in done.stderr
    for words in ([], ['one'], ['one', '--'], ['--wrong', 'one', 'true'], ['--control']):
        done = site.run(*words) if words != ['--control'] else \
            subprocess.run([os.path.join(BIN, 'bulkhead'), 'exec', '--control'], capture_output=True, text=True, check=False)
        assert done.returncode == 125 and 'usage: bulkhead exec' in done.stderr, words


def test_a_site_that_cannot_start_says_so_and_others_run(site):
    done = site.run('broken', 'true')
    assert done.returncode == 125 and 'the site cannot start now' in done.stderr, done.stderr
    assert 'gone' in site.server.read('fpm.log')
    assert site.run('two', 'true').returncode == 0


def test_the_server_is_found_as_by_other_commands(site):
    done = subprocess.run([os.path.join(BIN, 'bulkhead'), 'exec', '--nginx', site.server.nginx_conf, '--fpm',
                           site.server.fpm_conf, 'two', '--', 'id', '-u'], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(site.two.uid), done.stderr
    done = subprocess.run([os.path.join(BIN, 'bulkhead'), 'exec', '--pid', f'{site.server.dir}/run.pid', 'two', '--',
                           'id', '-u'], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(site.two.uid), done.stderr


def test_nonsense_at_the_door_ends_that_caller_only(site):
    path = f'{site.server.dir}/run.exec'

    def ask(data, fds=()):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20 * SLOW)
            s.connect(path)
            if fds:
                socket.send_fds(s, [data], list(fds))
            else:
                s.sendall(data)
            try:
                return s.recv(65536)
            except ConnectionResetError:
                return b''
    assert b'version' in ask(struct.pack('II', 99, 3) + b'one')
    for size in (0, 256, 2**32 - 1):
        assert b'cannot be' in ask(struct.pack('II', 1, size) + b'x' * 200), size
    assert b'no site is named' in ask(struct.pack('II', 1, 5) + b'\0\n\x1b"\\')
    # Descriptors are not taken: master's own must not grow.
    master = site.server.pid
    before = len(os.listdir(f'/proc/{master}/fd'))
    for _ in range(30):
        with open('/dev/null', 'rb') as null:
            assert b'cannot be' in ask(struct.pack('II', 1, 0), [null.fileno()])
    wait_for(lambda: len(os.listdir(f'/proc/{master}/fd')) <= before, why='descriptors of master')
    # Callers who say nothing fill the door, not the server; they are sent away in time.
    silent = []
    for _ in range(80):
        s = socket.socket(socket.AF_UNIX)
        s.connect(path)
        silent.append(s)
    assert site.server.fetch('/index.html', host='plain.example').text == 'of plain'
    wait_for(lambda: site.run('two', 'true').returncode == 0, 20, 'the door to be free again')
    for s in silent:
        s.close()


def test_commands_per_site_are_bounded(site):
    callers = []
    try:
        for _ in range(64):
            callers.append(subprocess.Popen(site.line('two', '--', 'sleep', '61.7'), stdin=subprocess.DEVNULL))
        wait_for(lambda: len(site.processes_named('sleep 61.7')) == 64, 40, '64 commands')
        done = site.run('two', 'true')
        assert done.returncode == 125 and '64 commands run in it already' in done.stderr
    finally:
        for caller in callers:
            caller.kill()
            caller.wait()
    wait_for(lambda: not site.processes_named('sleep 61.7'), 20, 'the commands to end')
    wait_for(lambda: site.run('two', 'true').returncode == 0, why='room for a command')


# ---- terminals -------------------------------------------------------------------------------------

class Typist:
    """A person at a terminal who runs `bulkhead exec`."""

    def __init__(self, line, size=(24, 80)):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.environ['TERM'] = 'vt220'
            os.execv(line[0], line)
        self.seen = b''
        self.resize(*size)

    def resize(self, rows, columns):
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def type(self, data):
        os.write(self.terminal, data)

    def until(self, text, seconds=20):
        end = time.monotonic() + seconds * SLOW
        while text not in self.seen:
            left = end - time.monotonic()
            assert left > 0, f'waited for {text!r}, saw {self.seen!r}'
            if select.select([self.terminal], [], [], left)[0]:
                try:
                    self.seen += os.read(self.terminal, 65536)
                except OSError:
                    assert text in self.seen, f'ended without {text!r}: {self.seen!r}'
        before, self.seen = self.seen.split(text, 1)
        return before

    def modes(self):
        return termios.tcgetattr(self.terminal)

    def code(self):
        with contextlib.suppress(OSError):
            while select.select([self.terminal], [], [], 20 * SLOW)[0] and os.read(self.terminal, 65536):
                pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.terminal)


def test_a_terminal_of_its_own_when_there_is_one(site):
    script = 'test -t 0 && test -t 1 && test -t 2 && echo "three $TERM"; stty size; read line; echo "<$line>"; stty size; exit 9'
    with Typist(site.line('one', '--', 'bash', '-c', script), (33, 101)) as person:
        person.until(b'three vt220\r\n')
        assert person.until(b'\r\n') == b'33 101'
        # Nobody of the site holds the person's terminal.
        number, = struct.unpack('I', fcntl.ioctl(person.terminal, 0x80045430, b'\0' * 4))  # TIOCGPTN
        real = f'/dev/pts/{number}'
        assert os.readlink(f'/proc/{person.pid}/fd/0') == real
        for pid in descendants(site.server.pid):
            for fd in os.listdir(f'/proc/{pid}/fd'):
                with contextlib.suppress(OSError):
                    assert os.readlink(f'/proc/{pid}/fd/{fd}') != real
        person.resize(40, 120)
        person.type(b'hello\r')
        person.until(b'<hello>\r\n')
        assert person.until(b'\r\n') == b'40 120'
        assert person.code() == 9


def test_control_c_interrupts_the_command_and_not_the_terminal(site):
    with Typist(site.line('one', '--', 'bash', '-c', 'trap "echo caught; exit 4" INT; echo ready; sleep 60')) as person:
        person.until(b'ready\r\n')
        person.type(b'\x03')
        person.until(b'caught')
        assert person.code() == 4
    with Typist(site.line('one', '--', 'sh', '-c', 'echo ready; exec sleep 60')) as person:
        person.until(b'ready\r\n')
        person.type(b'\x03')
        assert person.code() == 130


def test_an_interactive_shell_has_job_control(site):
    with Typist(site.line('one', '--', 'bash', '--norc', '-i')) as person:
        person.until(b'$ ')
        person.type(b'sleep 60\r')
        wait_for(lambda: site.processes_named('sleep 60'), why='the job')
        person.type(b'\x1a')
        person.until(b'Stopped')
        person.type(b'fg\r')
        person.until(b'sleep 60\r\n')
        wait_for(lambda: processes()[site.processes_named('sleep 60')[0]][3] == 'S', why='the job to go on')
        person.type(b'\x03')
        person.type(b'echo over-$?\r')
        person.until(b'over-130')
        person.type(b'exit 6\r')
        assert person.code() == 6


@pytest.mark.parametrize('how', ['ends', 'TERM', 'is not found'])
def test_the_terminal_is_left_as_it_was(site, how):
    command = ['there-is-no-such'] if how == 'is not found' else ['sh', '-c', 'stty raw -echo; echo ready; read x']
    holder = f'stty -a; {{ {" ".join(map(repr, site.line("one", "--", *command)))}; }}; echo code $?; stty -a; echo end'
    with Typist(['/bin/bash', '-c', holder]) as person:
        before = person.until(b'columns')
        if how != 'is not found':
            person.until(b'ready')
        modes = person.modes()
        if how != 'is not found':
            assert not modes[3] & termios.ICANON and not modes[3] & termios.ECHO
        if how == 'TERM':
            caller = [pid for pid, facts in descendants(person.pid).items() if 'exec --control' in facts[2]]
            os.kill(caller[0], signal.SIGTERM)
        elif how == 'ends':
            person.type(b'x\n')
        person.until(b'code')
        person.until(b'end\r\n')
        assert before is not None


def test_a_closed_terminal_hangs_up_on_the_command(site):
    with Typist(site.line('one', '--', 'sh', '-c', 'echo ready; sleep 62.5')) as person:
        person.until(b'ready')
        assert site.processes_named('sleep 62.5')
        os.kill(person.pid, signal.SIGHUP)
        wait_for(lambda: not site.processes_named('sleep 62.5'), why='the command to end')
        assert person.code() == 129


def test_only_an_output_that_is_a_terminal_is_relayed_not_handed_over(site):
    holder = 'echo from-file | ' + ' '.join(map(repr, site.line(
        'one', '--', 'sh', '-c', 'cat; test -t 1 || echo no terminal; echo again > /dev/stdout; echo err >&2')))
    with Typist(['/bin/bash', '-c', holder]) as person:
        person.until(b'from-file\r\n')
        person.until(b'no terminal\r\n')
        person.until(b'again\r\n')
        person.until(b'err\r\n')
        assert person.code() == 0


# ---- with the server's life ------------------------------------------------------------------------

def test_a_reload_that_replaces_the_pool_lets_commands_finish(site):
    with open(site.server.fpm_conf, encoding='utf-8') as f:
        text = f.read()
    pool = site.pool('two')
    with site.running('two', '--', 'sh', '-c', 'echo up; sleep 3; echo finished; exit 8') as caller:
        assert caller.stdout.readline() == 'up\n'
        with open(site.server.fpm_conf, 'w', encoding='utf-8') as f:
            f.write(text.replace('[two]', '[two]\nenv[NEW] = 1'))
        os.kill(site.server.pid, signal.SIGHUP)
        wait_for(lambda: site.run('two', '--', 'printenv', 'NEW').stdout == '1\n', why='the new pool')
        assert caller.stdout.readline() == 'finished\n'
        assert caller.wait(10 * SLOW) == 8
    wait_for(lambda: site.pool('two') != pool, why='the old pool to end')


def test_a_stop_ends_commands_that_ignore_signals(site):
    """The last test: it stops the server."""
    stubborn = 'trap "" TERM HUP INT; echo up; while :; do sleep 63.1; done'
    with site.running('two', '--', 'bash', '-c', stubborn) as caller:
        assert caller.stdout.readline() == 'up\n'
        everything = descendants(site.server.pid)
        site.server.stop()
        assert caller.wait(20 * SLOW) in (125, 137)
        now = processes()
        left = [facts for pid, facts in everything.items() if pid in now and now[pid][2] == facts[2] and now[pid][3] != 'Z']
        assert not left
    assert not os.path.exists(f'{site.server.dir}/run.exec')
