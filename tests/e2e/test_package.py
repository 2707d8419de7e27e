"""The Debian package: what is in it, what it says of itself; lintian's word on it.  What it does to a
machine is shown by tests/bare/package (HACKING.md)."""
import os
import re
import shutil
import subprocess
import tempfile

import pytest

from harness.servers import BIN, TOP

pytestmark = pytest.mark.skipif(
    os.environ.get('BULKHEAD_TREE', 'build') != 'build', reason='the release tree is what is packaged')
TREE = os.path.dirname(BIN)


def run(*words, **kwargs):
    done = subprocess.run(words, capture_output=True, text=True, check=False, **kwargs)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope='module')
def package():
    """The package, and its files unpacked."""
    folder = tempfile.mkdtemp(prefix='bhdeb')
    try:
        run('cpack', '-G', 'DEB', '--config', os.path.join(TREE, 'CPackConfig.cmake'), '-B', folder, cwd=folder)
        found = [n for n in os.listdir(folder) if n.endswith('.deb')]
        assert len(found) == 1 and re.fullmatch(r'bulkhead_\d+\.\d+\.\d+_amd64\.deb', found[0])
        deb = os.path.join(folder, found[0])
        run('dpkg-deb', '-R', deb, os.path.join(folder, 'tree'))
        yield deb, os.path.join(folder, 'tree')
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize('path', [
    'usr/lib/bulkhead/bulkhead', 'usr/lib/bulkhead/bulkhead-master', 'usr/lib/bulkhead/bulkhead-front',
    'usr/lib/bulkhead/bulkhead-files', 'usr/lib/bulkhead/bulkhead-sendmail', 'usr/lib/bulkhead/bulkhead-site',
    'usr/lib/bulkhead/bulkhead-import',
    'usr/lib/bulkhead/bulkhead-verify', 'usr/lib/bulkhead/bulkhead-probe', 'usr/lib/bulkhead/bulkhead-php8.2',
    'usr/lib/bulkhead/upgrade', 'lib/systemd/system/bulkhead.service', 'etc/bulkhead/bulkhead.conf',
    'etc/bulkhead/mime.types', 'etc/bulkhead/fastcgi_params', 'etc/bulkhead/templates/php.conf',
    'etc/bulkhead/pools', 'etc/bulkhead/sites-enabled', 'usr/share/bulkhead/welcome/index.html',
    'usr/share/man/man5/bulkhead.conf.5.gz', 'usr/share/man/man5/bulkhead-pool.5.gz',
    'usr/share/bash-completion/completions/bulkhead', 'usr/share/zsh/vendor-completions/_bulkhead',
    'usr/share/fish/vendor_completions.d/bulkhead.fish',
    'usr/share/man/man1/bulkhead.1.gz', 'usr/share/man/man1/bulkhead-site.1.gz',
    'usr/share/doc/bulkhead/copyright'])
def test_holds(package, path):
    assert os.path.exists(os.path.join(package[1], path))


def test_holds_every_program_and_no_test(package):
    built = {n for n in os.listdir(BIN) if n.startswith('bulkhead')}
    packed = {n for n in os.listdir(os.path.join(package[1], 'usr/lib/bulkhead')) if n != 'upgrade'}
    assert packed == built


def test_the_command_is_a_link_that_leads_there(package):
    link = os.path.join(package[1], 'usr/bin/bulkhead')
    assert os.path.islink(link) and not os.readlink(link).startswith('/')
    assert run(link, '--version').startswith('bulkhead ')


def test_what_is_below_etc_is_kept_when_changed(package):
    tree = package[1]
    files = {'/' + os.path.relpath(os.path.join(folder, n), tree)
             for folder, _, names in os.walk(os.path.join(tree, 'etc')) for n in names}
    with open(os.path.join(tree, 'DEBIAN/conffiles'), encoding='utf-8') as f:
        assert set(f.read().split()) == files


def test_names_what_it_needs(package):
    depends = run('dpkg-deb', '-f', package[0], 'Depends')
    for name in ('libphp8.2-embed', 'php8.2-opcache', 'adduser', 'libc6', 'libseccomp2'):
        assert re.search(rf'(^|, ){re.escape(name)}\b', depends), depends


def test_the_default_configuration_is_valid_and_serves_the_welcome_page(package):
    tree = package[1]
    with open(os.path.join(tree, 'etc/bulkhead/bulkhead.conf'), encoding='utf-8') as f:
        text = f.read()
    assert '@' not in text and 'root /usr/share/bulkhead/welcome;' in text
    moved = text.replace('/etc/bulkhead', os.path.join(tree, 'etc/bulkhead'))
    moved = moved.replace('/var/log/bulkhead', tree).replace('/run/', tree + '/')
    moved = re.sub(r'listen \[::\].*|(?<=listen )80', lambda m: '127.0.0.1:8' if m[0] == '80' else '', moved)
    path = os.path.join(tree, 'etc/bulkhead/bulkhead.conf.moved')
    with open(path, 'w', encoding='utf-8') as f:
        f.write(moved)
    run(os.path.join(tree, 'usr/bin/bulkhead'), 'test', '--config', path)
    os.unlink(path)


@pytest.mark.parametrize('script', ['postinst', 'prerm', 'postrm', '../usr/lib/bulkhead/upgrade'])
def test_scripts_are_sound(package, script):
    path = os.path.join(package[1], 'DEBIAN', script)
    assert os.access(path, os.X_OK)
    run('sh', '-n', path)


def test_the_service_is_sound(package):
    if shutil.which('systemd-analyze') is None:
        pytest.skip('systemd-analyze is not installed (package systemd)')
    unit = os.path.join(package[1], 'lib/systemd/system/bulkhead.service')
    with open(unit, encoding='utf-8') as f:
        text = f.read().replace('/usr/bin/bulkhead', os.path.join(BIN, 'bulkhead'))
    folder = tempfile.mkdtemp(prefix='bhunit')
    try:
        with open(os.path.join(folder, 'bulkhead.service'), 'w', encoding='utf-8') as f:
            f.write(text)
        done = subprocess.run(['systemd-analyze', 'verify', '--man=no', os.path.join(folder, 'bulkhead.service')],
                              capture_output=True, text=True, check=False)
        assert 'bulkhead.service' not in done.stderr, done.stderr
    finally:
        shutil.rmtree(folder)


def test_lintian_finds_nothing(package):
    if shutil.which('lintian') is None:
        pytest.skip('lintian is not installed')
    done = subprocess.run(['lintian', '--allow-root', '--fail-on', 'error,warning', package[0]],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not re.search(r'^[EW]:', done.stdout, re.M), done.stdout + done.stderr


def test_every_override_is_explained():
    with open(os.path.join(TOP, 'share/debian/lintian-overrides'), encoding='utf-8') as f:
        lines = f.read().splitlines()
    for i, line in enumerate(lines):
        if not line.startswith('#'):
            assert lines[i - 1].startswith('# '), line
