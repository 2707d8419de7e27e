"""`bulkhead site` killed at every step of every command: the next one finds the old state or the new one.

The journal calls fdatasync(2) before each step; strace lets the n-th of these calls end the program by SIGKILL.
Nothing else calls it, and the program has no switch for tests."""
import os
import pwd
import re
import shutil
import subprocess

import pytest

from harness.servers import wait_for
from harness.sites import Machine

pytestmark = pytest.mark.skipif(
    os.environ.get('BULKHEAD_TREE', 'build') != 'build',
    reason='hundreds of starts; the same steps run under the sanitizers in the other files of test_site_*')


@pytest.fixture(scope='module')
def machine():
    made = Machine('kill')
    try:
        yield made
    finally:
        made.remove()


def state(machine):
    """What a command may change, as one value: files with owner, mode and text, users."""
    seen = {}
    for top in (machine.etc, machine.homes, machine.state, os.path.join(machine.dir, 'ssh/sshd_config.d')):
        for folder, folders, files in os.walk(top):
            for name in folders + files:
                path = os.path.join(folder, name)
                if '/journal' in path or '/archive/' in path or '/state/base' in path:
                    continue
                info = os.lstat(path)
                text = ''
                if os.path.islink(path):
                    text = os.readlink(path)
                elif os.path.isfile(path) and not path.endswith(('.sock', '.log')):
                    with open(path, encoding='utf-8', errors='replace') as f:
                        text = re.sub(r'"created": "[^"]*"', '', f.read())
                seen[path] = (info.st_mode, text)
    homes = sorted((e.pw_name, e.pw_dir, e.pw_shell) for e in pwd.getpwall() if e.pw_name in machine.users())
    return seen, homes


def killed_at(machine, n, *words):
    """Runs a command that dies at its n-th fdatasync; False: it came to its end first."""
    done = machine.run(*words, prefix=('strace', '-o', '/dev/null', '-e', 'trace=fdatasync',
                                       '-e', f'inject=fdatasync:signal=SIGKILL:when={n}'))
    if done.returncode == 0:
        return False
    assert done.returncode in (-9, 137), f'{words} at {n}: {done.returncode} {done.stdout}{done.stderr}'
    return True


def everywhere(machine, words, undo):
    """Kills a command at each step; `undo` brings the old state back after it was done.  How often it was killed."""
    old = state(machine)
    machine.site(*words)
    new = state(machine)
    assert new != old
    machine.site(*undo)
    assert state(machine) == old, 'the test itself: undo is exact'
    undone, silent = 0, []
    for n in range(1, 200):
        killed = killed_at(machine, n, *words)
        told = machine.run('recover')
        assert told.returncode == 0, f'{words} at {n}: {told.stderr}'
        now = state(machine)
        assert now in (old, new), f'{words} killed at {n}: neither old nor new: ' + difference(now, old, new)
        if not killed:
            assert now == new
            machine.site(*undo)
            # Nothing is said of the first and the last: the journal is not there yet, or no more.
            assert [at for at, _ in silent] == [1, n - 1], silent
            return undone, n - 1
        if ('undid' if now == old else 'finished') not in told.stderr:
            silent.append((n, told.stderr))
        if now == new:
            machine.site(*undo)
        else:
            undone += 1
    raise AssertionError('it never came to its end')


def difference(now, old, new):
    def names(a, b):
        return sorted(k for k in a[0].keys() | b[0].keys() if a[0].get(k) != b[0].get(k))[:5]
    return f'to the old one {names(now, old)} {now[1]}, to the new one {names(now, new)}'


@pytest.fixture(scope='module')
def site(machine):
    """The first site also makes what all of them share."""
    return machine.add('stays')


def test_add_is_killed_at_every_step(machine, site):
    name = machine.name('added')
    undone, kills = everywhere(machine, ('add', name, '--listen', f'127.0.0.1:{machine.port}'),
                               ('remove', name, '--purge'))
    assert undone >= 10 and kills > undone


def test_disable_and_enable_are_killed_at_every_step(machine, site):
    undone, _ = everywhere(machine, ('disable', site), ('enable', site))
    assert undone >= 5
    machine.site('disable', site)
    undone, _ = everywhere(machine, ('enable', site), ('disable', site))
    machine.site('enable', site)
    assert undone >= 5


def test_set_is_killed_at_every_step(machine, site):
    undone, _ = everywhere(machine, ('set', site, 'workers=7', 'aliases=' + machine.name('x')),
                           ('set', site, 'workers=5', 'aliases='))
    assert undone >= 4


def test_clone_and_rename_are_killed_at_every_step(machine, site):
    name = machine.name('copy')
    undone, _ = everywhere(machine, ('clone', site, name), ('remove', name, '--purge'))
    assert undone >= 10
    undone, _ = everywhere(machine, ('rename', site, name), ('rename', name, site))
    assert undone >= 12


def test_copy_in_is_killed_at_every_step(machine, site):
    home = machine.user(site).pw_dir
    machine.work.write('bring/inside/file', 'brought')
    old = machine.work.mkdir('bring')
    for n in range(1, 20):
        killed = killed_at(machine, n, 'copy-in', site, '--from', old)
        machine.site('recover')
        left = sorted(os.listdir(home))
        brought = os.path.exists(f'{home}/public/inside/file')
        kept = [f for f in left if f.startswith('public.before-')]
        assert left == sorted(['logs', 'private', 'public', *kept]) and len(kept) == brought, (n, left)
        if brought:
            assert os.path.exists(f'{home}/{kept[0]}/index.php')
            shutil.rmtree(f'{home}/public')
            os.rename(f'{home}/{kept[0]}', f'{home}/public')
        else:
            assert killed and os.path.exists(f'{home}/public/index.php'), n
        if not killed:
            assert n >= 6
            return


def test_keys_cron_and_sftp_are_killed_at_every_step(machine, site):
    machine.env['BULKHEAD_CRON'] = machine.work.mkdir('kill/etc/cron.d')
    everywhere(machine, ('cron', 'add', site, '@daily', 'true'), ('cron', 'remove', site, '@daily'))
    key = machine.work / 'key'
    subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'one@desk', '-f', key], check=True)
    # Removing the last key leaves an empty file, so the old state has one.
    machine.site('ssh-key', 'add', site, key + '.pub')
    machine.site('ssh-key', 'remove', site, 'one@desk')
    everywhere(machine, ('ssh-key', 'add', site, key + '.pub'), ('ssh-key', 'remove', site, 'one@desk'))


def test_remove_is_killed_at_every_step(machine, site):
    """Undone means that every file is there with its owner."""
    name = machine.add('removed')
    record = machine.record(name)
    undone = 0
    for n in range(1, 100):
        before = state(machine)
        killed = killed_at(machine, n, 'remove', name)
        machine.site('recover')
        if os.path.exists(f'{machine.state}/records/{name}.json'):
            assert killed and state(machine) == before, n
            owner = os.stat(f'{record["home"]}/public/index.php').st_uid
            assert owner == pwd.getpwnam(record['user']).pw_uid
            undone += 1
            continue
        assert not os.path.exists(record['home']) and record['user'] not in machine.users()
        assert not [f for f in os.listdir(machine.homes) if f.startswith('.')]
        archives = sorted(a for a in os.listdir(f'{machine.state}/archive') if a.startswith(name))
        machine.site('restore', archives[-1])
        if not killed:
            break
    assert undone >= 8
    machine.site('remove', name, '--purge')


def test_restore_is_killed_at_every_step(machine, site):
    name = machine.add('back')
    machine.site('remove', name)
    archive, = [a for a in os.listdir(f'{machine.state}/archive') if a.startswith(name)]
    undone, _ = everywhere(machine, ('restore', archive), ('remove', name, '--purge'))
    assert undone >= 10


def test_the_server_puts_things_in_order_before_it_starts(machine, site):
    name = machine.name('cut')
    assert killed_at(machine, 14, 'add', name, '--listen', f'127.0.0.1:{machine.port}')
    assert os.path.exists(f'{machine.state}/journal/current')
    machine.start()
    try:
        wait_for(lambda: machine.answer(site).status == 200, why='the site')
        assert f'undid an earlier "bulkhead site add {name}' in machine.read('out.log')
        assert not os.path.exists(f'{machine.state}/journal/current') and not os.path.exists(f'{machine.homes}/{name}')
    finally:
        machine.stop()


def test_an_interrupted_command_undoes_at_once(machine, site):
    """SIGINT at the 12th step, as Ctrl-C would."""
    name = machine.name('ctrlc')
    old = state(machine)
    done = machine.run('add', name, '--listen', f'127.0.0.1:{machine.port}',
                       prefix=('strace', '-o', '/dev/null', '-e', 'trace=fdatasync',
                               '-e', 'inject=fdatasync:signal=SIGINT:when=12'))
    assert done.returncode == 1 and 'interrupted' in done.stderr, done.stderr
    assert state(machine) == old and not os.path.exists(f'{machine.state}/journal/current')


def test_a_step_that_fails_undoes_all(machine, site):
    """The link cannot be made: a directory is in its place."""
    name = machine.name('blocked')
    os.mkdir(f'{machine.etc}/sites-available/{name}.conf.new~')
    old = state(machine)
    told = machine.site('add', name, '--listen', f'127.0.0.1:{machine.port}', code=1)
    assert f'cannot write {machine.etc}/sites-available/{name}.conf' in told
    assert state(machine) == old
    os.rmdir(f'{machine.etc}/sites-available/{name}.conf.new~')
    with pytest.raises(KeyError):
        pwd.getpwnam(name.replace('.', '-'))
    assert subprocess.run(['getent', 'group', name.replace('.', '-')], check=False).returncode == 2
