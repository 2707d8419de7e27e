"""The php-fpm language: `bulkhead php-fpm -tt` says what `php-fpm -tt` says, line for line.

Some hundred pool files, good and bad, are tested by Debian's php-fpm and by Bulkhead; exit code
and every line must be equal.  Meant differences have a row in INTENDED.
"""
import concurrent.futures
import os
import re
import subprocess

import pytest

from fpm_language_cases import ADDED, BASE, WHOLE
from harness.servers import BIN

# case -> why Bulkhead says otherwise
INTENDED = {
    'pm.max_children = 99999999999': 'php-fpm wraps numbers beyond an int around; the limit is safer',
    'pm.process_idle_timeout=99999999999': 'the same',
    'request_terminate_timeout=100000d': 'the same',
    'chdir=PHP_VERSION': "the master links no PHP and does not know the release's last number",
    'php_value[x]=$': 'php-fpm takes the end of the line into the value',
    'php_value[x]=a$': 'the same',
    'user=': 'an account or address that the start would refuse is refused by -t too',
    'listen=a:b': 'the same',
    'listen=99999': 'the same',
    'listen=0': 'the same',
    'sandbox=on': "Bulkhead's own settings of a pool are in force under `bulkhead php-fpm` too",
    'limit.memory=1G': 'the same',
    'idle_timeout=5': 'the same',
    'include=@DIR@/inc2/*.conf': 'php-fpm names the line of the included file, not that of the include',
}

FULL = '''[global]
pid = run/x.pid
error_log = @DIR@/e.log
syslog.facility = local0
syslog.ident = abc
log_limit = 2048
log_buffering = no
emergency_restart_threshold = 10
emergency_restart_interval = 1m
process_control_timeout = 10s
process.max = 128
process.priority = -5
daemonize = no
rlimit_files = 1024
rlimit_core = unlimited
events.mechanism = epoll
systemd_interval = 5s
[a]
prefix = @DIR@/inc2/..
user = www-data
group = nogroup
listen = $pool.sock
listen.backlog = 100
listen.owner = www-data
listen.group = www-data
listen.mode = 0600
listen.acl_users = root,nobody
listen.acl_groups = nogroup
listen.allowed_clients = 127.0.0.1
process.priority = -3
process.dumpable = yes
pm = dynamic
pm.max_children = 5
pm.start_servers = 2
pm.min_spare_servers = 1
pm.max_spare_servers = 3
pm.max_spawn_rate = 10
pm.process_idle_timeout = 2m
pm.max_requests = 500
pm.status_path = /status
pm.status_listen = 127.0.0.1:9001
ping.path = /ping
ping.response = "pong x"
access.log = $pool.access.log
access.format = "%R - %u %t \\"%m %r%Q%q\\" %s %f %{milli}d %{kilo}M %C%%"
access.suppress_path[] = /ping
access.suppress_path[] = /x
slowlog = $pool.slow
request_slowlog_timeout = 5s
request_slowlog_trace_depth = 30
request_terminate_timeout = 1h
request_terminate_timeout_track_finished = yes
rlimit_files = 2048
rlimit_core = 0
chroot =
chdir = /var
catch_workers_output = yes
decorate_workers_output = no
clear_env = no
security.limit_extensions = .php .php3 .php7
env[HOSTNAME] = $HOSTNAME
env[TMP] = /tmp
php_admin_value[sendmail_path] = /usr/sbin/sendmail -t -i -f www@my.domain.com
php_flag[display_errors] = off
php_admin_flag[log_errors] = on
php_value[a] = 1
php_value[a] = 2
php_admin_value[memory_limit] = 32M
[b]
user = nobody
listen = 127.0.0.1:9002
pm = ondemand
pm.max_children = 1
[c]
user = nobody
listen = 9003
pm = static
pm.max_children = 1
'''


def said(command, path):
    """Exit code and lines of `command -tt`, without times."""
    done = subprocess.run([*command, '-n', '-tt', '-y', path], capture_output=True, timeout=60, check=False)
    text = (done.stderr + done.stdout).decode('latin-1')
    return done.returncode, re.sub(r'(?m)^\[\d\d-\w{3}-\d{4} \d\d:\d\d:\d\d(\.\d+)?\] ', '', text).split('\n')


def compare(work, name, text):
    """Nothing when both say the same, else what differs."""
    text = text.replace('@BASE@', BASE).replace('@DIR@', work.path)
    path = work.write(f'{name}.conf', text.encode('latin-1'))
    peer = said(['/usr/sbin/php-fpm8.2'], path)
    second = ['/usr/sbin/php-fpm8.2'] if os.environ.get('BULKHEAD_TEST_STOCK') == '1' else [f'{BIN}/bulkhead', 'php-fpm']
    ours = said(second, path)
    if peer == ours:
        return None
    return {'exit': (peer[0], ours[0]), 'php-fpm only': [l for l in peer[1] if l not in ours[1]],
            'bulkhead only': [l for l in ours[1] if l not in peer[1]] or 'nothing (order?)'}


@pytest.fixture(scope='module')
def folder(work):
    work.mkdir('log', 0o777)
    work.write('inc2/a.conf', 'listen=/x\nlog_level=x\n')
    work.write('inc/a.conf', BASE.replace('@DIR@', work.path))
    work.write('again.conf', f'include={work.path}/again.conf\n')
    return work


def check(folder, name, cases):
    def one(numbered):
        number, (case, text) = numbered
        return case, compare(folder, f'{name}{number}', text)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = list(pool.map(one, enumerate(cases)))
    wrong = [f'{case!r}: {difference}' for case, difference in results
             if (difference is None) == (case in INTENDED and os.environ.get('BULKHEAD_TEST_STOCK') != '1')]
    assert not wrong, '\n'.join([f'{len(wrong)} of {len(cases)} differ (or no longer do):'] + wrong[:20])


@pytest.mark.parametrize('group', ADDED)
def test_pool_settings(folder, group):
    check(folder, re.sub(r'\W', '-', group), [(added, BASE + added + '\n') for added in ADDED[group]])


def test_whole_files(folder):
    check(folder, 'whole', [(text, text) for text in WHOLE])


def test_every_directive_is_dumped(folder):
    check(folder, 'full', [('full', FULL)])


INCLUDES = [
    'include=@DIR@/inc/*.conf\n',
    '[global]\ninclude=@DIR@/inc/*.conf\n',
    'include=@DIR@/inc/none.conf\ninclude=@DIR@/inc/a.conf\n',
    'include=@DIR@/inc/none.conf\n',
    'include=@DIR@/none/*.conf\n',
    'include=@DIR@/inc\ninclude=@DIR@/inc/a.conf\n',
    'include=none/$pool.conf\n',
    'include=@DIR@/again.conf\n',
    'include=@DIR@/inc/a.conf\nlisten=@DIR@/other.sock\n',
    'include=@DIR@/inc/a.conf\n[global]\nlog_limit=511\n',
    'include=@DIR@/inc/a.conf\n[global]\nprocess.max=-1\n',
    'include=@DIR@/inc/a.conf\n[global]\nerror_log=@DIR@/none/x.log\n',
    'include=@DIR@/inc/a.conf\n[global]\nerror_log=@DIR@\n',
    'include=@DIR@/inc/a.conf\npm.start_servers=0\n[global]\nlog_level=warning\n',
    'include=@DIR@/inc/a.conf\n[global]\nlog_level=error\n',
]


def test_includes(folder):
    check(folder, 'include', [(text, text) for text in INCLUDES])


def test_a_missing_file_and_prefix(folder):
    for arguments in (['-y', '/nonexistent/fpm.conf'], ['-y', 'none.conf'], ['-p', '/nonexistent', '-y', 'x']):
        results = []
        for command in (['/usr/sbin/php-fpm8.2'], [f'{BIN}/bulkhead', 'php-fpm']):
            done = subprocess.run([*command, '-t', *arguments], capture_output=True, cwd=folder.path, check=False)
            results.append((done.returncode, re.sub(rb'(?m)^\[[^]]*\] ', b'', done.stderr)))
        assert results[0] == results[1]
