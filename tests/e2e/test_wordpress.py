"""WordPress from Debian's package, its own copy, on a real MariaDB with unix_socket authentication:
installed through its web forms, then its front page and its admin login are looked at, a plugin and
a picture are uploaded, and a command works on it inside its sandbox."""
import io
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import zipfile

import pytest
import requests

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get('BULKHEAD_BIN', os.path.join(TOP, 'build/bin'))
STOCK = os.environ.get('BULKHEAD_TEST_STOCK') == '1'  # to check this test itself against the peers

NGINX = '''
user www-data;
worker_processes 2;
pid {dir}/nginx.pid;
error_log {dir}/error.log;
events {{ }}
http {{
    include {top}/share/conf/mime.types;
    access_log {dir}/access.log;
    client_max_body_size 64m;
    server {{
        listen 127.0.0.1:{port};
        server_name wp.localhost;
        root {root};
        index index.php;
        location / {{ try_files $uri $uri/ /index.php?$args; }}
        location ~ \\.php$ {{
            try_files $uri =404;
            fastcgi_pass unix:{dir}/php.sock;
            fastcgi_index index.php;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            include {top}/share/conf/fastcgi_params;
        }}
    }}
}}
'''
POOL = '''[global]
error_log = {dir}/fpm.log
pid = {dir}/fpm.pid
[wp]
user = {user}
group = {user}
listen = {dir}/php.sock
listen.owner = www-data
listen.group = www-data
pm = dynamic
pm.max_children = 4
pm.start_servers = 1
pm.min_spare_servers = 1
pm.max_spare_servers = 2
chdir = /
'''


def wait_for(what, seconds=30):
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, f'waited {seconds} s'
        time.sleep(0.05)


def answers(port):
    try:
        with socket.create_connection(('127.0.0.1', port), 1):
            return True
    except OSError:
        return False


@pytest.fixture(scope='module')
def work():
    path = tempfile.mkdtemp(prefix='bhwp-', dir='/srv')
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope='module')
def user():
    name = f'bhwp{os.getpid() % 100000}'
    subprocess.run(['useradd', '-U', '-M', '-s', '/usr/sbin/nologin', name], check=True)
    yield name
    subprocess.run(['userdel', name], check=False)


@pytest.fixture(scope='module')
def database(work, user):
    """The socket of a MariaDB of its own, with a database of the site's Linux user."""
    folder = os.path.join(work, 'db')
    os.mkdir(folder)
    shutil.chown(folder, 'mysql', 'mysql')
    subprocess.run(['mariadb-install-db', '--user=mysql', f'--datadir={folder}/data',
                    '--auth-root-authentication-method=socket', '--skip-test-db'],
                   check=True, capture_output=True)
    sock = f'{folder}/m.sock'
    with open(os.path.join(work, 'db.log'), 'wb') as log:
        server = subprocess.Popen(['mariadbd', '--no-defaults', '--user=mysql', f'--datadir={folder}/data',
                                   f'--socket={sock}', '--skip-networking', '--innodb-flush-log-at-trx-commit=0',
                                   f'--pid-file={folder}/pid'], stdout=log, stderr=log)
    wait_for(lambda: subprocess.run(['mariadb-admin', f'--socket={sock}', 'ping'],
                                    capture_output=True, check=False).returncode == 0)
    subprocess.run(['mariadb', f'--socket={sock}'], check=True, text=True, input=(
        f"CREATE DATABASE wp; CREATE USER '{user}'@'localhost' IDENTIFIED VIA unix_socket;"
        f"GRANT ALL ON wp.* TO '{user}'@'localhost';"))
    yield sock
    server.send_signal(signal.SIGTERM)
    server.wait(30)


@pytest.fixture(scope='module')
def site(work, user, database):
    """The base address of a server whose only site is a fresh copy of WordPress."""
    root = os.path.join(work, 'www')
    # (shutil.copytree takes relative links for dangling ones and leaves them out.)
    subprocess.run(['cp', '-rL', '--no-preserve=ownership', '/usr/share/wordpress', root], check=True)
    if os.path.exists(os.path.join(root, 'wp-config.php')):
        os.unlink(os.path.join(root, 'wp-config.php'))
    owner = pwd.getpwnam(user)
    for folder, _, files in os.walk(root):
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        os.chmod(folder, 0o700)  # nobody but the site's user needs to read it
        for name in files:
            os.chown(os.path.join(folder, name), owner.pw_uid, owner.pw_gid)
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    conf = {}
    for name, text in (('nginx.conf', NGINX), ('fpm.conf', POOL)):
        conf[name] = os.path.join(work, name)
        with open(conf[name], 'w', encoding='utf-8') as f:
            f.write(text.format(dir=work, port=port, root=root, user=user, top=TOP))
            if name == 'fpm.conf' and not STOCK:
                f.write(f'sandbox.read[] = {work}/db\n')  # a database in an unusual place
    if STOCK:
        subprocess.run(['chmod', '-R', 'a+rX', root], check=True)
        commands = [['php-fpm8.2', '-F', '-y', conf['fpm.conf']],
                    ['nginx', '-c', conf['nginx.conf'], '-g', 'daemon off;']]
    else:
        commands = [[os.path.join(BIN, 'bulkhead'), 'serve', '--nginx', conf['nginx.conf'],
                     '--fpm', conf['fpm.conf'], '--state', os.path.join(work, 'state')]]
    with open(os.path.join(work, 'server.log'), 'wb') as log:
        servers = [subprocess.Popen(c, stdout=log, stderr=log) for c in commands]
    try:
        wait_for(lambda: answers(port) and os.path.exists(f'{work}/php.sock'))
        yield f'http://127.0.0.1:{port}'
    finally:
        for server in servers:
            server.send_signal(signal.SIGTERM)
        for server in servers:
            server.wait(30)


@pytest.fixture(scope='module')
def browser(site, user, database):
    """A session that has filled in both web forms of the installer."""
    session = requests.Session()
    session.headers['Host'] = 'wp.localhost'
    first = session.get(f'{site}/', allow_redirects=False, timeout=60)
    assert first.status_code == 302 and 'setup-config.php' in first.headers['Location']
    done = session.post(f'{site}/wp-admin/setup-config.php?step=2', timeout=60, data={
        'dbname': 'wp', 'uname': user, 'pwd': '', 'dbhost': f'localhost:{database}', 'prefix': 'wp_',
        'language': 'en_US', 'submit': 'Submit'})
    assert 'sparky' in done.text, done.text[-1500:]
    done = session.post(f'{site}/wp-admin/install.php?step=2', timeout=120, data={
        'weblog_title': 'A site behind a bulkhead', 'user_name': 'editor', 'admin_password': 'Tr1ckier-than-this',
        'admin_password2': 'Tr1ckier-than-this', 'admin_email': 'editor@example.com', 'blog_public': '0',
        'language': 'en_US', 'Submit': 'Install WordPress'})
    assert 'Success!' in done.text, done.text[-1500:]
    return session


def test_front_page_shows_the_title_and_the_first_post(site, browser):
    page = browser.get(f'{site}/', timeout=60)
    assert page.status_code == 200
    assert 'A site behind a bulkhead' in page.text and 'Hello world!' in page.text


def test_pretty_address_reaches_wordpress_not_404_of_the_server(site, browser):
    page = browser.get(f'{site}/there-is-no-such-file/', timeout=60)
    assert 'A site behind a bulkhead' in page.text
    page = browser.get(f'{site}/?p=99999', timeout=60)
    assert page.status_code == 404 and 'A site behind a bulkhead' in page.text


def test_static_files_of_a_private_tree_are_served(site, browser):
    page = browser.get(f'{site}/wp-includes/css/buttons.css', timeout=60)
    assert page.status_code == 200 and page.headers['Content-Type'] == 'text/css'


def test_admin_login_reaches_the_dashboard(site, browser):
    form = browser.get(f'{site}/wp-login.php', timeout=60)
    assert 'name="log"' in form.text
    done = browser.post(f'{site}/wp-login.php', timeout=60, allow_redirects=False, data={
        'log': 'editor', 'pwd': 'Tr1ckier-than-this', 'wp-submit': 'Log In', 'testcookie': '1'})
    assert done.status_code == 302 and 'wp-admin' in done.headers['Location'], done.text[-800:]
    cookies = '; '.join(f'{c.name}={c.value}' for c in browser.cookies)
    page = browser.get(f'{site}/wp-admin/', timeout=60, headers={'Cookie': cookies})
    assert page.status_code == 200 and re.search('<title>Dashboard', page.text)


def test_wrong_password_is_refused(site, browser):
    done = requests.post(f'{site}/wp-login.php', timeout=60, headers={'Host': 'wp.localhost'}, data={
        'log': 'editor', 'pwd': 'wrong', 'wp-submit': 'Log In'})
    assert done.status_code == 200 and 'is incorrect' in done.text


@pytest.fixture(scope='module')
def editor(site, browser):
    """The session of somebody who has logged in; its cookies are for another host name than the address."""
    browser.get(f'{site}/wp-login.php', timeout=60)
    done = browser.post(f'{site}/wp-login.php', timeout=60, allow_redirects=False, data={
        'log': 'editor', 'pwd': 'Tr1ckier-than-this', 'wp-submit': 'Log In', 'testcookie': '1'})
    assert done.status_code == 302
    session = requests.Session()
    session.headers.update({'Host': 'wp.localhost', 'Cookie': '; '.join(f'{c.name}={c.value}' for c in browser.cookies)})
    return session


def nonce(page, name='_wpnonce'):
    return re.search(f'name="{name}" value="([0-9a-f]+)"', page.text).group(1)


def test_a_plugin_is_uploaded_and_runs(site, editor, work, user):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, 'w') as z:
        z.writestr('hull/hull.php', '<?php /* Plugin Name: Hull\nVersion: 1 */\n'
                   "add_action('wp_footer', function () { echo '<!-- the hull holds -->'; });")
    form = editor.get(f'{site}/wp-admin/plugin-install.php?tab=upload', timeout=60)
    done = editor.post(f'{site}/wp-admin/update.php?action=upload-plugin', timeout=120,
                       data={'_wpnonce': nonce(form), 'install-plugin-submit': 'Install Now'},
                       files={'pluginzip': ('hull.zip', archive.getvalue(), 'application/zip')})
    assert 'Plugin installed successfully' in done.text, done.text[-2500:]
    assert os.stat(f'{work}/www/wp-content/plugins/hull/hull.php').st_uid == pwd.getpwnam(user).pw_uid
    link = re.search('href="(plugins.php\\?action=activate[^"]+)"', done.text).group(1).replace('&amp;', '&')
    assert editor.get(f'{site}/wp-admin/{link}', timeout=60, allow_redirects=False).status_code == 302
    assert '<!-- the hull holds -->' in editor.get(f'{site}/', timeout=60).text


def test_a_picture_is_uploaded_and_resized(site, editor, work):
    picture = subprocess.run(['/usr/bin/convert', '-size', '1600x1200', 'plasma:red-blue', 'jpg:-'], check=True,
                             capture_output=True).stdout
    form = editor.get(f'{site}/wp-admin/media-new.php', timeout=60)
    done = editor.post(f'{site}/wp-admin/async-upload.php', timeout=120,
                       data={'_wpnonce': nonce(form), 'action': 'upload-attachment', 'name': 'sea.jpg'},
                       files={'async-upload': ('sea.jpg', picture, 'image/jpeg')}).json()
    assert done['success'], done
    sizes = done['data']['sizes']
    assert {'thumbnail', 'medium', 'large', 'full'} <= set(sizes), sizes
    assert (sizes['thumbnail']['width'], sizes['thumbnail']['height']) == (150, 150)
    for name in ('thumbnail', 'medium', 'large'):
        path = sizes[name]['url'].split('wp.localhost', 1)[1].split('/', 1)[1]
        small = editor.get(f'{site}/{path}', timeout=60)
        assert small.headers['Content-Type'] == 'image/jpeg' and small.content[:2] == b'\xff\xd8'
        facts = subprocess.run(['/usr/bin/identify', '-format', '%w %h', '-'], input=small.content, check=True,
                               capture_output=True).stdout.decode()
        assert facts == f"{sizes[name]['width']} {sizes[name]['height']}", name
        assert os.path.isfile(f'{work}/www/{path}')


@pytest.mark.skipif(STOCK, reason='stock servers have no such command')
def test_a_command_works_on_the_site_as_wp_cli_does(site, browser, work):
    script = """
        $_SERVER['HTTP_HOST'] = 'wp.localhost'; require 'wp-load.php';
        $id = wp_insert_post(['post_title' => 'Written by a command', 'post_status' => 'publish']);
        echo get_bloginfo('name'), '|', get_post($id)->post_title, '|', php_sapi_name(), '|', wp_upload_dir()['error'] ?: 'writable';
    """
    done = subprocess.run([os.path.join(BIN, 'bulkhead'), 'exec', '--control', f'{work}/nginx.ctl', 'wp.localhost', '--',
                           'php', '-r', script], cwd=f'{work}/www', capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout == 'A site behind a bulkhead|Written by a command|cli|writable', done
    assert 'Written by a command' in browser.get(f'{site}/', timeout=60).text
