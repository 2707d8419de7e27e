"""`bulkhead verify`: that it proves what it says, that what is weakened is noticed, that it leaves
nothing behind."""
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from harness.servers import BIN, has_more_devices, wait_for

RUNS = '/var/lib/bulkhead-verify'
pytestmark = pytest.mark.skipif(
    os.environ.get('BULKHEAD_TREE', 'build') != 'build',
    reason='attacks the programs as they are used; sanitizers bring shared memory of their own')


def verify(*arguments, binaries=BIN, timeout=280):
    """Runs verify and reads its JSON; the report and the exit status."""
    done = subprocess.run([os.path.join(binaries, 'bulkhead'), 'verify', '--json', *arguments],
                          capture_output=True, text=True, timeout=timeout, check=False)
    assert done.stdout, done.stderr
    return json.loads(done.stdout), done.returncode


def verdicts(report, server='bulkhead', pair=0):
    found = [p for p in report['pairs'] if p['server'] == server][pair]
    return {row['id']: row for row in found['probes']}


def only(*ids):
    return [word for i in ids for word in ('--probe', i)]


def recorded():
    """Runs that have written their record: (directory, pid, whether it lives, users)."""
    for name in os.listdir(RUNS) if os.path.isdir(RUNS) else []:
        try:
            with open(os.path.join(RUNS, name, 'record'), encoding='utf-8') as f:
                words = [line.split() for line in f]
        except OSError:
            continue  # its owner is about to write it, or removes it
        if words:
            pid, started = words[0][1:3]
            yield name, int(pid), start_time(pid) == started, {w[1] for w in words if w[0] == 'user'}


def leftovers():
    """Users and directories that belong to no run that lives (somebody else's may, at the same time)."""
    users = {u.pw_name for u in pwd.getpwall() if re.fullmatch(r'bhv[0-9a-f]{5}[a-z]', u.pw_name)}
    dead = []
    for name, _, alive, made in recorded():
        if alive:
            users -= made
        else:
            dead.append(name)
    return sorted(users), dead


def run_of(pid):
    """The directory of this process's run, once it has made its users."""
    there = {u.pw_name for u in pwd.getpwall()}
    return [os.path.join(RUNS, name) for name, run, _, made in recorded() if run == pid and made and made <= there]


def start_time(pid):
    try:
        with open(f'/proc/{pid}/stat', encoding='latin-1') as f:
            return f.read().rsplit(')', 1)[1].split()[19]
    except OSError:
        return ''


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    assert leftovers() == ([], [])


@pytest.fixture(scope='module')
def comparison():
    report, code = verify('--compare', '--quick')
    return report, code


# What the article's setup leaks, each with the evidence in hand.
STOCK_LEAKS = [
    'A1', 'A1c', 'A2', 'A2b', 'A2d', 'A2e', 'A3', 'A3b', 'A3c', 'A4', 'A9', 'A9b', 'A9c', 'A9e', 'A11',
    'B1', 'B2', 'B3', 'B4', 'B4b', 'B7', 'B8', 'C1', 'C3', 'C4', 'C4b', 'C8', 'D1', 'D2c', 'D4', 'D4b',
    'D4c', 'D4e', 'D5', 'D9', 'D9b', 'D11', 'D14b', 'D14d', 'E12']


@pytest.mark.parametrize('probe', STOCK_LEAKS)
def test_stock_leaks_what_bulkhead_blocks(comparison, probe):
    if probe == 'D14b' and not has_more_devices():
        pytest.skip('this machine has only the devices that every site has')
    report, _ = comparison
    stock = verdicts(report, 'nginx + php-fpm')[probe]
    assert stock['verdict'] == 'allowed', stock
    ours = verdicts(report)[probe]
    assert ours['verdict'] in ('blocked', 'degraded'), ours


def test_comparison_counts_only_our_side(comparison):
    report, code = comparison
    allowed = [row for row in verdicts(report).values() if row['verdict'] == 'allowed']
    assert not allowed
    assert code == 0
    assert verdicts(report, 'nginx + php-fpm')['B1']['detail'].startswith('obtained BHVMARK')


@pytest.fixture(scope='module')
def private():
    folder = tempfile.mkdtemp(prefix='bhverify')
    page = os.path.join(folder, 'page.html')
    report, code = verify('--new', '--quick', '--html', page)
    with open(page, encoding='utf-8') as f:
        html = f.read()
    shutil.rmtree(folder)
    return report, code, html


def test_new_allows_nothing_in_both_directions(private):
    report, code, _ = private
    assert len(report['pairs']) == 2
    assert report['pairs'][0]['attacker'] == report['pairs'][1]['victim']
    allowed = [row for pair in report['pairs'] for row in pair['probes'] if row['verdict'] == 'allowed']
    assert not allowed
    assert code == 0 and report['allowed'] == 0


# Probes that may be left out on any machine; every other one must have been tried.
NEVER = {'A12', 'A13', 'B5', 'B6', 'B9', 'B10', 'B11', 'C2', 'C6b', 'C7', 'C12', 'C13', 'D10', 'D15', 'F6',
         'D4d'}  # D4d: the sandbox has no POSIX queues for the victim either


def test_new_tries_all_that_can_be_tried(private):
    report, _, _ = private
    rows = verdicts(report, pair=1)
    left_out = {i: row['detail'] for i, row in rows.items() if row['verdict'] == 'not_run'}
    assert all(left_out.values())
    assert {i for i in left_out if not (i[0] == 'E' and left_out[i] == '--quick')} <= NEVER
    assert len(rows) > 110


def test_the_page_stands_alone(private):
    report, _, html = private
    assert html.startswith('<!DOCTYPE html>')
    for outside in ('src=', '<link', '@import', 'url(', 'http://', 'https://', '<script'):
        assert outside not in html
    assert 'prefers-color-scheme: dark' in html and 'width=device-width' in html
    for pair in report['pairs']:
        assert html.count(f'<h2>{pair["attacker"]} ') == 1
    assert html.count('<li class=') == sum(len(pair['probes']) for pair in report['pairs'])


def test_the_list_names_every_probe_once():
    text = subprocess.run([os.path.join(BIN, 'bulkhead'), 'verify', '--list'], capture_output=True,
                          text=True, check=True).stdout
    ids = re.findall(r'^  ([A-F]\d+[a-z]?) ', text, re.M)
    assert len(ids) == len(set(ids)) > 110


@pytest.mark.parametrize('arguments, said', [
    (['--new', '--probe', 'Z9'], 'there is no probe Z9'),
    (['--layer-off', 'view'], 'need --new'),
    (['--new', '--compare'], 'exclude each other'),
    (['--new', '--layer-off', 'walls'], 'walls'),
    (['--config', '/nonexistent.conf'], '/nonexistent.conf'),
])
def test_wrong_words_are_explained(arguments, said):
    done = subprocess.run([os.path.join(BIN, 'bulkhead'), 'verify', *arguments], capture_output=True,
                          text=True, check=False)
    assert done.returncode not in (0, 1)
    assert said in done.stdout + done.stderr


# --- weakened on purpose: the probe named must notice ---------------------------------------------

WITHOUT = {
    'view': ['A2', 'C1', 'C4b', 'D1'],
    'landlock': ['C3'],
    'seccomp': ['D2c', 'D12', 'D12d', 'D12e', 'D12g'],
    'ipc': ['D4', 'D4b', 'D4c', 'D4e'],
}
# What must hold whichever single layer is missing.
FILES = ['A1', 'A1b', 'A1c', 'A2b', 'A2d', 'A2e', 'A5', 'A9d', 'A9e', 'A9f', 'A15']
PROCESSES = ['C5', 'C5b', 'D1b', 'D1e', 'D2', 'D2b', 'D3', 'D3b', 'D3c']
LAYERS = ['view', 'landlock', 'seccomp', 'ipc', 'pid']


@pytest.fixture(scope='module')
def without():
    """layer -> verdicts when it is left out."""
    cache = {}

    def get(layer):
        if layer not in cache:
            wanted = FILES + PROCESSES + sum(WITHOUT.values(), [])
            for _ in range(3):
                report, code = verify('--new', '--layer-off', layer, *only(*wanted))
                assert f'`{layer}` is switched off' in ' '.join(report['warnings'])
                cache[layer] = verdicts(report), code
                # Landlock knows /etc/passwd as the file it was when the pool began: another test adds users meanwhile.
                if layer != 'view' or cache[layer][0]['A2']['by'] != 'kernel':
                    break
        return cache[layer]
    return get


@pytest.mark.parametrize('layer, probe', [(layer, probe) for layer in WITHOUT for probe in WITHOUT[layer]])
def test_a_probe_notices_that_its_layer_is_missing(without, layer, probe):
    rows, code = without(layer)
    assert rows[probe]['verdict'] == 'allowed', rows[probe]
    assert code == 1


@pytest.mark.parametrize('layer', LAYERS)
def test_files_and_processes_rest_on_no_layer_alone(without, layer):
    rows, _ = without(layer)
    open_to = {i: rows[i]['detail'] for i in FILES + PROCESSES if rows[i]['verdict'] not in ('blocked', 'degraded')}
    assert not open_to


def test_without_a_process_namespace_and_a_group_something_outlives_the_site():
    if has_groups():
        row = verdicts(verify('--new', '--layer-off', 'pid', *only('D11'))[0], pair=1)['D11']
        assert row['verdict'] == 'blocked' and row['by'] == 'group', row
    report, code = verify('--new', '--layer-off', 'pid', '--layer-off', 'cgroup', *only('D11'))
    row = verdicts(report, pair=1)['D11']
    assert row['verdict'] == 'allowed' and code == 1, row
    assert verdicts(verify('--new', *only('D11'))[0], pair=1)['D11']['verdict'] == 'blocked'


def test_without_shares_a_load_rests_on_the_kernel():
    report, _ = verify('--new', '--layer-off', 'cgroup', *only('E3b', 'D11'))
    assert '`cgroup` is switched off' in ' '.join(report['warnings'])
    rows = verdicts(report, pair=1)
    assert rows['D11']['verdict'] == 'blocked' and rows['D11']['by'] == 'pid'
    assert rows['E3b']['by'] != 'cgroup' and rows['E3b']['verdict'] in ('degraded', 'allowed'), rows


def has_groups():
    """cgroup v2, with or without controllers."""
    return any(os.path.exists(f'/sys/fs/cgroup/{d}cgroup.controllers') for d in ('', 'unified/'))


def test_no_sandbox_is_noticed():
    report, code = verify('--new', '--pool-line', 'sandbox = off', *only('A1', 'A9', 'C3', 'D4', 'D12d'))
    assert {i: row['verdict'] for i, row in verdicts(report).items()} == dict.fromkeys(
        ['A1', 'A9', 'C3', 'D4', 'D12d'], 'allowed')
    assert code == 1


def test_a_shared_session_directory_is_noticed():
    folder = tempfile.mkdtemp(prefix='bhsess', dir='/var/lib')
    os.chmod(folder, 0o777)
    try:
        report, code = verify('--new', '--pool-line', f'php_value[session.save_path] = {folder}',
                              '--pool-line', f'sandbox.write[] = {folder}', *only('A9d', 'A9e', 'A9f'))
    finally:
        shutil.rmtree(folder)
    rows = verdicts(report)
    assert rows['A9d']['verdict'] == 'allowed' and rows['A9e']['verdict'] == 'allowed', rows
    assert rows['A9f']['verdict'] == 'blocked'  # PHP keeps each file to its owner
    assert code == 1


def test_a_shared_opcache_is_noticed():
    weak = os.path.join(os.path.dirname(BIN), 'weakened')
    folder = tempfile.mkdtemp(prefix='bhweak', dir=os.path.dirname(BIN))
    try:
        for name in os.listdir(BIN):
            if name.startswith('bulkhead'):
                os.link(os.path.join(BIN, name), os.path.join(folder, name))
        for name in os.listdir(weak):
            os.unlink(os.path.join(folder, name))
            os.link(os.path.join(weak, name), os.path.join(folder, name))
        report, code = verify('--new', *only('B2', 'B3', 'B4'), binaries=folder)
    finally:
        shutil.rmtree(folder)
    assert {i: row['verdict'] for i, row in verdicts(report).items()} == {
        'B2': 'allowed', 'B3': 'allowed', 'B4': 'allowed'}
    assert code == 1


@pytest.mark.parametrize('how', [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_takes_everything_away(how):
    process = subprocess.Popen([os.path.join(BIN, 'bulkhead'), 'verify', '--new'], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    folder = wait_for(lambda: run_of(process.pid), 20, 'its users')[0]
    time.sleep(3)
    process.send_signal(how)
    process.communicate(timeout=60)
    assert process.returncode == 128 + how
    assert leftovers() == ([], [])
    assert not subprocess.run(['pgrep', '-f', folder], capture_output=True, check=False).stdout


def test_the_next_run_removes_what_a_killed_one_left():
    process = subprocess.Popen([os.path.join(BIN, 'bulkhead'), 'verify', '--new'], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    folder = wait_for(lambda: run_of(process.pid), 20, 'its users')[0]
    time.sleep(3)
    process.kill()
    process.wait(60)
    assert leftovers()[0]
    verify('--new', *only('A1'))
    assert leftovers() == ([], [])
    assert not subprocess.run(['pgrep', '-f', folder], capture_output=True, check=False).stdout
