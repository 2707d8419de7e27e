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

from harness.servers import BIN, wait_for

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


def leftovers():
    users = [u.pw_name for u in pwd.getpwall() if re.fullmatch(r'bhv[0-9a-f]{5}[a-z]', u.pw_name)]
    runs = os.listdir(RUNS) if os.path.isdir(RUNS) else []
    return users, runs


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
    'D4c', 'D4d', 'D4e', 'D5', 'D9', 'D9b', 'D11', 'D14b', 'D14d', 'D16', 'E12']


@pytest.mark.parametrize('probe', STOCK_LEAKS)
def test_stock_leaks_what_bulkhead_blocks(comparison, probe):
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
NEVER = {'A12', 'A13', 'B5', 'B6', 'B9', 'B10', 'B11', 'C2', 'C6b', 'C7', 'C12', 'C13', 'D10', 'D15', 'F6'}


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
    'view': ['A2', 'A9', 'A9b', 'A9c', 'C4b'],
    'pid': ['D3c'],
    'ipc': ['D4', 'D4b', 'D4c', 'D4d'],
    'landlock': ['C3'],
    'seccomp': ['D2c', 'D12d', 'D12g'],
}


@pytest.fixture(scope='module')
def weakened():
    """layer -> verdicts without it, for all probes of groups A, C and D."""
    cache = {}

    def get(layer):
        if layer not in cache:
            report, code = verify('--new', '--quick', '--layer-off', layer)
            cache[layer] = (verdicts(report), code, report)
        return cache[layer]
    return get


@pytest.mark.parametrize('how', [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_takes_everything_away(how):
    process = subprocess.Popen([os.path.join(BIN, 'bulkhead'), 'verify', '--new'], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    wait_for(lambda: leftovers()[0], 20, 'its users')
    time.sleep(3)
    process.send_signal(how)
    process.communicate(timeout=60)
    assert process.returncode == 128 + how
    assert leftovers() == ([], [])
    assert not subprocess.run(['pgrep', '-f', RUNS], capture_output=True, check=False).stdout


def test_the_next_run_removes_what_a_killed_one_left():
    process = subprocess.Popen([os.path.join(BIN, 'bulkhead'), 'verify', '--new'], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    wait_for(lambda: leftovers()[0], 20, 'its users')
    time.sleep(3)
    process.kill()
    process.communicate(timeout=60)
    assert leftovers()[0]
    verify('--new', *only('A1'))
    assert leftovers() == ([], [])
    assert not subprocess.run(['pgrep', '-f', RUNS], capture_output=True, check=False).stdout
