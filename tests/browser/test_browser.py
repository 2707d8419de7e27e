"""`site add blog.localhost --template wordpress --db mariadb`, then a person in Chromium (driven through
Playwright) completes WordPress's installation, writes a post with a picture, reads it as a visitor; a second
site tries to read the first one's wp-config.php.  Reasons to be skipped: no Chromium, no npm, no registry."""
import json
import os
import shutil
import subprocess

import pytest

from harness.mariadb import MariaDb
from harness.servers import BIN
from harness.sites import Machine

HERE = os.path.dirname(os.path.abspath(__file__))
LIBRARY = os.path.join(os.path.dirname(BIN), 'browser')
THEFT = '''<?php
error_reporting(0);
foreach (['%s'] as $path) {
    echo is_file($path) ? 'sees it' : 'sees nothing', ', ', @file_get_contents($path) ?: 'reads nothing', ', ';
    @include $path;
    echo defined('DB_NAME') ? 'has ' . DB_NAME : 'has nothing';
}
'''


@pytest.fixture(scope='module')
def playwright():
    """The pinned library, in the build tree; fetched once."""
    if shutil.which('chromium') is None:
        pytest.skip('chromium is not installed (package chromium)')
    if shutil.which('npm') is None:
        pytest.skip('npm is not installed: Playwright cannot be fetched')
    os.makedirs(LIBRARY, exist_ok=True)
    for name in ('package.json', 'package-lock.json'):
        shutil.copy(os.path.join(HERE, name), LIBRARY)
    try:
        done = subprocess.run(['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'], cwd=LIBRARY,
                              capture_output=True, text=True, check=False, timeout=120)
    except subprocess.TimeoutExpired:
        pytest.skip('the npm registry does not answer within two minutes')
    if done.returncode != 0:
        # A lock file that does not fit, or a package that is not what it was: not the network's fault.
        assert not any(word in done.stderr for word in ('EUSAGE', 'EINTEGRITY')), done.stderr
        pytest.skip('npm cannot fetch Playwright: ' + (done.stderr.strip().splitlines() or ['no reason given'])[0])
    return os.path.join(LIBRARY, 'node_modules/playwright-core')


@pytest.fixture(scope='module')
def machine():
    made = Machine('browser')
    try:
        yield made.start()
    finally:
        made.remove()


@pytest.fixture(scope='module')
def blog(machine):
    """A site of WordPress's files with nothing installed; its name is one that a browser finds here."""
    with MariaDb(os.path.join(machine.dir, 'mariadb')) as db:
        name = f'blog{os.getpid()}.localhost'
        machine.site('add', name, '--listen', f'127.0.0.1:{machine.port}', '--template', 'wordpress', '--db', 'mariadb',
                     '--db-socket', db.socket)
        files = os.path.join(machine.dir, 'wordpress')
        # (shutil.copytree takes relative links for dangling ones and leaves them out.)
        subprocess.run(['cp', '-rL', '/usr/share/wordpress', files], check=True)
        settings = os.path.join(machine.user(name).pw_dir, 'public/wp-config.php')
        shutil.copy(settings, os.path.join(files, 'wp-config.php'))  # copy-in puts a whole tree in the place of the old one
        machine.site('copy-in', name, '--from', files)
        yield name, settings


def write_as(user, path, text):
    subprocess.run(['tee', path], input=text, text=True, user=user.pw_uid, group=user.pw_gid, extra_groups=[], check=True,
                   stdout=subprocess.DEVNULL)


def test_a_person_installs_wordpress_writes_and_reads_and_the_neighbour_reads_nothing(machine, blog, playwright):
    name, settings = blog
    other = f'other{os.getpid()}.localhost'
    machine.site('add', other, '--listen', f'127.0.0.1:{machine.port}')
    thief = machine.user(other)
    public = os.path.join(thief.pw_dir, 'public')
    write_as(thief, os.path.join(public, 'theft.php'), THEFT % settings)
    subprocess.run(['ln', '-s', settings, os.path.join(public, 'theft.txt')], user=thief.pw_uid, group=thief.pw_gid,
                   extra_groups=[], check=True)
    picture = os.path.join(machine.dir, 'hull.png')
    subprocess.run(['/usr/bin/convert', '-size', '640x480', 'gradient:navy-white', picture], check=True)
    address = f'http://{name}:{machine.port}'
    task = {'library': playwright, 'chromium': shutil.which('chromium'), 'address': address, 'picture': picture,
            'patience_ms': 20000, 'shot': os.path.join(machine.dir, 'failed.png'),
            'neighbour': [f'http://{other}:{machine.port}/{page}' for page in ('theft.php', 'theft.txt')]}
    done = subprocess.run(['node', os.path.join(HERE, 'wordpress.cjs'), json.dumps(task)], capture_output=True, text=True,
                          check=False, timeout=240, env=dict(os.environ, HOME=machine.dir))
    if done.returncode != 0 and os.path.exists(task['shot']) and os.environ.get('BULKHEAD_SHOTS'):
        shutil.copy(task['shot'], os.environ['BULKHEAD_SHOTS'])
    assert done.returncode == 0, done.stderr + machine.read('error.log')[-2000:]
    seen = json.loads(done.stdout)
    assert 'Bulkheads hold' in seen['title'] and 'Water in one compartment stays there.' in seen['text']
    assert seen['width'] == 640 and seen['url'].startswith(address), 'the picture is shown'
    assert seen['broken'] == []
    (page, said), (link, _) = seen['stolen']
    assert (page, said.strip()) == (200, 'sees nothing, reads nothing, has nothing') and link in (403, 404)
    uploads = os.path.join(os.path.dirname(settings), 'wp-content/uploads')
    files = [os.path.join(folder, f) for folder, _, names in os.walk(uploads) for f in names]
    assert files and all(os.stat(f).st_uid == machine.user(name).pw_uid for f in files)
