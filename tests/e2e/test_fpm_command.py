"""`bulkhead php-fpm` is php-fpm to whoever starts it: command line, messages, exit codes, pid file, signals,
log lines.  What can be compared is compared with Debian's php-fpm in the same run."""
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from harness.servers import BIN, ECHO_PID, SLOW, BulkheadFpm, StockFpm, descendants, free_port, processes, wait_for

PEER = os.environ.get('BULKHEAD_TEST_STOCK') == '1'
STOCK = ['/usr/sbin/php-fpm8.2']
OURS = STOCK if PEER else [f'{BIN}/bulkhead', 'php-fpm']
Ours = StockFpm if PEER else BulkheadFpm

GOOD = '''[global]
pid = @DIR@/fpm.pid
error_log = @DIR@/fpm.log
daemonize = yes
process_control_timeout = 5s
[a]
user = www-data
listen = @DIR@/a.sock
listen.mode = 0666
pm = static
pm.max_children = 2
catch_workers_output = yes
ping.path = /ping
[b]
user = nobody
listen = 127.0.0.1:@PORT@
pm = ondemand
pm.max_children = 2
'''


def run(command, *arguments, cwd=None, seconds=20, **more):
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=cwd, check=False,
                          timeout=seconds * SLOW, **more)
    return done.returncode, done.stdout, done.stderr


def even(text, folder=None):
    text = re.sub(r'(?m)^\[\d\d-\w{3}-\d{4} \d\d:\d\d:\d\d(\.\d{6})?\] ', 'TIME ', text)
    text = re.sub(r'(?m)^.*NOTICE: (pid \S+, \S+, line \d+: )?the directories of pool .* sandbox\.write\[\] to narrow it\n', '', text)
    text = re.sub(r'\bafter \d+\.\d{6} seconds', 'after T seconds', text)
    text = re.sub(r'\b(child|pid) \d+', r'\1 N', text)
    text = re.sub(r'socket fd=\d+', 'socket fd=N', text)
    text = re.sub(r'127\.0\.0\.1:\d+', '127.0.0.1:PORT', text)
    return text.replace(folder, 'DIR') if folder else text


@pytest.fixture(scope='module')
def confs(work):
    port = str(free_port())

    def save(name, text):
        work.write(f'{name}.conf', text.replace('@DIR@', work.path).replace('@PORT@', port))
    save('good', GOOD)
    save('bad', GOOD + 'nonsense = 1\n')
    save('root', GOOD.replace('user = www-data', 'user = root'))
    save('user', GOOD.replace('user = www-data', 'user = no-such-user'))
    save('folder', GOOD.replace('@DIR@/a.sock', '@DIR@/none/a.sock'))
    save('pid', GOOD.replace('@DIR@/fpm.pid', '@DIR@/none/fpm.pid'))
    return work


@pytest.mark.parametrize('arguments', [
    ['-h'], ['--help'], ['-x'], ['--nonsense'], ['-y'], ['-t', '-y', '@/good.conf'], ['--test', '--fpm-config', '@/good.conf'],
    ['-t', '--fpm-config=@/good.conf'], ['-ty', '@/good.conf'], ['-t', '-y@/good.conf'], ['-tt', '-y', '@/good.conf'],
    ['-t', '-t', '-y', '@/good.conf'], ['-t', '-y', '@/bad.conf'], ['-t', '-y', '@/user.conf'], ['-t', '-y', '@/root.conf'],
    ['-t', '-y', '@/none.conf'], ['-t', '-p', '@', '-y', '@/good.conf'], ['-t', '-p', '@/none', '-y', '@/good.conf'],
    ['-t', '-n', '-y', '@/good.conf'], ['-t', '-d', 'memory_limit=1G', '-y', '@/good.conf'], ['-t', '-R', '-y', '@/root.conf'],
    ['-t', '-g', '@/other.pid', '-y', '@/good.conf'], ['-t', '-D', '-F', '-y', '@/good.conf'],
    ['-F', '-y', '@/root.conf'], ['-F', '-y', '@/bad.conf'], ['-F', '-y', '@/user.conf'], ['-F', '-y', '@/folder.conf'],
    ['-F', '-y', '@/pid.conf'], ['-y', '@/bad.conf'], ['-F', '-O', '-y', '@/user.conf'],
], ids=' '.join)
def test_command_line(confs, arguments):
    arguments = [a.replace('@', confs.path) for a in arguments]
    results = []
    for command in (STOCK, OURS):
        code, out, err = run(command, *arguments, cwd=confs.path)
        results.append((code, re.sub(r'^Usage: \S+( php-fpm)?', 'Usage: NAME', even(out, confs.path)), even(err, confs.path)))
        for name in ('fpm.pid', 'a.sock'):
            if os.path.exists(confs / name):
                os.remove(confs / name)
    assert results[1] == results[0]


def test_versions_and_modules():
    for flag in ('-v', '-m', '-i', '-nm'):
        peer, ours = (run(command, flag) for command in (STOCK, OURS))
        assert ours[0] == peer[0] == 0
        if flag == '-v':
            def first(text):
                return re.sub(r'\(built: .*', '', text.splitlines()[0])
            assert first(ours[1]) == first(peer[1]) and 'fpm-fcgi' in ours[1]
        elif flag == '-i':
            assert 'Server API => FPM/FastCGI' in ours[1] + peer[1] or 'FPM/FastCGI' in ours[1]
        else:
            assert set(ours[1].split('\n')) == set(peer[1].split('\n'))


def test_a_link_named_php_fpm_is_php_fpm(confs):
    if PEER:
        pytest.skip('about our program')
    for name in ('php-fpm', 'php-fpm8.2'):
        os.symlink(f'{BIN}/bulkhead', confs / name)
        code, _, err = run([confs / name], '-t', '-y', confs / 'good.conf')
        assert code == 0 and even(err, confs.path) == 'TIME NOTICE: configuration file DIR/good.conf test is successful\n\n'


@pytest.fixture(params=[StockFpm, Ours], ids=['php-fpm', 'ours'])
def server(request, work):
    kind = request.param
    server = kind(work, None, GOOD, tag=f'live-{"peer" if kind is StockFpm else "ours"}')
    server.command = STOCK if kind is StockFpm else OURS
    work.write(f'{server.dir}/err.php', '<?php error_log("by error_log"); file_put_contents("php://stderr", "line\\n"); ' + ECHO_PID)
    work.write(f'{server.dir}/sleep.php', '<?php usleep(1000000); echo "done";')
    for name in ('fpm.log', 'out.log'):
        if os.path.exists(f'{server.dir}/{name}'):
            os.remove(f'{server.dir}/{name}')
    yield server
    if server.processes:
        server.stop()


def ask(server, script, at=None):
    """The body that a FastCGI request to a pool's socket gets (by cgi-fcgi)."""
    path = f'{server.dir}/{script}' if script.endswith('.php') else script
    done = subprocess.run(['cgi-fcgi', '-bind', '-connect', at or f'{server.dir}/a.sock'], capture_output=True, text=True,
                          env={'SCRIPT_NAME': '/' + script.lstrip('/'), 'SCRIPT_FILENAME': path, 'REQUEST_METHOD': 'GET', 'PATH': os.environ['PATH']},
                          timeout=20 * SLOW, check=False)
    return done.stdout.partition('\r\n\r\n')[2] or done.stdout.partition('\n\n')[2]


def lines(server):
    """Lines of the log; which of several workers comes first is left open."""
    found = [l.replace('TIME ', '') for l in even(server.read('fpm.log'), server.dir).splitlines()]
    return found


def test_start_and_stop(server):
    for how in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        server.start()
        wait_for(lambda: 'ready to handle connections' in server.read('fpm.log'), 5)
        wait_for(lambda: server.read('fpm.pid') == str(server.pid), 5)
        assert ask(server, '/ping') == 'pong'
        assert server.stop(how) == [0]
        assert not os.path.exists(f'{server.dir}/fpm.pid') and not os.path.exists(f'{server.dir}/a.sock')


def both_logs(work, what, tag, text=GOOD):
    logs = []
    for kind, name in ((StockFpm, 'peer'), (Ours, 'ours')):
        server = kind(work, None, text, tag=f'{tag}-{name}')
        server.command = STOCK if kind is StockFpm else OURS
        work.write(f'{server.dir}/pid.php', '<?php ' + ECHO_PID)
        work.write(f'{server.dir}/err.php', '<?php error_log("by error_log"); file_put_contents("php://stderr", "line\\n"); ' + ECHO_PID)
        with server:
            wait_for(lambda s=server: 'ready to handle connections' in s.read('fpm.log'), 5)
            what(server)
        logs.append(lines(server))
    return logs


@pytest.mark.parametrize('how', ['TERM', 'QUIT', 'USR1', 'USR2', 'KILL-WORKER', 'WORKER-SAYS'])
def test_what_the_log_says(work, how):
    def act(server):
        if how == 'KILL-WORKER':
            # Stock php-fpm's own list of its workers does not always have the one that asks.
            os.kill(int(wait_for(lambda: ask(server, 'pid.php'))), signal.SIGKILL)
            wait_for(lambda: 'started' in server.read('fpm.log'), 5)
        elif how == 'WORKER-SAYS':
            assert ask(server, 'err.php').isdigit()
            wait_for(lambda: 'line' in server.read('fpm.log'), 5)
            time.sleep(0.2)
        elif how in ('USR1', 'USR2'):
            os.kill(server.pid, getattr(signal, f'SIG{how}'))
            wait_for(lambda: ('re-opened' if how == 'USR1' else 'ready to handle connections') in
                     server.read('fpm.log').split('ready to handle connections', 1)[1], 10)
            assert ask(server, '/ping') == 'pong'
        elif how == 'QUIT':
            os.kill(server.pid, signal.SIGQUIT)
            server.processes[0].wait(10)
    for attempt in range(3):
        peer, ours = both_logs(work, act, f'says-{how}-{attempt}')
        if not any('SIGSEGV' in line for line in peer):  # stock's worker crashes now and then by itself
            break
    skip = re.compile(r'using inherited socket|reloading: execvp|systemd monitor')  # compared below
    assert [l for l in ours if not skip.search(l)] == [l for l in peer if not skip.search(l)]
    if how == 'USR2':
        def inherited(log):
            return sorted(l for l in log if 'using inherited socket' in l)
        assert inherited(ours) == inherited(peer) and len(inherited(ours)) == 2
        assert [l for l in ours if 'reloading: execvp' in l]


def test_daemon_writes_its_pid_and_leaves_no_output_open(server):
    pid = 0
    try:
        code, out, err = run(server.command, '-y', server.fpm_conf)
        assert (code, out) == (0, '') and not [l for l in err.splitlines() if 'NOTICE' not in l]
        pid = wait_for(lambda: server.read('fpm.pid').isdigit() and int(server.read('fpm.pid')), 5)
        assert ask(server, '/ping') == 'pong'
        assert processes()[pid][2].startswith('php-fpm: master process (')
    finally:
        pid = pid or int(server.read('fpm.pid') or 0)
        if pid:
            os.kill(pid, signal.SIGQUIT)
            wait_for(lambda: processes().get(pid, 'none')[3] in 'eZ', 10)
    assert not os.path.exists(f'{server.dir}/fpm.pid')


def test_titles(server):
    server.start()
    wait_for(lambda: processes()[server.pid][2].startswith('php-fpm: master process ('), 5)
    wait_for(lambda: len([f for f in descendants(server.pid).values() if f[2] == 'php-fpm: pool a']) >= 2, 5)


def test_reload_loses_no_waiting_request(server):
    server.start()
    running = [subprocess.Popen(['cgi-fcgi', '-bind', '-connect', f'{server.dir}/a.sock'], stdout=subprocess.PIPE, text=True,
                                env={'SCRIPT_NAME': '/sleep.php', 'SCRIPT_FILENAME': f'{server.dir}/sleep.php', 'REQUEST_METHOD': 'GET',
                                     'PATH': os.environ['PATH']}) for _ in range(6)]
    time.sleep(0.4)
    os.kill(server.pid, signal.SIGUSR2)
    assert all(process.communicate(timeout=30 * SLOW)[0].endswith('done') for process in running)
    assert ask(server, '/ping') == 'pong'


def test_usr1_reopens_the_log(server):
    server.start()
    wait_for(lambda: 'ready' in server.read('fpm.log'), 5)
    os.rename(f'{server.dir}/fpm.log', f'{server.dir}/old.log')
    os.kill(server.pid, signal.SIGUSR1)
    wait_for(lambda: 'error log file re-opened' in server.read('fpm.log'), 5)
    ask(server, 'err.php')
    wait_for(lambda: 'by error_log' in server.read('fpm.log'), 5)


def test_reload_takes_a_changed_file_and_refuses_a_broken_one(server):
    if isinstance(server, StockFpm):
        pytest.skip('php-fpm ends when the new file is broken; Bulkhead must not')
    server.start()
    with open(server.fpm_conf, 'a', encoding='utf-8') as f:
        f.write('nonsense = 1\n')
    os.kill(server.pid, signal.SIGUSR2)
    wait_for(lambda: "unknown entry 'nonsense'" in server.read('fpm.log') + server.read('out.log'), 5)
    assert ask(server, '/ping') == 'pong'


def test_sockets(server):
    """TCP and Unix sockets with mode; a second start is refused while the first serves."""
    server.start()
    assert os.stat(f'{server.dir}/a.sock').st_mode & 0o777 == 0o666
    with socket.create_connection(('127.0.0.1', server.port), 2):
        pass
    code, _, err = run(server.command, '-F', '-y', server.fpm_conf)
    said = err + server.read('fpm.log')
    assert code == 78 and 'Another FPM instance seems to already listen on' in said or 'unable to bind listening socket' in said
    assert ask(server, '/ping') == 'pong'


LONG = '<?php file_put_contents("php://stderr", str_repeat("abcdefghij", 250) . "\\n"); echo "ok";'


def unsplit(log):
    """A log with the pieces of the long line put together, and the bytes of each piece but the last: where the
    text is cut depends on how many digits the worker's number has."""
    others, texts, sizes = [], [], []
    for line in log.splitlines():
        piece = re.search(r'said into stderr: "([a-j]*)"$', line)
        if piece is None:
            others.append(even(line))
        else:
            texts.append(piece[1])
            sizes.append(len(line))
            others.append(even(line[:piece.start(1)]))
    return others, ''.join(texts), sizes[:-1]


def test_long_lines_are_split_at_log_limit(work):
    logs = []

    def act(server):
        work.write(f'{server.dir}/long.php', LONG)
        assert ask(server, 'long.php') == 'ok'
        wait_for(lambda: len(unsplit(server.read('fpm.log'))[1]) >= 2500, 5)
        logs.append(unsplit(server.read('fpm.log')))
    both_logs(work, act, 'limit', GOOD.replace('daemonize', 'log_limit = 600\ndaemonize'))
    peer, ours = logs
    assert peer[1] == 'abcdefghij' * 250 and len(peer[2]) == 4
    assert ours == peer


@pytest.mark.parametrize('level', ['debug', 'notice', 'warning', 'error', 'alert'])
def test_log_levels(work, level):
    def act(server):
        ask(server, 'err.php')
        time.sleep(0.3)
    logs = []
    for kind, name in ((StockFpm, 'peer'), (Ours, 'ours')):
        server = kind(work, None, GOOD.replace('daemonize', f'log_level = {level}\ndaemonize'), tag=f'level-{level}-{name}')
        work.write(f'{server.dir}/pid.php', '<?php ' + ECHO_PID)
        work.write(f'{server.dir}/err.php', '<?php file_put_contents("php://stderr", "line\\n");')
        with server:
            act(server)
        logs.append([l for l in lines(server) if 'DEBUG' not in l])
    if level == 'debug':  # with the place in php-fpm's source that each line comes from
        def words(log):
            return [re.sub(r'pid N, \S+\(\), line \d+: ', '', l) for l in log if 'systemd' not in l]
        logs = [words(log) for log in logs]
    if level in ('error', 'alert'):  # php-fpm leaves the end of a line that it did not begin
        logs = [[l for l in log if l != 'line"'] for log in logs]
    assert logs[1] == logs[0]
