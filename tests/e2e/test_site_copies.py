"""`bulkhead site` copy-in, clone and rename."""
import os
import pwd
import stat
import subprocess

import pytest

from harness.servers import wait_for
from harness.sites import Machine


@pytest.fixture(scope='module')
def machine():
    made = Machine('copies')
    try:
        yield made.start()
    finally:
        made.remove()


def write_as(user, path, text):
    subprocess.run(['tee', path], input=text, text=True, user=user.pw_uid, group=user.pw_gid, extra_groups=[], check=True,
                   stdout=subprocess.DEVNULL)


def test_copy_in_gives_everything_to_the_site_and_follows_no_link(machine):
    name = machine.add('copied')
    user = machine.user(name)
    old = machine.work.mkdir('old/inner')
    machine.work.write('old/index.php', '<?php echo "moved in";')
    machine.work.write('old/inner/page.txt', 'text', 0o640)
    secret = machine.work.write('secret', 'root only', 0o600)
    os.symlink(secret, f'{old}/link')
    os.mkfifo(f'{old}/pipe')
    done = machine.run('copy-in', name, '--from', machine.work / 'old')
    assert done.returncode == 0 and '1 devices, sockets, pipes' in done.stderr, done.stderr
    wait_for(lambda: machine.answer(name).text == 'moved in', why='the copy to be served')
    public = f'{user.pw_dir}/public'
    for folder, folders, files in os.walk(public):
        for entry in [folder, *(os.path.join(folder, f) for f in folders + files)]:
            assert os.lstat(entry).st_uid == user.pw_uid, entry
    assert os.readlink(f'{public}/inner/link') == secret and os.stat(secret).st_uid == 0
    assert machine.answer(name, '/inner/link').status in (403, 404)
    assert [f for f in os.listdir(user.pw_dir) if f.startswith('public.before-')]
    for wrong, why in (('relative', 'absolute path'), ('/no/such', 'there is no /no/such'),
                       (user.pw_dir, 'lie within each other'), ('/', 'lie within each other')):
        assert why in machine.site('copy-in', name, '--from', wrong, code=1)


def test_a_clone_lives_by_itself(machine):
    source = machine.add('origin', '--memory', '300M')
    user = machine.user(source)
    write_as(user, f'{user.pw_dir}/public/who.php', '<?php echo $_SERVER["USER"];')
    target = machine.name('double')
    machine.site('clone', source, target)
    copied = machine.user(target)
    assert copied.pw_uid != user.pw_uid
    wait_for(lambda: machine.answer(target, '/who.php').text == copied.pw_name, why='the clone')
    assert machine.answer(source, '/who.php').text == user.pw_name
    with open(f'{machine.etc}/pools/{target}.conf', encoding='utf-8') as f:
        text = f.read()
    assert 'limit.memory = 300M' in text and user.pw_name not in text and source not in text
    assert 'is there already' in machine.site('clone', source, target, code=1)
    machine.site('remove', source, '--purge')
    assert machine.answer(target, '/who.php').text == copied.pw_name


def test_rename_moves_home_user_and_names(machine):
    source = machine.add('before', '--www', 'redirect')
    user = machine.user(source)
    write_as(user, f'{user.pw_dir}/public/dir.php', '<?php echo __DIR__;')
    target = machine.name('after')
    machine.site('rename', source, target)
    home = f'{machine.homes}/{target}'
    assert pwd.getpwnam(user.pw_name).pw_dir == home and stat.S_ISDIR(os.stat(home).st_mode)
    wait_for(lambda: machine.answer(target, '/dir.php').text == f'{home}/public', why='the site by its new name')
    assert machine.answer(source).status == 404 and not os.path.exists(f'{machine.homes}/{source}')
    redirect = machine.answer('www.' + target, '/x?y=1')
    assert redirect.status == 301 and redirect.header('Location') == f'http://{target}/x?y=1'
    assert not [f for folder, _, files in os.walk(machine.etc) for f in files if source in f]
    assert 'is its name already' in machine.site('rename', target, target)
    machine.site('remove', target, '--purge')


def test_a_rename_that_fails_leaves_the_old_site(machine):
    source = machine.add('stay')
    target = machine.name('never')
    blocker = f'{machine.etc}/sites-available/{target}.conf.new~'
    os.mkdir(blocker)
    assert 'cannot write' in machine.site('rename', source, target, code=1)
    os.rmdir(blocker)
    assert machine.user(source).pw_dir == f'{machine.homes}/{source}'
    wait_for(lambda: machine.answer(source).status == 200, why='the old site')
    assert machine.answer(target).status == 404
