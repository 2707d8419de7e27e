"""Static files: how soon a change is seen, and which symbolic links are followed."""
import os
import threading
import time

import pytest

from harness.servers import Bulkhead
from harness.users import users

NGINX = '''
user www-data;
pid @DIR@/run.pid;
error_log @DIR@/error.log info;
events { }
http {
    access_log off;
    server {
        listen 127.0.0.1:@PORT@ default_server;
        server_name one.example;
        user {one};
        root @DIR@/one/www;
        autoindex on;
    }
    server {
        listen 127.0.0.1:@PORT@;
        server_name two.example;
        user {two};
        root @DIR@/two/www;
    }
    server {
        listen 127.0.0.1:@PORT@;
        server_name release.example;
        user {one};
        root @DIR@/one/site/current/public;
    }
    server {
        listen 127.0.0.1:@PORT@;
        server_name strict.example;
        user {one};
        root @DIR@/one/www;
        disable_symlinks on;
    }
}
'''


@pytest.fixture(scope='module')
def server(work):
    with users('one', 'two') as (one, two):
        text = NGINX.replace('{one}', one.name).replace('{two}', two.name)
        server = Bulkhead(work, text)
        server.one, server.two, d = one, two, server.dir
        server.www = f'{d}/one/www'
        for release in '78':
            work.write(f'{d}/one/site/releases/{release}/public/v.txt', f'release {release}')
        os.symlink('releases/7', f'{d}/one/site/current')
        work.write(f'{server.www}/dir/file.txt', 'in dir')
        work.write(f'{d}/two/www/public.txt', 'world readable of two')
        work.write(f'{d}/two/www/secret.txt', 'secret of two', 0o600)
        one.own(f'{d}/one', 0o700)
        two.own(f'{d}/two', 0o755)
        with server:
            yield server


def put(server, name, text, mode=0o644):
    path = f'{server.www}/{name}'
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)
    os.chmod(path, mode)
    os.chown(path, server.one.uid, server.one.gid)
    return path


def link(server, name, target, owner=None):
    path = f'{server.www}/{name}'
    if os.path.lexists(path):
        os.unlink(path)
    os.symlink(target, path)
    owner = owner or server.one
    os.chown(path, owner.uid, owner.gid, follow_symlinks=False)
    return path


def get(server, path, host='one.example'):
    return server.fetch(path, host=host)


def test_changed_in_place_is_seen_at_once(server):
    path = put(server, 'grow.txt', 'one')
    for text in ('one', 'longer text', 'x', 'yy'):
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)
        page = get(server, '/grow.txt')
        assert page.text == text and page.header('Content-Length') == str(len(text))


def test_replaced_by_rename_is_seen_at_once(server):
    put(server, 'swap.txt', 'v0')
    for n in range(20):
        put(server, 'swap.new', f'v{n}')
        os.rename(f'{server.www}/swap.new', f'{server.www}/swap.txt')
        assert get(server, '/swap.txt').text == f'v{n}'


def test_removed_is_seen_at_once(server):
    path = put(server, 'gone.txt', 'here')
    assert get(server, '/gone.txt').status == 200
    os.unlink(path)
    assert get(server, '/gone.txt').status == 404


def test_created_after_a_miss_is_seen_at_once(server):
    for n in range(10):
        assert get(server, f'/late{n}.txt').status == 404
        assert get(server, f'/late{n}.txt').status == 404
        time.sleep(0.03)
        put(server, f'late{n}.txt', 'now')
        assert get(server, f'/late{n}.txt').text == 'now'


def test_permission_withdrawn_is_seen_at_once(server):
    path = put(server, 'closed.txt', 'open')
    assert get(server, '/closed.txt').status == 200
    os.chmod(path, 0)
    assert get(server, '/closed.txt').status == 403
    os.chmod(path, 0o644)
    assert get(server, '/closed.txt').status == 200


def test_release_switch_is_seen_within_a_second(server):
    assert get(server, '/v.txt', 'release.example').text == 'release 7'
    for release in '878':
        os.symlink(f'releases/{release}', f'{server.dir}/one/site/next')
        os.chown(f'{server.dir}/one/site/next', server.one.uid, server.one.gid, follow_symlinks=False)
        os.rename(f'{server.dir}/one/site/next', f'{server.dir}/one/site/current')
        time.sleep(1.1)
        assert get(server, '/v.txt', 'release.example').text == f'release {release}'


def test_own_links_within_the_tree_are_followed(server):
    put(server, 'real.txt', 'mine')
    link(server, 'alias.txt', 'real.txt')
    link(server, 'absolute.txt', f'{server.www}/real.txt')
    link(server, 'subdir', 'dir')
    link(server, 'chain.txt', 'alias.txt')
    for path in ('/alias.txt', '/absolute.txt', '/chain.txt'):
        assert get(server, path).text == 'mine'
    assert get(server, '/subdir/file.txt').text == 'in dir'


@pytest.mark.parametrize('target', [
    '{d}/two/www/public.txt', '{d}/two/www/secret.txt', '/etc/passwd', '/etc/shadow', '../../two/www/public.txt',
    '/proc/self/environ', '/dev/null', '/dev/zero'])
def test_link_to_what_the_site_does_not_own_is_refused(server, target):
    name = f'steal-{abs(hash(target))}.txt'
    link(server, name, target.format(d=server.dir))
    page = get(server, f'/{name}')
    assert page.status == 403 and b'of two' not in page.body and b'root:' not in page.body


@pytest.mark.parametrize('target, below', [('{d}/two/www', '/public.txt'), ('/', '/etc/passwd'), ('/etc', '/passwd'),
                                           ('{d}/two', '/www/public.txt')])
def test_link_to_a_directory_of_somebody_else_is_refused(server, target, below):
    name = f'steal-{abs(hash(target + below))}'
    link(server, name, target.format(d=server.dir))
    assert get(server, f'/{name}{below}').status == 403
    listing = get(server, f'/{name}/')
    assert listing.status == 403 and b'passwd' not in listing.body


def test_chain_of_links_ends_where_the_rule_says(server):
    link(server, 'second.txt', f'{server.dir}/two/www/public.txt')
    link(server, 'first.txt', 'second.txt')
    assert get(server, '/first.txt').status == 403


def test_link_placed_by_root_is_followed_when_the_user_may_read(server):
    path = f'{server.www}/hosts.txt'
    os.symlink('/etc/hostname', path)
    assert get(server, '/hosts.txt').status == 200
    os.symlink(f'{server.dir}/two/www/secret.txt', f'{server.www}/root-link.txt')
    assert get(server, '/root-link.txt').status == 403  # the kernel says no to the site's user


def test_link_that_belongs_to_the_targets_owner_is_followed(server):
    # `two` published its own file by a link of its own in this tree.
    link(server, 'given.txt', f'{server.dir}/two/www/public.txt', owner=server.two)
    assert get(server, '/given.txt').text == 'world readable of two'


def test_loop_and_dangling_links(server):
    link(server, 'loop.txt', 'loop.txt')
    link(server, 'dangling.txt', 'nowhere')
    assert get(server, '/loop.txt').status in (403, 404, 500)
    assert get(server, '/dangling.txt').status == 404


def test_disable_symlinks_is_stricter_never_laxer(server):
    put(server, 'real.txt', 'mine')
    link(server, 'alias.txt', 'real.txt')
    assert get(server, '/real.txt', 'strict.example').status == 200
    assert get(server, '/alias.txt', 'strict.example').status == 403


def test_unreadable_file_is_403_and_fifo_does_not_hang(server):
    put(server, 'root.txt', 'x')
    os.chown(f'{server.www}/root.txt', 0, 0)
    os.chmod(f'{server.www}/root.txt', 0o600)
    assert get(server, '/root.txt').status == 403
    os.mkfifo(f'{server.www}/pipe')
    os.chown(f'{server.www}/pipe', server.one.uid, server.one.gid)
    assert get(server, '/pipe').status in (403, 404)


def test_sites_do_not_share_files(server):
    assert get(server, '/public.txt', 'two.example').status == 200
    assert get(server, '/public.txt').status == 404
    assert get(server, '/secret.txt', 'two.example').text == 'secret of two'  # its own user may read it


def test_race_between_an_own_file_and_a_link_never_leaks(server):
    put(server, 'mine.txt', 'mine')
    path = f'{server.www}/flip.txt'
    stop = threading.Event()

    def flip():
        while not stop.is_set():
            for target in ('mine.txt', f'{server.dir}/two/www/public.txt'):
                if os.path.lexists(path + '.n'):
                    os.unlink(path + '.n')
                os.symlink(target, path + '.n')
                os.chown(path + '.n', server.one.uid, server.one.gid, follow_symlinks=False)
                os.rename(path + '.n', path)
    thread = threading.Thread(target=flip)
    thread.start()
    try:
        seen = set()
        until = time.monotonic() + 4
        while time.monotonic() < until:
            page = get(server, '/flip.txt')
            seen.add(page.status)
            assert b'of two' not in page.body
        assert seen <= {200, 403, 404}, seen
    finally:
        stop.set()
        thread.join()
