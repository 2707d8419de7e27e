"""`bulkhead site`: each command on a running server with real users; neighbours are not touched."""
import json
import os
import pwd
import stat
import subprocess
import time

import pytest

from harness.servers import processes, wait_for
from harness.sites import Machine


@pytest.fixture(scope='module')
def machine():
    made = Machine()
    try:
        yield made.start()
    finally:
        made.remove()


@pytest.fixture(scope='module')
def neighbour(machine):
    """A site that no test changes."""
    name = machine.add('near')
    wait_for(lambda: len(pool(machine, name)) == 1, why='the pool that was tried without its server block to end')
    return name


def write_as(user, path, text):
    subprocess.run(['tee', path], input=text, text=True, user=user.pw_uid, group=user.pw_gid, extra_groups=[],
                   check=True, stdout=subprocess.DEVNULL)


def pool(machine, name):
    return {pid for pid, facts in machine.descendants().items() if facts[2] == f'bulkhead: pool {name}'}


def test_dry_run_tells_everything_and_changes_nothing(machine, neighbour):
    def everything():
        return sorted(os.path.join(folder, f) for top in (machine.etc, machine.state, machine.homes)
                      for folder, _, files in os.walk(top) for f in files)
    before, users = everything(), machine.users()
    name = machine.name('dry')
    told = machine.site('add', name, '--listen', f'127.0.0.1:{machine.port}', '--dry-run')
    for line in ('make user and group dry', f'write {machine.etc}/pools/{name}.conf',
                 f'link {machine.etc}/sites-enabled/{name}.conf', 'reload the server', 'ask http://'):
        assert line in told
    assert everything() == before and machine.users() == users
    assert json.loads(machine.site('remove', neighbour, '--dry-run', '--json'))['changed'] is False
    assert machine.answer(neighbour).status == 200


def test_add_serves_at_once_as_a_user_of_its_own(machine, neighbour):
    before = pool(machine, neighbour)
    name = machine.add('plain', '--alias', machine.name('other'), '--www', 'serve', '--env', 'COLOUR=deep red',
                       '--memory', '256M', '--php', '8.2')
    user = machine.user(name)
    assert machine.answer(name).text.splitlines()[1].endswith(f'as user {user.pw_name}.')
    for alias in (machine.name('other'), 'www.' + name):
        assert machine.answer(alias).status == 200
    assert user.pw_shell == '/usr/sbin/nologin' and user.pw_dir == f'{machine.homes}/{name}'
    write_as(user, f'{user.pw_dir}/public/env.php', '<?php echo getenv("COLOUR");')
    assert machine.answer(name, '/env.php').text == 'deep red'
    assert pool(machine, neighbour) == before, 'the neighbour kept its pool'
    home = os.stat(user.pw_dir)
    assert (home.st_uid, home.st_gid, stat.S_IMODE(home.st_mode)) == (0, user.pw_gid, 0o750)
    # Its own log can be read by its user, and by no neighbour.
    log = f'{user.pw_dir}/logs/access.log'
    other = machine.user(neighbour)
    for reader, code in ((user, 0), (other, 1)):
        done = subprocess.run(['grep', '-q', 'env.php', log], user=reader.pw_uid, group=reader.pw_gid,
                              extra_groups=[], check=False, capture_output=True)
        assert (done.returncode == 0) == (code == 0)


def test_the_same_add_twice_changes_nothing(machine):
    name = machine.add('twice')
    generation = json.loads(machine.status())['generation']
    assert 'there already: nothing to do' in machine.site('add', name, '--listen', f'127.0.0.1:{machine.port}')
    assert json.loads(machine.status())['generation'] == generation
    assert 'its template is php' in machine.site('add', name, '--template', 'static', code=1)


@pytest.mark.parametrize('words, why', [
    (['add', 'a..b'], 'has an empty part'), (['add', 'a.b.'], "ends in '.'"), (['add', '../x'], 'has an empty part'), (['add', 'a b'], 'may hold letters'),
    (['add', 'ok.test', '--template', 'nope'], 'there is no template "nope"; there are: drupal'),
    (['add', 'ok.test', '--user', 'root'], "one of the system's"),
    (['add', 'ok.test', '--user', 'Bad'], 'must begin with a lower-case letter'),
    (['add', 'ok.test', '--env', '1'], '--env takes NAME=VALUE'),
    (['add', 'ok.test', '--env', 'A=b"c'], 'no quotes'),
    (['add', 'ok.test', '--memory', 'lots'], "unable to parse value for entry 'limit.memory'"),
    (['add', 'ok.test', '--listen', '80; evil'], '--listen takes one address'),
    (['add', 'ok.test', '--root', '/srv/x y'], '--root takes an absolute path'),
    (['add', 'ok.test', '--root', '/srv/../etc'], '--root takes an absolute path'),
    (['add', 'ok.test', '--root', '/etc'], "/etc is the system's"), (['add', 'ok.test', '--root', '/'], "/ is the system's"),
    (['add', 'ok.test', '--root', '/var/www/'], "/var/www is the system's"),
    (['add', 'ok.test', '--root', '/proc/self/cwd/x'], '--root'),
    (['add', 'ok.test', '--root', '@ETC@/pools'], "is Bulkhead's own"), (['add', 'ok.test', '--root', '@STATE@'], "is Bulkhead's own"),
    (['add', 'ok.test', '--root', '@HOMES@'], '@HOMES@ is inside it'),
    (['add', 'ok.test', '--root', '@HOMES@/@NEAR@/public'], 'it is where homes of sites are'),
    (['set', '@NEAR@', 'memmory=5M'], '"memmory" is no key; did you mean "memory"?'),
    (['set', '@NEAR@', 'php.memory_limit=1M'], 'php_admin_value[memory_limit]=256M'),
    (['show', '@TYPO@'], 'did you mean "@NEAR@"?'), (['remove', '@TYPO@'], 'did you mean "@NEAR@"?'),
    (['show', 'nobody.test'], 'there is no site "nobody.test"'), (['remove', '../../etc'], "is no site's name"),
    (['restore', 'nothing'], 'there is no archive')])
def test_what_cannot_be_is_refused_and_leaves_nothing(machine, neighbour, words, why):
    users = machine.users()
    stands = {'@ETC@': machine.etc, '@STATE@': machine.state, '@HOMES@': machine.homes, '@NEAR@': neighbour,
              '@TYPO@': neighbour.replace('near', 'naer')}
    def filled(text):
        for mark, stand in stands.items():
            text = text.replace(mark, stand)
        return text
    assert filled(why) in machine.site(*(filled(word) for word in words), code=1)
    assert machine.users() == users and not os.path.exists(f'{machine.homes}/ok.test')
    assert not os.path.exists(f'{machine.etc}/pools/ok.test.conf')
    assert machine.answer(neighbour).status == 200


def test_a_name_or_user_that_is_taken_is_refused(machine, neighbour):
    listen = ('--listen', f'127.0.0.1:{machine.port}')
    told = machine.site('add', machine.name('thief'), *listen, '--alias', neighbour, code=1)
    assert f'the name {neighbour} is taken: {machine.etc}/sites-enabled/{neighbour}.conf:' in told
    told = machine.site('add', machine.name('thief'), *listen, '--user', machine.user(neighbour).pw_name, code=1)
    assert f'is that of site {neighbour}' in told


def test_usage_errors_and_help(machine):
    assert machine.run('add').returncode == 2
    assert machine.run('nonsense').returncode == 2
    assert machine.run('add', 'x.test', '--www', 'maybe').returncode == 2
    for words, told in ((('lst',), 'bulkhead site: there is no command "lst"; did you mean "list"? See: bulkhead site --help'),
                        (('add', 'x.test', '--tmplate', 'php'), 'bulkhead site add: there is no option "--tmplate"; did you mean'),
                        (('cron', 'remvoe', 'x'), 'bulkhead site cron: there is no command "remvoe"; did you mean "remove"?'),
                        ((), 'bulkhead site: a command is missing: one of add, list, show'),
                        (('add',), 'bulkhead site add: name is required. See: bulkhead site add --help')):
        done = machine.run(*words)
        assert done.returncode == 2 and told in done.stderr and not done.stdout, done
    done = machine.run('help')
    assert done.returncode == 0 and 'restore' in done.stdout
    for verb in ('add', 'list', 'show', 'set', 'disable', 'enable', 'restart', 'remove', 'restore', 'logs', 'ssh-key',
                 'copy-in', 'clone', 'rename', 'password', 'cron'):
        done = machine.run(verb, '--help')
        assert done.returncode == 0 and len(done.stdout) > 100, verb


def test_an_add_whose_php_does_not_start_is_undone(machine, neighbour):
    users = machine.users()
    path = f'{machine.etc}/templates/broken.conf'
    with open(f'{machine.etc}/templates/php.conf', encoding='utf-8') as f:
        text = f.read()
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text + '#: pool sandbox.read[] = /nowhere/at/all\n')
    name = machine.name('broken')
    told = machine.site('add', name, '--listen', f'127.0.0.1:{machine.port}', '--template', 'broken', code=1)
    assert 'the site does not start' in told
    os.unlink(path)
    assert machine.users() == users and not os.path.exists(f'{machine.homes}/{name}')
    assert machine.answer(name).status == 404 and machine.answer(neighbour).status == 200
    assert name not in machine.status()


@pytest.mark.parametrize('template', ['wordpress', 'laravel', 'symfony', 'drupal', 'mediawiki'])
def test_every_template_serves_php_and_hides_what_it_must(machine, template):
    name = machine.add(template, '--template', template)
    user, root = machine.user(name), machine.record(name)['root']
    script = '<?php echo "front ", $_SERVER["REQUEST_URI"];'
    write_as(user, f'{root}/index.php', script)
    write_as(user, f'{root}/.secret', 'hidden')
    for folder in ('wp-content/uploads', 'storage', 'uploads', 'sites/default/files', 'images'):
        subprocess.run(['mkdir', '-p', f'{root}/{folder}'], user=user.pw_uid, group=user.pw_gid, check=True)
        write_as(user, f'{root}/{folder}/x.php', '<?php echo "ran";')
        answer = machine.answer(name, f'/{folder}/x.php')
        blocked = {'wordpress': 'wp-content', 'laravel': '', 'symfony': '', 'drupal': 'sites',
                   'mediawiki': 'images'}[template]
        if folder.startswith(blocked):
            assert answer.text != 'ran', folder
    assert machine.answer(name, '/.secret').status == 404
    front = machine.answer(name, '/wiki/Main' if template == 'mediawiki' else '/some/page')
    assert front.status == 200 and front.text.startswith('front /'), front.text
    machine.site('remove', name, '--purge')


def test_a_static_site_has_no_php(machine):
    name = machine.add('flat', '--template', 'static')
    assert f'This is {name}' in machine.answer(name).text
    write_as(machine.user(name), f'{machine.homes}/{name}/public/a.php', '<?php echo 1;')
    assert machine.answer(name, '/a.php').text == '<?php echo 1;'
    assert not os.path.exists(f'{machine.etc}/pools/{name}.conf')


def test_list_and_show_tell_what_is_in_force(machine, neighbour):
    sites = {site['name']: site for site in json.loads(machine.site('list', '--json'))}
    assert sites[neighbour]['state'] == 'up' and sites[neighbour]['user'] == machine.user(neighbour).pw_name
    assert neighbour in machine.site('list')
    shown = json.loads(machine.site('show', neighbour, '--json'))
    where = {row['name']: row['from'] for row in shown['settings']}
    assert where['pm.max_children'] == f'{machine.etc}/pools/{neighbour}.conf:3'
    assert where['root'].startswith(f'{machine.etc}/sites-enabled/{neighbour}.conf:')


def test_set_changes_one_site_and_refuses_nonsense(machine, neighbour):
    name = machine.add('change')
    before = pool(machine, neighbour)
    path = f'{machine.etc}/pools/{name}.conf'
    with open(path, 'a', encoding='utf-8') as f:
        f.write('; a remark of mine\n')
    alias = machine.name('changed')
    machine.site('set', name, f'aliases={alias}', 'env[TONE]=loud', 'php_admin_value[memory_limit]=99M')
    assert machine.answer(alias).status == 200
    user = machine.user(name)
    write_as(user, f'{user.pw_dir}/public/v.php', '<?php echo getenv("TONE"), ini_get("memory_limit");')
    wait_for(lambda: machine.answer(name, '/v.php').text == 'loud99M', why='the pool to be replaced, gracefully')
    with open(path, encoding='utf-8') as f:
        text = f.read()
    assert '; a remark of mine' in text
    wait_for(lambda: len(pool(machine, name)) == 1, why='the pool before to end')
    own = pool(machine, name)
    machine.site('set', name, 'workers=3')
    assert pool(machine, name) == own, 'numbers of pm.* resize without a restart'
    assert pool(machine, neighbour) == before
    assert 'nothing to do' in machine.site('set', name, 'workers=3')
    for change, why in (('memory=lots', 'must be a size'), ('user=root', 'is not changed by site set'), ('x', 'key=value'),
                        ('no.such=1', '"no.such" is no key'), ('sandbox.read[]=/x', 'several lines'), (f'aliases={neighbour}', 'is taken')):
        assert why in machine.site('set', name, change, code=1)
    assert machine.answer(name).status == 200


def test_disable_answers_503_and_ends_the_processes(machine, neighbour):
    name = machine.add('off')
    user = machine.user(name)
    machine.answer(name)
    machine.site('disable', name)
    answer = machine.answer(name)
    assert answer.status == 503 and 'Out of service' in answer.text
    assert not [facts for facts in processes().values() if facts[1] == user.pw_uid and facts[3] != 'Z']
    assert not os.path.lexists(f'{machine.etc}/sites-enabled/{name}.conf')
    assert 'disabled already' in machine.site('disable', name)
    assert machine.answer(neighbour).status == 200
    machine.site('enable', name)
    assert machine.answer(name).status == 200
    assert os.readlink(f'{machine.etc}/sites-enabled/{name}.conf') == f'../sites-available/{name}.conf'


def test_restart_gives_a_new_pool(machine, neighbour):
    name = machine.add('again')
    machine.answer(name)
    old, near = pool(machine, name), pool(machine, neighbour)
    machine.site('restart', name)
    assert pool(machine, name) and not pool(machine, name) & old
    assert pool(machine, neighbour) == near and machine.answer(name).status == 200


def test_remove_archives_and_restore_brings_everything_back(machine, neighbour):
    name = machine.add('gone')
    user = machine.user(name)
    write_as(user, f'{user.pw_dir}/public/mine.txt', 'precious')
    os.symlink('/etc/passwd', f'{user.pw_dir}/public/link')
    sleeper = subprocess.Popen(['sleep', '300'], user=user.pw_uid, group=user.pw_gid, extra_groups=[])
    machine.site('remove', name)
    assert sleeper.wait(10) == -9, 'every process of the user is ended'
    assert machine.answer(name).status == 404 and not os.path.exists(user.pw_dir)
    assert os.path.exists('/etc/passwd')
    with pytest.raises(KeyError):
        pwd.getpwnam(user.pw_name)
    assert not os.path.exists(f'{machine.state}/sites/{name}')
    archive, = [a for a in os.listdir(f'{machine.state}/archive') if a.startswith(name)]
    assert stat.S_IMODE(os.stat(f'{machine.state}/archive/{archive}').st_mode) == 0o700
    machine.site('restore', archive)
    assert machine.answer(name, '/mine.txt').text == 'precious'
    assert os.stat(f'{machine.homes}/{name}/public/mine.txt').st_uid == machine.user(name).pw_uid
    assert machine.answer(neighbour).status == 200
    machine.site('remove', name, '--purge')
    assert [a for a in os.listdir(f'{machine.state}/archive') if a.startswith(name)] == [archive]


def test_remove_refuses_where_something_is_mounted(machine):
    name = machine.add('mounted')
    point = f'{machine.homes}/{name}/public'
    subprocess.run(['mount', '-t', 'tmpfs', 'none', point], check=True)
    try:
        assert f'something is mounted on {point}' in machine.site('remove', name, code=1)
        assert machine.user(name)
    finally:
        subprocess.run(['umount', point], check=True)
    machine.site('remove', name, '--purge')


def test_a_second_command_is_told_who_works(machine):
    import fcntl
    with open(f'{machine.state}/journal/lock', 'r+', encoding='utf-8') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate()
        lock.write('pid 4711: bulkhead site add x\n')
        lock.flush()
        told = machine.site('add', machine.name('late'), '--wait', '0', code=3)
        assert 'in use by pid 4711: bulkhead site add x' in told
        waiting = subprocess.Popen([*self_command(machine), 'disable', machine.name('near')], env=machine.env,
                                   stderr=subprocess.PIPE, text=True, stdout=subprocess.DEVNULL)
        assert 'waiting for pid 4711' in waiting.stderr.readline()
        fcntl.flock(lock, fcntl.LOCK_UN)
        waiting.communicate(timeout=60)
        assert waiting.returncode == 0
    machine.site('enable', machine.name('near'))


def test_a_machine_without_configuration_gets_one(machine):
    """What is written first is valid, and is written again by nobody."""
    fresh, had_logs = Machine('fresh'), os.path.exists('/var/log/bulkhead')
    try:
        os.unlink(fresh.nginx_conf)
        os.rmdir(f'{fresh.etc}/pools')
        name = fresh.add('first')
        with open(fresh.nginx_conf, 'a', encoding='utf-8') as f:
            f.write('# mine\n')
        fresh.add('second', '--template', 'static')
        with open(fresh.nginx_conf, encoding='utf-8') as f:
            text = f.read()
        assert f'pools {fresh.etc}/pools/*.conf;' in text and '# mine' in text and '@' not in text
        done = subprocess.run([fresh.commands()[0][0], 'test', '--config', fresh.nginx_conf], capture_output=True,
                              text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        assert f'This is {name}' in subprocess.run(
            ['cat', f'{fresh.homes}/{name}/public/index.php'], capture_output=True, text=True, check=True).stdout
    finally:
        fresh.remove()
        if not had_logs:
            os.rmdir('/var/log/bulkhead')


def test_logs_are_shown_and_followed(machine, neighbour):
    machine.answer(neighbour, '/for-the-log')
    wait_for(lambda: '/for-the-log' in machine.site('logs', neighbour, '-n', '500'), why='the line')
    follow = subprocess.Popen([*self_command(machine), 'logs', neighbour, '-f', '-n', '0'], env=machine.env, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        for line in follow.stdout:  # tail names each file first, then goes on
            machine.answer(neighbour, '/while-followed')
            if 'while-followed' in line:
                break
        else:
            raise AssertionError('nothing was followed')
    finally:
        follow.kill()
        follow.communicate()


def self_command(machine):
    return [os.path.join(os.path.dirname(machine.commands()[0][0]), 'bulkhead'), 'site']


def test_neighbours_lose_no_request_while_sites_come_and_go(machine, neighbour):
    opcache = f'{machine.homes}/{neighbour}/public/pid.php'
    write_as(machine.user(neighbour), opcache, '<?php echo getmypid(), " ", opcache_get_status()["opcache_statistics"]'
                                               '["start_time"];')
    wait_for(lambda: machine.answer(neighbour, '/pid.php').status == 200)
    start = machine.answer(neighbour, '/pid.php').text.split()[1]
    name, changing = machine.name('pass'), []
    worker = subprocess.Popen(['sh', '-c', f'''
        {" ".join(self_command(machine))} add {name} --listen 127.0.0.1:{machine.port} >/dev/null &&
        {" ".join(self_command(machine))} set {name} memory=200M >/dev/null &&
        {" ".join(self_command(machine))} remove {name} --purge >/dev/null'''], env=machine.env)
    statuses = []
    while worker.poll() is None:
        answer = machine.answer(neighbour, '/pid.php')
        statuses.append(answer.status)
        changing.append(answer.text.split()[1])
        time.sleep(0.002)
    assert worker.returncode == 0
    assert set(statuses) == {200} and len(statuses) > 20
    assert set(changing) == {start}, 'the opcache is the same'
