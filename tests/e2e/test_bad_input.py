"""Every bad input has a message that names the cause, and nothing is left half done."""
import os
import re
import socket
import subprocess
import time

import pytest

from harness.servers import BIN, SLOW, Bulkhead, descendants, free_port, processes, wait_for
from harness.users import users

NGINX = '''
user www-data;
pid @DIR@/run.pid;
error_log @DIR@/error.log;
events { }
http {
    access_log @DIR@/access.log;
    server {
        listen 127.0.0.1:@PORT@;
        root @DIR@/www;
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
user = www-data
listen = @DIR@/a.sock
pm = static
pm.max_children = 1
'''


def run(server, command='serve', seconds=15):
    """Runs `bulkhead COMMAND` with the server's files; returns (exit code, everything it said)."""
    done = subprocess.run([f'{BIN}/bulkhead', command, '--nginx', server.nginx_conf, '--fpm', server.fpm_conf],
                          capture_output=True, text=True, timeout=seconds * SLOW, check=False)
    return done.returncode, done.stdout + done.stderr + server.read('error.log') + server.read('fpm.log')


def nothing_left(server):
    return not [p for p, f in processes().items() if server.dir in f[2]]


CASES = {
    'unknown user': (NGINX, FPM.replace('www-data', 'no-such-user'), r"no-such-user"),
    'unknown main user': (NGINX.replace('user www-data', 'user no-such-user'), FPM, r'getpwnam\("no-such-user"\) failed'),
    'unknown group': (NGINX, FPM.replace('user = www-data', 'user = www-data\ngroup = no-such-group'), r'no-such-group'),
    'unreadable include': (NGINX.replace('server {', 'include @DIR@/missing.conf;\nserver {', 1), FPM,
                           r'open\(\) "\S+/missing\.conf" failed \(2: No such file or directory\) in \S+/nginx\.conf:\d+'),
    'two pools with one name': (NGINX, FPM + '[b]\nuser = www-data\nlisten = @DIR@/b.sock\npm = static\npm.max_children = 1\n'
                                '[b]\nuser = www-data\nlisten = @DIR@/c.sock\n', None),
    'two pools with one socket': (NGINX, FPM + '[b]\nuser = www-data\nlisten = @DIR@/a.sock\npm = static\npm.max_children = 1\n',
                                  r"unable to set listen address as it's already used in another pool 'a'"),
    'typo in a directive': (NGINX.replace('root', 'roto', 1), FPM, r'unknown directive "roto" in \S+/nginx\.conf:\d+'),
    'typo in a pool': (NGINX, FPM + 'pm.max_chidlren = 3\n', r"php-fpm\.conf:8\] unknown entry 'pm\.max_chidlren'"),
    'block not closed': (NGINX.rstrip()[:-1], FPM, r'unexpected end of file, expecting "}" in \S+/nginx\.conf:\d+'),
    'no events': (NGINX.replace('events { }', ''), FPM, r'no "events" section in configuration'),
    'bad regular expression': (NGINX.replace('~ \\.php$', '~ ('), FPM, r'pcre2_compile\(\) failed'),
}


@pytest.mark.parametrize('case', [c for c in CASES if CASES[c][2]])
def test_bad_configuration_is_named_and_refused(work, case):
    nginx, fpm, message = CASES[case]
    server = Bulkhead(work, nginx, fpm, tag=case)
    for command in ('test', 'serve'):
        code, said = run(server, command)
        assert code != 0 and re.search(message, said), f'{command}: exit {code}\n{said}'
    assert nothing_left(server)


def test_port_in_use(work):
    server = Bulkhead(work, NGINX, FPM, tag='port')
    with socket.socket() as holder:
        holder.bind(('127.0.0.1', server.port))
        holder.listen()
        code, said = run(server)
    assert code != 0
    assert re.search(r'bind\(\) to 127\.0\.0\.1:%d failed \(98: Address already in use\)' % server.port, said), said
    assert nothing_left(server)


def test_socket_path_taken_by_a_file_keeps_the_file(work):
    server = Bulkhead(work, NGINX, FPM, tag='taken')
    precious = work.write(f'{server.dir}/a.sock', 'precious')
    code, said = run(server)
    assert code != 0 and 'a.sock' in said
    with open(precious, encoding='ascii') as f:
        assert f.read() == 'precious'


def test_stale_socket_is_replaced_and_a_live_one_is_not(work):
    server = Bulkhead(work, NGINX, FPM, tag='stale')
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(f'{server.dir}/a.sock')
    stale.listen()
    code, said = run(server)
    assert code != 0 and 'a.sock' in said
    stale.close()
    work.write(f'{server.dir}/www/x.php', '<?php echo "ok";')
    with server:
        assert server.fetch('/x.php').text == 'ok'


def test_missing_root_is_404_and_logged(work):
    server = Bulkhead(work, NGINX, FPM, tag='noroot')
    with server:
        assert server.fetch('/index.html').status == 404
        wait_for(lambda: re.search(r'\[error\] .*open\(\) "\S+/www/index\.html" failed \(2: No such file or directory\)',
                                   server.read('error.log')))
        page = server.fetch('/none.php')
        assert page.status == 404 and page.text == 'File not found.\n'


def test_missing_extension_is_said_and_the_pool_serves(work):
    server = Bulkhead(work, NGINX, FPM + 'php_admin_value[extension] = no_such_extension.so\n', tag='ext')
    work.write(f'{server.dir}/www/x.php', '<?php echo "ok";')
    with server:
        assert server.fetch('/x.php').text == 'ok'
        wait_for(lambda: "Unable to load dynamic library 'no_such_extension.so'" in
                 server.read('fpm.log') + server.read('error.log') + server.read('out.log'))


def test_php_fatal_error_is_500_and_logged(work):
    server = Bulkhead(work, NGINX, FPM + 'php_flag[display_errors] = off\n', tag='fatal')
    work.write(f'{server.dir}/www/x.php', '<?php no_such_function();')
    with server:
        assert server.fetch('/x.php').status == 500
        wait_for(lambda: 'PHP Fatal error:  Uncaught Error: Call to undefined function no_such_function()' in server.read('error.log'))


def test_crash_loop_neither_spins_nor_spreads(work):
    server = Bulkhead(work, NGINX, FPM, tag='crash')
    work.write(f'{server.dir}/www/crash.php', '<?php posix_kill(getmypid(), SIGSEGV);')
    work.write(f'{server.dir}/www/x.php', '<?php echo "ok";')
    with server:
        for _ in range(12):
            assert server.fetch('/crash.php').status in (502, 503, 504)
        assert wait_for(lambda: server.fetch('/x.php').status == 200)


def test_out_of_descriptors_is_survived(work):
    text = NGINX.replace('events { }', 'worker_rlimit_nofile 64;\nevents { worker_connections 2000; }')
    server = Bulkhead(work, text, FPM, tag='fds')
    work.write(f'{server.dir}/www/x.php', '<?php echo "ok";')
    with server:
        held = []
        for _ in range(150):
            s = socket.socket()
            s.settimeout(5)
            s.connect(('127.0.0.1', server.port))
            held.append(s)
        time.sleep(0.3)
        for s in held:
            s.close()
        assert wait_for(lambda: server.fetch('/x.php').text == 'ok')


def test_twice_the_same_server_name_is_a_warning(work):
    text = NGINX.replace('root @DIR@/www;', 'server_name one.example;\nroot @DIR@/www;').replace(
        'access_log @DIR@/access.log;',
        'access_log @DIR@/access.log;\nserver { listen 127.0.0.1:@PORT@; server_name one.example; root @DIR@/other; }')
    server = Bulkhead(work, text, FPM, tag='names')
    work.write(f'{server.dir}/other/f.txt', 'first wins')
    code, said = run(server, 'test')
    assert code == 0 and re.search(r'conflicting server name "one\.example" on 127\.0\.0\.1:\d+, ignored', said)
    with server:
        assert server.fetch('/f.txt', host='one.example').text == 'first wins'


def test_unknown_host_goes_to_the_default_server_of_that_address(work):
    text = NGINX.replace('root @DIR@/www;', 'server_name one.example;\nroot @DIR@/www;').replace(
        'access_log @DIR@/access.log;',
        'access_log @DIR@/access.log;\nserver { listen 127.0.0.1:@PORT@ default_server; server_name _; return 444; }')
    server = Bulkhead(work, text, FPM, tag='host')
    with server:
        with server.connect() as c:
            c.send(b'GET / HTTP/1.1\r\nHost: unknown.example\r\n\r\n')
            assert c.read_response() is None


def test_two_sockets_in_one_start_and_a_second_start(work):
    server = Bulkhead(work, NGINX, FPM, tag='second')
    work.mkdir(f'{server.dir}/www')  # a site sees the directories that are there when its pool starts
    with server:
        other = Bulkhead(work, NGINX.replace('@PORT@', str(free_port())), FPM, tag='second')
        code, said = run(other)
        assert code != 0 and ('already' in said or 'in use' in said)
        # The first one is as it was.
        work.write(f'{server.dir}/www/x.php', '<?php echo "ok";')
        assert server.fetch('/x.php').text == 'ok'


def test_without_root_everything_runs_as_the_caller_with_one_warning(work):
    with users('plain') as (plain,):
        server = Bulkhead(work, NGINX.replace('user www-data;', ''), FPM, tag='plain')
        work.write(f'{server.dir}/www/x.php', '<?php echo posix_geteuid();')
        work.write(f'{server.dir}/www/f.txt', 'file')
        plain.own(server.dir)
        server.spawn([f'{BIN}/bulkhead', 'serve', '--nginx', server.nginx_conf, '--fpm', server.fpm_conf,
                      '--state', f'{server.dir}/state'],
                     user=plain.uid, group=plain.gid, extra_groups=[])
        try:
            wait_for(lambda: os.path.exists(f'{server.dir}/run.pid') and server.ready())
            assert server.fetch('/x.php').text == str(plain.uid)
            assert server.fetch('/f.txt').text == 'file'
            assert {f[1] for f in descendants(server.pid).values()} == {plain.uid}
            warnings = [l for l in server.read('out.log').splitlines() if re.search(r'\broot\b', l)]
            assert len(warnings) == 1, warnings
        finally:
            server.stop()


@pytest.mark.parametrize('arguments, code, message', [
    (['--help'], 0, 'serve'), (['--version'], 0, r'\d+\.\d+'), (['serv'], None, 'serv'), (['serve', '--nginx'], None, 'nginx'),
    (['serve', '--nginx', '/no/such/file'], None, '/no/such/file'), (['serve', '--no-such-option'], None, 'no-such-option'),
    ([], None, 'Usage|usage')])
def test_command_line_mistakes_are_explained(arguments, code, message):
    done = subprocess.run([f'{BIN}/bulkhead', *arguments], capture_output=True, text=True, timeout=20 * SLOW, check=False)
    assert re.search(message, done.stdout + done.stderr)
    assert done.returncode == code if code is not None else done.returncode != 0


def test_logs_follow_no_link_that_a_site_placed(work):
    """A log in a folder the site owns is not written through the site's link."""
    with users('lg') as (user,):
        text = NGINX.replace('access_log @DIR@/access.log', 'access_log @DIR@/owned/access.log')
        server = Bulkhead(work, text, FPM, tag='loglink')
        work.write(f'{server.dir}/www/x.php', '<?php echo "ok";')
        victim = work.write(f'{server.dir}/victim', 'root only', 0o600)
        user.own(work.mkdir(f'{server.dir}/owned'))
        link = f'{server.dir}/owned/access.log'
        os.symlink(victim, link)
        os.chown(link, user.uid, user.gid, follow_symlinks=False)
        try:
            with server:
                server.fetch('/x.php')
        except AssertionError:
            assert 'owned/access.log' in server.read('out.log') + server.read('error.log')
        with open(victim, encoding='ascii') as f:
            assert f.read() == 'root only'


@pytest.mark.parametrize('verb', ['stop', 'quit', 'reload', 'reopen'])
def test_a_pid_file_of_another_program_signals_nobody(tmp_path, verb):
    """An imported nginx.conf names the pid file of a stock nginx that may still run."""
    with subprocess.Popen(['sleep', '60']) as other:
        try:
            pid_file = tmp_path / 'other.pid'
            pid_file.write_text(f'{other.pid}\n', encoding='utf-8')
            done = subprocess.run([f'{BIN}/bulkhead', verb, '--pid', str(pid_file)], capture_output=True, text=True, check=False)
            assert done.returncode == 1 and 'no Bulkhead server' in done.stderr and 'sleep' in done.stderr
            assert other.poll() is None
        finally:
            other.kill()
