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
def test_stock_leaks(comparison, probe):
    report, _ = comparison
    stock = verdicts(report, 'nginx + php-fpm')[probe]
    assert stock['verdict'] == 'allowed', stock


@pytest.fixture(scope='module')
def private():
    folder = tempfile.mkdtemp(prefix='bhverify')
    page = os.path.join(folder, 'page.html')
    report, code = verify('--new', *only('A1', 'B1', 'F1'), '--html', page)
    with open(page, encoding='utf-8') as f:
        html = f.read()
    shutil.rmtree(folder)
    return report, code, html


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
    process = subprocess.Popen([os.path.join(BIN, 'bulkhead'), 'verify', '--new'], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    wait_for(lambda: leftovers()[0], 20, 'its users')
    time.sleep(3)
    process.kill()
    process.wait(60)
    assert leftovers()[0]
    verify('--new', *only('A1'))
    assert leftovers() == ([], [])
    assert not subprocess.run(['pgrep', '-f', RUNS], capture_output=True, check=False).stdout
