"""`bulkhead site`: whose files it keeps as they are, whom it believes, and what it leaves behind."""
import json
import os
import pwd
import re
import shutil
import stat
import subprocess

import pytest

from harness.servers import wait_for
from harness.sites import Machine


@pytest.fixture(scope='module')
def machine():
    made = Machine('trust')
    try:
        yield made.start()
    finally:
        made.remove()


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def write_as(user, path, text):
    subprocess.run(['tee', path], input=text, text=True, user=user.pw_uid, group=user.pw_gid, extra_groups=[], check=True,
                   stdout=subprocess.DEVNULL)


def reads(user, path):
    return subprocess.run(['cat', path], user=user.pw_uid, group=user.pw_gid, extra_groups=[], capture_output=True,
                          check=False).returncode == 0


def archive_of(machine, name):
    found = sorted(a for a in os.listdir(f'{machine.state}/archive') if a.startswith(name))
    return f'{machine.state}/archive/{found[-1]}'


def test_a_secret_given_to_a_site_is_read_by_root_alone(machine):
    other = machine.user(machine.add('reader'))
    name = machine.add('secret', '--env', 'KEY=hunter2')
    path = f'{machine.etc}/pools/{name}.conf'
    assert mode(path) == 0o640 and os.stat(path).st_uid == os.stat(path).st_gid == 0
    assert not reads(other, path) and not reads(machine.user(name), path)
    machine.site('set', name, 'env[MORE]=hunter3')
    assert mode(path) == 0o640
    # Those who must read it still do: the server, and the commands that look.
    write_as(machine.user(name), f'{machine.record(name)["root"]}/k.php', '<?php echo getenv("KEY"), getenv("MORE");')
    wait_for(lambda: machine.answer(name, '/k.php').text == 'hunter2hunter3', why='the pool with the variables')
    shown = machine.site('show', name)
    assert 'hunter2' in shown and path in shown
    with open(f'{machine.state}/journal/lock', encoding='utf-8') as f:
        assert 'hunter' not in f.read()


def test_what_the_administrator_made_of_a_file_stays(machine):
    name = machine.add('kept')
    path, server = f'{machine.etc}/pools/{name}.conf', f'{machine.etc}/sites-available/{name}.conf'
    nobody = pwd.getpwnam('nobody')
    os.chown(path, 0, nobody.pw_gid)
    os.chmod(path, 0o600)
    subprocess.run(['setfacl', '-m', 'u:nobody:r', path], check=True)
    os.chmod(server, 0o604)

    def looks(of=path):
        return subprocess.run(['getfacl', '-cpn', of], capture_output=True, text=True, check=True).stdout, mode(of), os.stat(of).st_gid
    before, of_server = looks(), looks(server)
    assert f'user:{nobody.pw_uid}:r--' in before[0]
    machine.site('set', name, 'workers=4', 'aliases=' + machine.name('keptalias'))
    assert looks() == before and looks(server) == of_server
    assert 'must be a size' in machine.site('set', name, 'memory=lots', code=1)  # written, then put back
    assert looks() == before
    machine.site('disable', name)
    machine.site('set', name, 'workers=3')
    machine.site('enable', name)
    assert looks() == before
    target = machine.name('keptnew')
    machine.site('rename', name, target)
    assert looks(f'{machine.etc}/pools/{target}.conf') == before
    assert looks(f'{machine.etc}/sites-available/{target}.conf') == of_server
    # A copy is another site's: it begins as a new one does.
    copy = machine.name('keptcopy')
    machine.site('clone', target, copy)
    assert mode(f'{machine.etc}/pools/{copy}.conf') == 0o640 and os.stat(f'{machine.etc}/pools/{copy}.conf').st_gid == 0


@pytest.fixture
def archive(machine, tmp_path_factory):
    """A removed site's, in a place of root's outside of the state."""
    name = machine.name('arch')
    if not os.path.exists(f'{machine.state}/records/{name}.json'):
        machine.add('arch')
    machine.site('remove', name)
    there = machine.work.mkdir('elsewhere', 0o700)
    path = f'{there}/{name}'
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(archive_of(machine, name), path)
    shutil.rmtree(archive_of(machine, name))
    yield path
    if not os.path.exists(f'{machine.state}/records/{name}.json'):
        machine.add('arch')


def change(path, **facts):
    with open(f'{path}/site.json', encoding='utf-8') as f:
        record = json.load(f)
    record.update(facts)
    with open(f'{path}/site.json', 'w', encoding='utf-8') as f:
        json.dump(record, f)


@pytest.mark.parametrize('facts, why', [
    ({'own_user': False, 'user': 'root'}, "one of the system's"),
    ({'own_user': False, 'user': 'www-data'}, "one of the system's"),
    ({'own_user': False, 'user': 'no-such-user-here'}, 'there is no user'),
    ({'user': '-x'}, 'must begin with a lower-case letter'), ({'user': 'a b'}, 'may hold lower-case letters'),
    ({'home': '/etc'}, 'its home is /etc'), ({'home': '/'}, 'its home is /'),
    ({'name': '../../etc/cron.d/x'}, 'has an empty part'), ({'name': 'UPPER.test'}, 'not in lower case'),
    ({'root': '/srv/../etc'}, '--root takes an absolute path'), ({'root': 'relative'}, '--root takes an absolute path'),
    ({'folders': ['../../etc']}, 'is no folder of a home'), ({'folders': ['--checkpoint-action=exec=sh']}, 'is no folder'),
    ({'folders': ['logs']}, 'is no folder'), ({'aliases': ['a; evil']}, 'may hold letters'),
    ({'listen': ['80; evil']}, '--listen takes one address'), ({'listen': []}, 'no address to listen'),
    ({'www': 'x'}, 'there is no --www'), ({'database': 'oracle'}, 'no kind of database'),
    ({'database': 'mariadb', 'database_name': 'mysql'}, "no name for a site's database"),
    ({'database': 'mariadb', 'database_name': "x'; DROP"}, "no name for a site's database"),
    ({'database': 'mariadb', 'database_name': 'x', 'database_socket': '--init-command'}, 'no path of a socket'),
    ({'template': '../../../etc/shadow'}, "no template's name")])
def test_an_archive_that_asks_for_what_add_refuses_is_refused(machine, archive, facts, why):
    users, etc = machine.users(), os.stat('/etc')
    change(archive, **facts)
    assert why in machine.site('restore', archive, code=1)
    now = os.stat('/etc')
    assert machine.users() == users and (now.st_uid, now.st_gid, now.st_mode) == (etc.st_uid, etc.st_gid, etc.st_mode)


def test_an_archive_of_the_user_of_another_site_is_refused(machine, archive):
    other = machine.name('reader')
    if not os.path.exists(f'{machine.state}/records/{other}.json'):
        machine.add('reader')
    change(archive, own_user=False, user=machine.record(other)['user'])
    assert f'is that of site {other}' in machine.site('restore', archive, code=1)


def test_an_archive_that_others_may_change_is_refused(machine, archive):
    nobody = pwd.getpwnam('nobody').pw_uid
    above = os.path.dirname(archive)
    for path, spoil, mend in ((archive, lambda p: os.chmod(p, 0o777), lambda p: os.chmod(p, 0o700)),
                              (archive, lambda p: os.chown(p, nobody, 0), lambda p: os.chown(p, 0, 0)),
                              (above, lambda p: os.chmod(p, 0o770), lambda p: os.chmod(p, 0o700)),
                              (above, lambda p: os.chown(p, nobody, 0), lambda p: os.chown(p, 0, 0)),
                              (f'{archive}/site.json', lambda p: os.chmod(p, 0o666), lambda p: os.chmod(p, 0o600)),
                              (f'{archive}/files.tar.zst', lambda p: os.chown(p, nobody, 0), lambda p: os.chown(p, 0, 0))):
        spoil(path)
        told = machine.site('restore', archive, code=1)
        assert f'{path} can be changed by others than root' in told and 'chown -R root:' in told
        mend(path)
    os.rename(f'{archive}/server.conf', f'{archive}/real.conf')
    os.symlink('/etc/shadow', f'{archive}/server.conf')
    assert 'is no file' in machine.site('restore', archive, code=1)
    os.unlink(f'{archive}/server.conf')
    os.rename(f'{archive}/real.conf', f'{archive}/server.conf')
    machine.site('restore', archive)  # as it was, it is taken


def test_a_tar_is_unpacked_as_the_site_and_follows_no_link_out(machine, archive):
    """Members that climb, and a link with a file behind it: root writes nothing."""
    outside = machine.work.mkdir('outside', 0o755)
    packing = machine.work.mkdir('packing/public')
    os.symlink(outside, f'{packing}/out')
    top = os.path.dirname(packing)
    subprocess.run(['tar', '-C', top, '--zstd', '-cf', f'{archive}/files.tar.zst', 'public'], check=True)
    os.unlink(f'{packing}/out')
    os.mkdir(f'{packing}/out')
    with open(f'{packing}/out/planted', 'w', encoding='utf-8') as f:
        f.write('by root')
    plain = f'{top}/plain.tar'
    subprocess.run(['tar', '-C', top, '-cf', plain, 'public/out/planted'], check=True)
    first = subprocess.run(['zstd', '-dc', f'{archive}/files.tar.zst'], check=True, capture_output=True).stdout
    with open(plain, 'rb') as f:
        second = f.read()
    end = len(first.rstrip(b'\0')) + (-len(first.rstrip(b'\0')) % 512)
    with open(f'{archive}/files.tar.zst', 'wb') as out:
        subprocess.run(['zstd', '-qc'], input=first[:end] + second, stdout=out, check=True)
    machine.run('restore', archive)
    assert not os.listdir(outside)
    shutil.rmtree(top)


def test_a_root_outside_the_home_goes_and_comes_with_its_site(machine):
    root = machine.work / 'apart/web'
    name = machine.add('apart', '--root', root)
    user = machine.user(name)
    assert os.stat(root).st_uid == user.pw_uid
    write_as(user, f'{root}/page.txt', 'apart')
    assert machine.answer(name, '/page.txt').text == 'apart'
    machine.site('remove', name)
    assert not os.path.lexists(root) and os.listdir(os.path.dirname(root)) == []
    machine.site('restore', os.path.basename(archive_of(machine, name)))
    assert machine.answer(name, '/page.txt').text == 'apart'
    assert os.stat(f'{root}/page.txt').st_uid == machine.user(name).pw_uid
    machine.site('remove', name, '--purge')
    assert not os.path.lexists(root)


def test_a_root_that_was_there_stays_and_nobody_owns_it_later(machine):
    """The number of a removed user is given to the next one."""
    root = machine.work.mkdir('given/web')
    victim = machine.work.write('victim', 'x', 0o600)
    name = machine.name('given')
    machine.site('add', name, '--listen', f'127.0.0.1:{machine.port}', '--root', root)
    user = machine.user(name)
    os.chown(root, user.pw_uid, user.pw_gid)
    deep = root
    folder = os.open(root, os.O_RDONLY)
    for _ in range(300):  # deeper than a walk that holds every directory open, longer than a path may be
        subprocess.run(['mkdir', 'd' * 20], check=True, user=user.pw_uid, group=user.pw_gid, extra_groups=[],
                       cwd=f'/proc/self/fd/{folder}', pass_fds=[folder])
        inner = os.open('d' * 20, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
        deep += '/' + 'd' * 20
    write_as(user, f'{root}/tool', '#!/bin/sh\n')
    subprocess.run(['chmod', '4755', f'{root}/tool'], check=True, user=user.pw_uid, group=user.pw_gid, extra_groups=[])
    os.symlink(victim, f'{root}/link')
    os.lchown(f'{root}/link', user.pw_uid, user.pw_gid)
    kept = machine.work.write('given/web/of-www-data', 'x')
    other = pwd.getpwnam('www-data').pw_uid
    os.chown(kept, other, other)
    told = machine.site('remove', name, '--purge')
    assert f"{root} is left, what user {user.pw_name} owned there is root's" in told
    info = os.fstat(folder)
    os.close(folder)
    assert info.st_uid == 0, 'the deepest directory'
    assert os.lstat(f'{root}/link').st_uid == 0 and os.stat(f'{root}/tool').st_mode & 0o6000 == 0
    assert os.stat(kept).st_uid == other
    found = subprocess.run(['find', root, '-uid', str(user.pw_uid)], capture_output=True, text=True, check=True).stdout
    assert found == ''
    subprocess.run(['rm', '-rf', root], check=True)


def strace(machine, *words, more=()):
    log = machine.work / 'strace.log'
    done = machine.run(*words, prefix=('strace', '-f', '-y', '-s', '40', '-o', log, '-e',
                                       'trace=write,fsync,fdatasync,syncfs,renameat,renameat2,unlinkat,mkdirat,symlinkat', *more))
    with open(log, encoding='utf-8', errors='replace') as f:
        return done, f.read().splitlines()


def unsynced(lines, tops):
    """Directories whose entries changed and that no fsync followed, when "committed" is written; likewise at the end."""
    dirty, at_commit, whole = {}, None, False
    for line in lines:
        call = re.match(r'\d+ +(\w+)\((.*)', line)
        if not call or re.search(r'= -1 ', line):
            continue
        name, rest = call.groups()
        if name == 'syncfs':
            dirty.clear()
        elif name == 'fsync':
            dirty.pop(re.match(r'\d+<([^>]*)>', rest).group(1), None)
        elif name == 'write':
            if '"committed\\n"' in rest:
                at_commit, whole = dict(dirty), True
        elif name != 'fdatasync':
            for folder in re.findall(r'\d+<([^>]*)>', rest):
                if folder.startswith(tops) and '/journal' not in folder:
                    dirty[folder] = line
    return whole, at_commit


def test_everything_is_on_the_disk_before_the_journal_says_so(machine):
    name = machine.name('synced')
    tops = (machine.etc, machine.state, machine.homes)
    words = ['add', name, '--listen', f'127.0.0.1:{machine.port}']
    for command in (words, ['set', name, 'workers=2'], ['disable', name], ['enable', name], ['remove', name]):
        done, lines = strace(machine, *command)
        assert done.returncode == 0, done.stderr
        committed, left = unsynced(lines, tops)
        assert committed and not left, (command, left)
    # The record, made by write and rename: its text, too, before the name.
    assert any(re.search(r'fsync\(\d+<[^>]*\.json', line) for line in lines), lines


def test_a_disk_that_fails_when_all_is_to_be_synced_undoes_the_command(machine):
    name = machine.name('eio')
    listen = ('--listen', f'127.0.0.1:{machine.port}')
    users = machine.users()
    done, lines = strace(machine, 'add', name, *listen)
    us = next(line for line in lines if '"committed' in line).split()[0]  # strace counts calls of each process
    folders = [n for n, line in enumerate([x for x in lines if re.match(us + r' +fsync\(', x)], 1)
               if re.search(r'fsync\(\d+<[^>]*/sites-enabled>', line)]
    machine.site('remove', name, '--purge')
    # The directory of links is synced by nothing but the last step before "committed".
    done, lines = strace(machine, 'add', name, *listen, more=('-e', f'inject=fsync:error=EIO:when={folders[0]}'))
    assert done.returncode == 1, done.stdout + done.stderr
    assert not any('"committed' in line for line in lines)
    assert machine.users() == users and not os.path.exists(f'{machine.state}/journal/current')
    assert not os.path.lexists(f'{machine.etc}/sites-enabled/{name}.conf')
