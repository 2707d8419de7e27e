"""`bulkhead verify` against a running server: three sites (PHP, PHP with `sandbox = off`, no PHP), every
ordered pair; what is weak is said aloud, and nothing of the evidence stays, also after Ctrl-C."""
import functools
import json
import os
import re
import signal
import subprocess

import pytest

from harness.servers import BIN, Bulkhead, has_more_devices, processes, wait_for
from harness.users import users

pytestmark = pytest.mark.skipif(
    os.environ.get('BULKHEAD_TREE', 'build') != 'build',
    reason='attacks the programs as they are used; sanitizers bring shared memory of their own')

PHP = '''
        location ~ \\.php$ {
            fastcgi_pass unix:@DIR@/{name}.sock;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            include @TOP@/share/conf/fastcgi_params;
        }'''
BLOCK = '''
    server {
        listen 127.0.0.1:@PORT@;
        server_name {name}.example;
        root {w}/{name};
        access_log {w}/log-{name}/access.log;{more}
    }'''
POOL = '''
[{name}]
user = {user}
listen = @DIR@/{name}.sock
pm = ondemand
pm.max_children = 3
{more}
'''


class Live:
    """The server, its sites' users, and what lies in the sites' directories."""

    def __init__(self, server, names, uids):
        self.server, self.names, self.uids = server, names, uids

    def command(self, *words):
        return [os.path.join(BIN, 'bulkhead'), 'verify', '--nginx', self.server.nginx_conf,
                '--fpm', self.server.fpm_conf, *words]

    def verify(self, *words, timeout=280):
        return subprocess.run(self.command(*words), capture_output=True, text=True, timeout=timeout, check=False)

    def report(self, *words):
        done = self.verify('--json', *words)
        assert done.stdout, done.stderr
        return json.loads(done.stdout), done.returncode

    def traces(self):
        """Names in the sites' directories, private ones included, and files that hold a marker."""
        found = []
        if os.path.isdir('/var/lib/php/sessions'):  # where a site without sandbox keeps them
            with os.scandir('/var/lib/php/sessions') as entries:
                found += [e.name for e in entries if e.stat(follow_symlinks=False).st_uid in self.uids]
        for folder, dirs, files in os.walk(self.server.work.path):
            if '/opcache' in folder or os.path.basename(folder).startswith('log-'):
                continue  # logs tell what was asked for: that is their task
            found += [os.path.join(folder, n) for n in dirs + files if 'bhv' in n]
            for name in files:
                if name.endswith('.log'):
                    continue
                try:
                    with open(os.path.join(folder, name), 'rb') as f:
                        if b'BHVMARK' in f.read(1 << 20):
                            found.append(os.path.join(folder, name))
                except OSError:
                    pass  # a socket of the server
        return found

    def attackers(self):
        """Programs of verify that run as one of the sites' users."""
        return [facts[2] for pid, facts in processes().items()
                if 'bulkhead-probe' in facts[2] and facts[3] != 'Z' and uid_of(pid) in self.uids]


def uid_of(pid):
    """Of the process itself: its directory in /proc is root's when it may not be dumped."""
    try:
        with open(f'/proc/{pid}/status', encoding='utf-8') as f:
            return int(re.search(r'(?m)^Uid:\t(\d+)', f.read())[1])
    except OSError:
        return None


@pytest.fixture(scope='module')
def live(work):
    with users('one', 'open', 'plain') as made:
        names = ['one', 'open', 'plain']
        for name, owner in zip(names, made):
            work.write(f'{name}/index.html', f'of {name}')
            owner.own(work.mkdir(name))
            owner.own(work.mkdir(f'log-{name}'))
        blocks = [BLOCK.replace('{more}', PHP).replace('{name}', 'one'),
                  BLOCK.replace('{more}', PHP).replace('{name}', 'open'),
                  BLOCK.replace('{more}', f'\n        user {made[2].name};').replace('{name}', 'plain')]
        nginx = ('user www-data;\nworker_processes 1;\npid @DIR@/run.pid;\nerror_log @DIR@/error.log;\nevents { }\n'
                 'http {' + ''.join(blocks) + '\n}\n').replace('{w}', work.path)
        fpm = '[global]\nerror_log = @DIR@/fpm.log\n' + ''.join(
            POOL.replace('{name}', name).replace('{user}', user.name).replace('{more}', more)
            for name, user, more in (('one', made[0], ''), ('open', made[1], 'sandbox = off')))
        with Bulkhead(work, nginx, fpm) as server:
            yield Live(server, ['one', 'open', 'plain.example'], [user.uid for user in made])


@pytest.fixture(scope='module')
def whole(live):
    return live.report('--quick')


def rows_of(report, attacker, victim):
    pair = [p for p in report['pairs'] if (p['attacker'], p['victim']) == (attacker, victim)]
    assert len(pair) == 1
    return {row['id']: row for row in pair[0]['probes']}


def allowed(rows):
    return {i: row['detail'] for i, row in rows.items() if row['verdict'] == 'allowed'}


def test_every_ordered_pair_is_attacked(live, whole):
    report, _ = whole
    pairs = [(p['attacker'], p['victim']) for p in report['pairs']]
    assert sorted(pairs) == sorted((a, b) for a in live.names for b in live.names if a != b)
    assert all(len(p['probes']) > 110 for p in report['pairs'])


@pytest.mark.parametrize('victim', ['open', 'plain.example'])
def test_nothing_is_allowed_to_a_site_in_its_sandbox(whole, victim):
    rows = rows_of(whole[0], 'one', victim)
    assert allowed(rows) == {}
    for probe in ('A1', 'A1b', 'A1c', 'A2d', 'A3', 'A4', 'B1', 'C6', 'D7', 'D12', 'F1'):
        assert rows[probe]['verdict'] == 'blocked', rows[probe]


def test_a_site_without_programs_attacks_over_http_alone(whole):
    rows = rows_of(whole[0], 'plain.example', 'one')
    assert allowed(rows) == {}
    for probe in ('A3', 'A3b', 'A3c', 'A4', 'A5b', 'A6', 'A7', 'A8', 'C10', 'F1', 'F2'):
        assert rows[probe]['verdict'] == 'blocked', rows[probe]
    assert rows['A1']['detail'] == 'the attacking site runs no programs'
    assert rows['B1']['detail'] == 'the attacking site runs no PHP'


@pytest.mark.parametrize('probe', ['A1', 'A1c', 'A2', 'A2d', 'A2e', 'C3', 'D1', 'D2c', 'D12', 'D12b', 'D14b'])
def test_a_site_without_sandbox_is_noticed(whole, probe):
    if probe == 'D14b' and not has_more_devices():
        pytest.skip('this machine has only the devices that every site has')
    report, code = whole
    assert rows_of(report, 'open', 'one')[probe]['verdict'] == 'allowed'
    assert code == 1 and report['allowed'] > 0


def test_no_layer_is_praised_that_is_switched_off(whole):
    held = {row['by'] for row in rows_of(whole[0], 'open', 'one').values() if row['by']}
    assert not held & {'view', 'pid', 'ipc', 'landlock', 'seccomp', 'cgroup'}
    assert 'view' in {row['by'] for row in rows_of(whole[0], 'one', 'open').values()}


def test_sandbox_off_is_said_aloud(live, whole):
    assert 'SANDBOX OFF: only file permissions stand between open and the other sites' in whole[0]['warnings']
    done = live.verify('--probe', 'A15')
    first = done.stdout.split('\n==')[0]  # before the first attack
    assert 'WARNING: SANDBOX OFF: ' in first and 'between open and' in first
    status = subprocess.run([os.path.join(BIN, 'bulkhead'), 'status', '--nginx', live.server.nginx_conf,
                             '--fpm', live.server.fpm_conf], capture_output=True, text=True, check=True).stdout
    assert re.search(r'(?m)^ +\d+  open .* OFF$', status), status
    assert status.endswith('WARNING: SANDBOX OFF: open: only file permissions stand between these sites '
                           'and all others\n')
    assert 'SANDBOX IS OFF' in live.server.read('out.log') + live.server.read('fpm.log')


def test_nothing_of_the_evidence_stays(live, whole):
    assert live.traces() == []
    assert live.attackers() == []


def test_named_sites_alone_are_attacked(live):
    report, code = live.report('--probe', 'A3', '--probe', 'A1', 'one', 'plain.example')
    assert sorted((p['attacker'], p['victim']) for p in report['pairs']) == [
        ('one', 'plain.example'), ('plain.example', 'one')]
    assert report['warnings'] == [] and code == 0
    by_server_name, _ = live.report('--probe', 'A3', 'one.example', 'open')
    assert {p['attacker'] for p in by_server_name['pairs']} == {'one', 'open'}


@pytest.mark.parametrize('words, said', [
    (['one', 'nobody.example'], 'there is no site nobody.example'),
    (['one'], 'it takes two sites'),
])
def test_wrong_names_are_explained(live, words, said):
    done = live.verify(*words)
    assert done.returncode == 2 and said in done.stderr
    assert live.traces() == []


def test_a_root_that_the_site_cannot_write_is_no_pass_and_no_end(live):
    root = live.server.work / 'plain'
    before = os.stat(root)
    os.chown(root, 0, 0)
    try:
        report, code = live.report('--probe', 'A1', '--probe', 'A2d', '--probe', 'F3', 'one', 'plain.example')
    finally:
        os.chown(root, before.st_uid, before.st_gid)
    rows = rows_of(report, 'one', 'plain.example')
    assert rows['A1']['verdict'] == 'not_run' and 'Permission denied' in rows['A1']['detail']
    assert rows['A2d']['verdict'] == 'blocked' and rows['F3']['verdict'] == 'blocked'
    assert code == 0


def test_a_root_that_nobody_named_is_no_secret_and_its_site_replaces_no_other(work):
    """A server block without `root` serves the pages that nginx brings; each site sees those."""
    with users('named', 'bare') as (named, bare):
        work.write('bare/named/index.php', '<?php echo getmypid();')
        named.own(work / 'bare/named')
        block = BLOCK.replace('{more}', PHP).replace('{name}', 'named').replace('access_log {w}/log-named/access.log;', '')
        nginx = ('user www-data;\nworker_processes 1;\npid @DIR@/run.pid;\nerror_log @DIR@/error.log;\nevents { }\n'
                 'http { access_log off; ' + block.replace('{w}', work / 'bare') + '\ninclude @DIR@/more/*.conf; }\n')
        fpm = '[global]\nerror_log = @DIR@/fpm.log\n' + POOL.replace('{name}', 'named').replace('{user}', named.name).replace(
            'pm = ondemand', 'pm = static').replace('{more}', '')
        with Bulkhead(work, nginx, fpm, tag='bare') as server:
            def pid():
                return int(server.fetch('/index.php', host='named.example').text)

            def pools():
                return {p: f for p, f in server.descendants().items() if 'pool named' in f[2]}
            assert pid() > 0
            before = set(pools())
            server.save('more/bare.conf', 'server { listen 127.0.0.1:@PORT@; server_name bare.example; '
                        f'user {bare.name}; location = /up {{ return 204; }} }}')
            os.kill(server.pid, signal.SIGHUP)
            wait_for(lambda: server.fetch('/up', host='bare.example').status == 204)
            assert pid() > 0 and set(pools()) == before
            live = Live(server, ['named', 'bare.example'], [named.uid, bare.uid])
            report, code = live.report('--probe', 'A2b', '--probe', 'A2c', 'named', 'bare.example')
            rows = rows_of(report, 'named', 'bare.example')
            for probe in ('A2b', 'A2c'):
                assert rows[probe]['verdict'] == 'not_run' and 'every site sees it' in rows[probe]['detail'], rows
            assert code == 0


def test_a_planted_script_answers_nobody_else(live):
    process = subprocess.Popen(live.command('--quick', 'one', 'open'), stdout=subprocess.DEVNULL)
    try:
        scripts = {}

        def planted():
            for name in ('one', 'open'):
                for leaf in os.listdir(live.server.work / name):
                    if re.fullmatch(r'bhv[0-9a-f]{12}-[av]\.php', leaf):
                        scripts[name] = leaf
            return len(scripts) == 2
        wait_for(planted, 20, 'the scripts')
        for name, leaf in scripts.items():
            assert os.stat(live.server.work / f'{name}/{leaf}').st_mode & 0o777 == 0o400
            for query in ('?do=warm&secret=php://filter/convert.base64-encode/resource=/etc/passwd',
                          '?probe=B1&secret=/etc/passwd'):
                reply = live.server.fetch(f'/{leaf}{query}', host=f'{name}.example')
                assert reply.status == 403 and reply.body == b''
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
    assert live.traces() == []


def test_ctrl_c_leaves_nothing(live):
    """At moments that differ in what is under way: evidence planted, a race, a session,
    a load by programs, one over HTTP."""
    state = os.path.join(live.server.dir, 'state/sites/one')

    def names(folder, part):
        return any(part in n for _, dirs, files in os.walk(folder) for n in dirs + files)
    moments = [
        (['--quick'], lambda _: names(live.server.work / 'open', '-open')),
        (['--probe', 'A4'], lambda _: names(live.server.work / 'one', '-race.txt')),
        (['--probe', 'A4'], lambda _: names(state, 'sess_bhv')),
        (['--probe', 'E4'], lambda _: names(state, '.fill')),
        (['--probe', 'E6'], lambda own: len(of_session(own)) >= 4),
    ]
    for words, under_way in moments:
        process = subprocess.Popen(live.command(*words, 'one', 'open'), stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, start_new_session=True)
        wait_for(functools.partial(under_way, process.pid), 30, f'{words} under way')
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=30)
        assert process.returncode == 130, said
        assert 'taking the evidence away' in said
        assert live.traces() == [], words
        assert live.attackers() == [], words
        assert of_session(process.pid) == [], words


def of_session(leader):
    """Titles of the live processes of a session."""
    found = []
    for pid, facts in processes().items():
        try:
            if facts[3] != 'Z' and os.getsid(pid) == leader:
                found.append(facts[2])
        except ProcessLookupError:
            pass
    return found


def test_the_next_run_removes_what_a_killed_one_left(live):
    process = subprocess.Popen(live.command('--quick', 'one', 'open'), stdout=subprocess.DEVNULL)
    wait_for(lambda: any('-secret.php' in t for t in live.traces()), 20, 'evidence')
    process.kill()
    process.wait(30)
    wait_for(lambda: not live.attackers(), 20, 'the end of its helpers')
    assert any('-secret.php' in t for t in live.traces())
    live.report('--probe', 'A15', 'one', 'plain.example')
    assert live.traces() == []


def test_a_server_that_does_not_run_is_said(live):
    done = subprocess.run([*live.command(), '--pid', live.server.work / 'none.pid'], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 2 and 'no server is running' in done.stderr
