"""What a site sees of the machine: its own view, tried from inside by PHP as real users."""
import glob
import json
import os
import re
import shutil
import signal
import time

import pytest

from harness.servers import TOP, Bulkhead, descendants, processes, wait_for
from harness.users import users

NGINX = '''
user www-data;
worker_processes 1;
pid @DIR@/run.pid;
error_log @DIR@/error.log;
events {{ }}
http {{
    access_log off;
    {servers}
}}
'''
SERVER = '''
server {{
    listen 127.0.0.1:@PORT@;
    server_name {name};
    root {root};
    location ~ \\.php$ {{
        fastcgi_pass unix:@DIR@/{name}.sock;
        fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
        include @TOP@/share/conf/fastcgi_params;
    }}
}}
'''
POOL = '''
[{name}]
user = {user}
listen = @DIR@/{name}.sock
pm = {pm}
pm.max_children = 3
pm.status_path = /status.php
{more}
'''
# Runs PHP that the test sends and gives what it returns as JSON.
RUN = '<?php echo json_encode(eval(file_get_contents("php://input")));'


def conf(sites):
    """(nginx, fpm) for a list of dicts: name, user, root, and optionally pm, more."""
    servers = ''.join(SERVER.format(name=s['name'], root=s['root']) for s in sites)
    pools = ''.join(POOL.format(name=s['name'], user=s['user'].name, pm=s.get('pm', 'ondemand'),
                                more=s.get('more', '')) for s in sites)
    return NGINX.format(servers=servers), '[global]\nerror_log = @DIR@/fpm.log\n' + pools


def run(server, site, code, status=200):
    """What the PHP code returns inside the site."""
    page = server.fetch('/run.php', host=site, method='POST', body=code.encode())
    assert page.status == status, (page.status, page.text, server.read('error.log')[-500:], server.read('fpm.log')[-800:])
    return json.loads(page.text) if status == 200 else None


def place(work, name, user, mode=0o755):
    """A web root of the user with run.php in it."""
    work.write(f'{name}/run.php', RUN)
    return user.own(work / name, mode)


@pytest.fixture(scope='module')
def two(work):
    """Two users and their sites, the neighbour's wide open by its modes."""
    with users('sa', 'sb') as (a, b):
        yield a, b, place(work, 'sites/a', a), place(work, 'sites/b', b, 0o777)


@pytest.fixture(scope='module')
def server(work, two):
    a, b, root_a, root_b = two
    work.write('sites/b/open.txt', 'marker-of-b', 0o666)
    nginx, fpm = conf([dict(name='a', user=a, root=root_a), dict(name='b', user=b, root=root_b)])
    with Bulkhead(work, nginx, fpm, tag='two') as running:
        yield running


def test_the_neighbour_does_not_exist_whatever_its_modes(server, two):
    root_b = two[3]
    assert run(server, 'b', f'return file_get_contents("{root_b}/open.txt");') == 'marker-of-b'
    assert run(server, 'a', f'return [file_exists("{root_b}"), @scandir("{root_b}"), '
                            f'@file_get_contents("{root_b}/open.txt"), @file_put_contents("{root_b}/x", "x")];') == \
        [False, False, False, False]
    assert run(server, 'a', f'return array_values(array_diff(scandir(dirname("{root_b}")), [".", ".."]));') == ['a']


def test_its_own_tree_is_writable_and_seen_outside(server, two):
    a, root = two[0], two[2]
    assert run(server, 'a', f'return [mkdir("{root}/d"), file_put_contents("{root}/d/f", "made inside")];') == [True, 11]
    assert open(f'{root}/d/f').read() == 'made inside' and os.stat(f'{root}/d/f').st_uid == a.uid
    with open(f'{root}/later.txt', 'w') as f:
        f.write('made outside')
    assert run(server, 'a', f'return file_get_contents("{root}/later.txt");') == 'made outside'


def test_programs_are_there_and_cannot_be_changed(server):
    assert run(server, 'a', 'return trim(shell_exec("ls /usr/bin/env && echo ok"));') == '/usr/bin/env\nok'
    assert run(server, 'a', 'return trim(shell_exec("touch /usr/x 2>&1; touch /etc/x 2>&1; touch /x 2>&1"));').count(
        'Read-only file system') + run(server, 'a', 'return substr_count(shell_exec("touch /usr/x /etc/x /x 2>&1"), "denied");') == 3


def test_only_what_it_needs_is_there(server):
    top = run(server, 'a', 'return array_values(array_diff(scandir("/"), [".", ".."]));')
    assert set(top) <= {'bin', 'dev', 'etc', 'home', 'lib', 'lib32', 'lib64', 'libx32', 'mnt', 'opt', 'proc', 'root', 'run',
                        'sbin', 'srv', 'tmp', 'usr', 'var'}
    gone = ['/etc/shadow', '/etc/nginx', '/etc/php/8.2/fpm', '/etc/cron.d', '/etc/ssh', '/boot', '/sys', '/var/log/nginx',
            '/etc/ssl/private', TOP, '/run/systemd', '/etc/mysql/debian.cnf', '/dev/mem', '/dev/vda', '/dev/kmsg']
    assert run(server, 'a', f'return array_values(array_filter({json.dumps(gone)}, "file_exists"));') == []
    there = ['/etc/resolv.conf', '/etc/hosts', '/etc/ssl/certs', '/etc/localtime', '/etc/nsswitch.conf', '/dev/null',
             '/dev/urandom', '/proc/self/status', '/proc/cpuinfo', '/usr/share/zoneinfo/UTC', '/dev/shm', '/dev/pts']
    assert run(server, 'a', f'return array_values(array_filter({json.dumps(there)}, fn($p) => !file_exists($p)));') == []


def test_accounts_are_root_nobody_and_itself(server, two):
    names = run(server, 'a', 'return array_map(fn($l) => explode(":", $l)[0], file("/etc/passwd"));')
    assert sorted(names) == sorted(['root', two[0].name, 'nobody'])
    assert run(server, 'a', 'return [posix_getpwuid(posix_geteuid())["name"], trim(shell_exec("id -un"))];') == [two[0].name] * 2
    assert two[1].name not in run(server, 'a', 'return file_get_contents("/etc/group");')


def test_proc_lists_only_its_own(server, two):
    listed = run(server, 'a', 'return array_values(array_filter(scandir("/proc"), "ctype_digit"));')
    assert '1' in listed and len(listed) <= 5
    uids = run(server, 'a', 'return array_map(fn($p) => preg_match("/^Uid:\\s+(\\d+)/m", @file_get_contents("/proc/$p/status"), $m) '
                            '? (int)$m[1] : -1, array_values(array_filter(scandir("/proc"), "ctype_digit")));')
    assert set(uids) <= {two[0].uid, -1}
    assert run(server, 'a', 'return [@file_put_contents("/proc/sys/kernel/hostname", "x"), @file_get_contents("/proc/keys")];') in (
        [False, ''], [False, False])


def test_signals_reach_nobody_else(server):
    """kill(-1) ends the site's own workers only; the pool's supervisor does not obey it."""
    before = run(server, 'b', 'return getmypid();')
    everyone = {p: f for p, f in server.descendants().items() if 'pool a' not in f[2]}
    supervisor = [p for p, f in server.descendants().items() if f[2] == 'bulkhead: pool a']
    page = server.fetch('/run.php', host='a', method='POST',
                        body=b'foreach ([15, 3, 2, 9] as $s) { posix_kill(1, $s); posix_kill(-1, $s); } return 1;')
    assert page.status in (200, 502)
    assert run(server, 'a', 'return 1;') == 1
    # A fresh worker has the supervisor's title for a moment.
    wait_for(lambda: [p for p, f in server.descendants().items() if f[2] == 'bulkhead: pool a'] == supervisor)
    after = server.descendants()
    assert not [p for p in everyone if p not in after] and run(server, 'b', 'return getmypid();') == before


def test_temporary_places_are_private(server, two):
    for folder in ('/tmp', '/var/tmp', '/dev/shm'):
        assert run(server, 'a', f'return [tempnam("{folder}", "x") !== false, file_put_contents("{folder}/mine", "a")];') == [True, 1]
        assert run(server, 'b', f'return scandir("{folder}");') == ['.', '..']
        assert not os.path.exists(f'{folder}/mine')
    state = server.dir + '/state/sites/a'
    assert open(f'{state}/tmp/mine').read() == 'a'
    assert (os.stat(f'{state}/tmp').st_mode & 0o7777, os.stat(f'{state}/tmp').st_uid) == (0o700, two[0].uid)
    assert (os.stat(state).st_mode & 0o7777, os.stat(state).st_uid) == (0o711, 0)


def test_sessions_are_private_and_work(server, two):
    code = 'session_id("fixedid1"); session_start(); $_SESSION["n"] = ($_SESSION["n"] ?? 0) + 1; return [session_save_path(), $_SESSION["n"]];'
    assert run(server, 'a', code)[1] == 1
    where, count = run(server, 'a', code)
    assert count == 2 and run(server, 'b', code)[1] == 1
    assert glob.glob(server.dir + '/state/sites/a/sessions/sess_*') == [server.dir + '/state/sites/a/sessions/sess_fixedid1']
    assert not os.path.exists(os.path.join(where or '/tmp', 'sess_fixedid1'))
    assert run(server, 'a', 'return ini_get("session.gc_probability");') != '0'


def test_logs_and_status_show_the_machines_numbers(server):
    host = {p for p, f in server.descendants().items() if f[2] == 'php-fpm: pool a'}
    inside = run(server, 'a', 'return [getmypid(), fpm_get_status()["procs"][0]["pid"]];')
    host |= {p for p, f in server.descendants().items() if f[2] == 'php-fpm: pool a'}
    assert inside[1] in host and inside[0] < 1000


def test_what_it_starts_dies_with_the_pool(server, two):
    run(server, 'a', 'shell_exec("setsid sh -c \\"sleep 300 & sleep 301\\" >/dev/null 2>&1 &"); return 1;')
    mine = lambda: [p for p, f in processes().items() if f[1] == two[0].uid and f[2].startswith('sleep 30')]
    wait_for(lambda: len(mine()) == 2, why='the processes')
    supervisor, = [p for p, f in server.descendants().items() if f[2] == 'bulkhead: pool a']
    os.kill(supervisor, signal.SIGKILL)
    wait_for(lambda: not mine(), why='their end')
    wait_for(lambda: server.fetch('/run.php', host='a', method='POST', body=b'return 1;').status == 200, why='the site')
    run(server, 'a', 'return 1;')
    assert processes()[os.getpid()]


# ---- shapes of sites -----------------------------------------------------------------------------
def serve(work, tag, sites):
    nginx, fpm = conf(sites)
    return Bulkhead(work, nginx, fpm, tag=tag)


def test_a_release_link_can_be_switched(work, two):
    a = two[0]
    for number in (7, 8):
        work.write(f'rel/a/releases/{number}/public/run.php', RUN)
        work.write(f'rel/a/releases/{number}/public/v.txt', f'release {number}')
    os.symlink('releases/7', work / 'rel/a/current')
    a.own(work / 'rel/a')
    with serve(work, 'rel', [dict(name='a', user=a, root=work / 'rel/a/current/public')]) as server:
        assert server.fetch('/v.txt', host='a').text == 'release 7'
        os.unlink(work / 'rel/a/current')
        os.symlink('releases/8', work / 'rel/a/current')
        os.lchown(work / 'rel/a/current', a.uid, a.gid)
        assert run(server, 'a', 'return file_get_contents("v.txt");') == 'release 8'
        wait_for(lambda: server.fetch('/v.txt', host='a').text == 'release 8', why='the new release')


def test_a_link_to_a_neighbour_is_not_followed(work, two):
    a, b = two[0], two[1]
    root = place(work, 'lnk/b', b)
    os.makedirs(work / 'lnk/a')
    os.symlink(root, work / 'lnk/a/www')
    a.own(work / 'lnk/a')
    with serve(work, 'lnk', [dict(name='a', user=a, root=work / 'lnk/a/www'), dict(name='b', user=b, root=root)]) as server:
        assert server.fetch('/run.php', host='a', method='POST', body=b'return 1;').status in (403, 404)
        assert run(server, 'b', 'return 1;') == 1


def test_roots_below_tmp(work, two):
    a = two[0]
    folder = f'/tmp/bht-root-{os.getpid()}'
    try:
        os.makedirs(f'{folder}/www')
        with open(f'{folder}/www/run.php', 'w') as f:
            f.write(RUN)
        a.own(f'{folder}/www')
        with serve(work, 'tmp', [dict(name='a', user=a, root=f'{folder}/www')]) as server:
            assert run(server, 'a', 'return [scandir("/tmp"), getcwd()];') == [['.', '..', os.path.basename(folder)], f'{folder}/www']
    finally:
        shutil.rmtree(folder)


def test_a_link_in_the_way_of_a_mount_point_refuses_only_that_site(work, two):
    a, b = two[0], two[1]
    folder = f'/tmp/bht-way-{os.getpid()}'
    try:
        os.makedirs(f'{folder}/www')
        with open(f'{folder}/www/run.php', 'w') as f:
            f.write(RUN)
        a.own(f'{folder}/www')
        sites = [dict(name='a', user=a, root=f'{folder}/www'), dict(name='b', user=b, root=place(work, 'way/b', b))]
        with serve(work, 'way', sites) as server:
            tmp = server.dir + '/state/sites/a/tmp'
            os.makedirs(tmp)
            os.symlink('/etc', f'{tmp}/{os.path.basename(folder)}')
            assert server.fetch('/run.php', host='a', method='POST', body=b'return 1;').status in (502, 503)
            assert f'"{os.path.basename(folder)}" is in the way' in server.read('fpm.log')
            assert run(server, 'b', 'return 1;') == 1
            assert not os.path.exists('/etc/www')
    finally:
        shutil.rmtree(folder)


def test_pools_of_one_user_share_what_is_theirs(work, two):
    a, b = two[0], two[1]
    one, other = place(work, 'same/one', a), place(work, 'same/other', a)
    with serve(work, 'same', [dict(name='one', user=a, root=one), dict(name='other', user=a, root=other),
                              dict(name='b', user=b, root=place(work, 'same/b', b))]) as server:
        assert run(server, 'one', f'return [is_writable("{other}"), file_exists("{work / "same/b"}")];') == [True, False]


def test_a_site_inside_anothers_tree_is_hidden_in_it(work, two):
    a, b = two[0], two[1]
    inner = place(work, 'nest/a/shop', b)
    outer = place(work, 'nest/a', a)
    b.own(inner)
    deeper = place(work, 'nest/a/shop/own', a)
    with serve(work, 'nest', [dict(name='a', user=a, root=outer), dict(name='b', user=b, root=inner),
                              dict(name='deep', user=a, root=deeper)]) as server:
        assert run(server, 'b', f'return file_exists("{inner}/run.php");') is True
        assert run(server, 'a', f'return [file_exists("{inner}/run.php"), @scandir("{inner}"), file_exists("{deeper}/run.php")];') == \
            [False, False, True]


def test_chroot_and_chdir(work, two):
    a = two[0]
    jail = work.mkdir('jail')
    place(work, 'jail/www', a)
    place(work, 'jail/other', a)
    nginx = NGINX.format(servers=SERVER.format(name='a', root=jail + '/www').replace(
        'SCRIPT_FILENAME $document_root$', 'SCRIPT_FILENAME /www$'))
    fpm = '[global]\nerror_log = @DIR@/fpm.log\n' + POOL.format(
        name='a', user=a.name, pm='ondemand', more=f'chroot = {jail}\nchdir = /other\n')
    with Bulkhead(work, nginx, fpm, tag='jailed') as server:
        assert run(server, 'a', 'return [scandir("/"), file_exists("/usr")];') == [['.', '..', 'other', 'www'], False]
    with serve(work, 'chdir', [dict(name='a', user=a, root=jail + '/www', more=f'chdir = {jail}/other\n')]) as server:
        assert run(server, 'a', f'return [is_dir("{jail}/other"), is_writable("{jail}/other")];') == [True, True]


def test_sandbox_read_and_write_add_to_the_view(work, two):
    a, b = two[0], two[1]
    shared = work.mkdir('more/shared', 0o777)
    work.write('more/shared/f', 'shared', 0o666)
    writable = work.mkdir('more/w', 0o777)
    root = place(work, 'more/a', a)
    extra = f'sandbox.read[] = {shared}\nsandbox.read[] = /etc/nginx/nginx.conf\nsandbox.write[] = {writable}\n'
    with serve(work, 'more', [dict(name='a', user=a, root=root, more=extra), dict(name='b', user=b, root=place(work, 'more/b', b))]) as server:
        assert run(server, 'a', f'return [file_get_contents("{shared}/f"), @file_put_contents("{shared}/f", "x"), '
                                f'file_put_contents("{writable}/f", "yes"), file_exists("/etc/nginx/nginx.conf"), '
                                f'file_exists("/etc/hosts"), file_exists("/etc/shadow"), '
                                f'count(file("/etc/passwd"))];') == ['shared', False, 3, True, True, False, 3]
        assert run(server, 'b', f'return [file_exists("{shared}"), file_exists("/etc/nginx")];') == [False, False]


def test_a_missing_directory_refuses_that_site_only(work, two):
    a, b = two[0], two[1]
    sites = [dict(name='a', user=a, root=place(work, 'bad/a', a), more=f'sandbox.read[] = {work / "bad/none"}\n'),
             dict(name='b', user=b, root=place(work, 'bad/b', b))]
    with serve(work, 'bad', sites) as server:
        assert server.fetch('/run.php', host='a', method='POST', body=b'return 1;').status == 503
        assert re.search(r'\[pool a\] .*sandbox\.read "\S+/bad/none".*No such file or directory', server.read('fpm.log'))
        assert run(server, 'b', 'return 1;') == 1


def test_a_root_made_later_is_seen_after_a_reload(work, two):
    a, b, *_ = two
    place(work, 'there', b)
    later = work / 'later'
    with serve(work, 'rootlater', [dict(name='early', user=a, root=later, pm='static'),
                                   dict(name='other', user=b, root=work / 'there', pm='static')]) as s:
        warned = f'[pool early] root "{later}" is not there, and this pool will not see it: make it, then reload'
        wait_for(lambda: warned in s.read('fpm.log'), 10, 'the warning')
        assert s.read('fpm.log').count(warned) == 1
        assert s.fetch('/run.php', host='early', method='POST', body=b'return 1;').status == 404
        others = {p for p, f in s.descendants().items() if f[2] == 'bulkhead: pool other'}
        place(work, 'later', a)
        os.kill(s.pid, signal.SIGHUP)

        def served():
            page = s.fetch('/run.php', host='early', method='POST', body=b'return 42;')
            return page.status == 200 and page.text == '42'
        wait_for(served, 10, 'the new pool')
        assert others == {p for p, f in s.descendants().items() if f[2] == 'bulkhead: pool other'}
        assert run(s, 'early', 'return touch(__DIR__ . "/mine");') is True


def test_a_changed_file_of_etc_reaches_sites(work, two):
    """By a name that nothing on this machine reads meanwhile."""
    a, b, *_ = two
    if os.path.exists('/etc/gai.conf') and not os.path.isfile('/etc/gai.conf'):
        pytest.skip('/etc/gai.conf is no file here')
    before = open('/etc/gai.conf', 'rb').read() if os.path.exists('/etc/gai.conf') else None
    mark = f'# bulkhead test {os.getpid()}'
    place(work, 'etca', a)
    place(work, 'etcb', b)
    with serve(work, 'etc', [dict(name='etca', user=a, root=work / 'etca'),
                             dict(name='etcb', user=b, root=work / 'etcb')]) as s:
        read = 'return (string)@file_get_contents("/etc/gai.conf");'
        assert mark not in run(s, 'etca', read)
        try:
            with open('/etc/gai.conf', 'ab') as f:
                f.write(mark.encode() + b'\n')
            assert mark in run(s, 'etcb', read)  # its pool starts now
            assert mark in run(s, 'etca', read)  # this one ran already
        finally:
            if before is None:
                os.unlink('/etc/gai.conf')
            else:
                with open('/etc/gai.conf', 'wb') as f:
                    f.write(before)


def test_off_shouts_and_opens_everything(work, two):
    a, b = two[0], two[1]
    other = work.write('off/b/open.txt', 'marker', 0o644)
    sites = [dict(name='a', user=a, root=place(work, 'off/a', a), more='sandbox = off\n'),
             dict(name='b', user=b, root=place(work, 'off/b', b), more='sandbox.off[] = pid\n')]
    with serve(work, 'off', sites) as server:
        assert '[pool a] SANDBOX IS OFF' in server.read('fpm.log')
        assert '[pool b] SANDBOX LAYERS ARE OFF (sandbox.off[]): pid' in server.read('fpm.log')
        assert run(server, 'a', f'return [file_get_contents("{other}"), getmypid() > 0];') == ['marker', True]
        inside = run(server, 'a', 'return getmypid();')
        assert inside in server.descendants()
        # Sessions and uploads are the site's own all the same.
        assert run(server, 'a', 'return [session_save_path(), sys_get_temp_dir()];') == \
            [f'{server.dir}/state/sites/a/{n}' for n in ('sessions', 'tmp')]


def test_landlock_holds_without_the_view(work, two):
    a, b = two[0], two[1]
    other = work.write('ll/b/open.txt', 'marker', 0o666)
    sites = [dict(name='a', user=a, root=place(work, 'll/a', a), more='sandbox.off[] = view\n'),
             dict(name='b', user=b, root=place(work, 'll/b', b, 0o777))]
    with serve(work, 'll', sites) as server:
        assert run(server, 'a', f'return [@file_get_contents("{other}"), @file_put_contents("{other}", "x"), @scandir("/srv"), '
                                f'file_exists("/usr/bin/env"), @file_get_contents("/etc/ssh/ssh_config"), '
                                f'file_put_contents("{work / "ll/a/x"}", "x"), strlen(shell_exec("echo ok"))];') == \
            [False, False, False, True, False, 1, 3]
        assert run(server, 'a', 'return tempnam(sys_get_temp_dir(), "x") !== false;') is True


def test_strict_starts_where_every_layer_is_there(work, two):
    with serve(work, 'strict', [dict(name='a', user=two[0], root=place(work, 'strict/a', two[0]), more='sandbox = strict\n')]) as server:
        assert run(server, 'a', 'return file_exists("/etc/shadow");') is False


def test_bad_values_are_named_with_their_line(work, two):
    for line, text in (('sandbox = maybe', 'must be on, strict or off'), ('sandbox.off[] = walls', "'walls' is no layer"),
                       ('sandbox.write[] = relative', "must begin with '/'")):
        server = serve(work, 'words', [dict(name='a', user=two[0], root='/srv', more=line + '\n')])
        with pytest.raises(AssertionError):
            with server:
                pass
        assert re.search(r'php-fpm\.conf:\d+\] .*' + re.escape(text), server.read('out.log')), server.read('out.log')


def test_the_state_directory_must_be_roots_alone(work, two):
    server = serve(work, 'state', [dict(name='a', user=two[0], root=place(work, 'state-a', two[0]))])
    os.makedirs(server.dir + '/state')
    os.chmod(server.dir + '/state', 0o777)
    with pytest.raises(AssertionError):
        with server:
            pass
    assert 'can be changed by others' in server.read('out.log') and '--state DIR' in server.read('out.log')


def test_files_of_a_former_user_go_to_the_new_one(work, two):
    a, b = two[0], two[1]
    root = place(work, 'former/a', a)
    with serve(work, 'former', [dict(name='a', user=a, root=root)]) as server:
        run(server, 'a', 'mkdir("/tmp/d"); file_put_contents("/tmp/d/f", "x"); symlink("/etc/passwd", "/tmp/l"); return 1;')
        state = server.dir + '/state/sites/a/tmp'
    b.own(root)
    with serve(work, 'former', [dict(name='a', user=b, root=root)]) as server:
        assert run(server, 'a', 'return file_get_contents("/tmp/d/f");') == 'x'
    assert os.stat(f'{state}/d/f').st_uid == b.uid and os.stat('/etc/passwd').st_uid == 0
