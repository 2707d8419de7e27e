"""The article, step by step: its own two files and its own commands, changed in nothing but paths,
port and the name of the service.  Ref: ../shared/seed (the article's text)."""
import glob
import os
import re
import shutil
import subprocess

import pytest

from harness.servers import TOP, Bulkhead, Stock, descendants, wait_for

KIND = Stock if os.environ.get('BULKHEAD_TEST_STOCK') == '1' else Bulkhead

NGINX = '''
user www-data;
worker_processes 2;
pid @DIR@/run.pid;
error_log @DIR@/error.log;
events { }
http {
    include @TOP@/share/conf/mime.types;
    access_log @DIR@/access.log;
    server {
        listen @PORT@ default_server;
        root @ROOTS@/html;
        index index.php index.html index.htm;
        server_name localhost;
        location / { try_files $uri $uri/ =404; }
        location ~ \\.php$ {
            try_files $uri =404;
            fastcgi_split_path_info ^(.+\\.php)(/.+)$;
            fastcgi_pass unix:@DIR@/php-www.sock;
            fastcgi_index index.php;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            include fastcgi_params;
        }
    }
    include @DIR@/sites-enabled/*;
}
'''
FPM = '''[global]
error_log = @DIR@/fpm.log
include = @DIR@/pool.d/*.conf
[www]
user = www-data
group = www-data
listen = @DIR@/php-www.sock
listen.owner = www-data
listen.group = www-data
pm = dynamic
pm.max_children = 5
pm.start_servers = 2
pm.min_spare_servers = 1
pm.max_spare_servers = 3
chdir = /
'''


def article():
    path, = glob.glob(os.path.join(TOP, '../shared/seed/*.txt'))
    with open(path, encoding='utf-8') as f:
        return f.read()


def block(start):
    """An indented block of the article that begins with a line."""
    lines = article().splitlines()
    at = next(i for i, l in enumerate(lines) if l.strip() == start and l.startswith('    '))
    out = []
    for line in lines[at:]:
        if line and not line.startswith('    '):
            break
        out.append(line[4:])
    return '\n'.join(out) + '\n'


def sh(command):
    return subprocess.run(command, shell=True, capture_output=True, text=True, check=False)


@pytest.fixture(scope='module')
def server(work):
    made_user = sh('id -u site1').returncode != 0
    roots = f'/usr/share/bh-article-{os.getpid()}'  # below /usr/share, as the article's
    server = KIND(work, NGINX.replace('@ROOTS@', roots), FPM)
    d = server.dir
    # Step 1: the group, the user, the pool.
    if made_user:
        assert sh('groupadd site1').returncode == 0 and sh('useradd -g site1 site1').returncode == 0
    paths = {'/var/run/php5-fpm-site1.sock': f'{d}/php5-fpm-site1.sock', '/usr/share/nginx': roots}
    pool, site = block('[site1]'), block('server {')
    assert 'disable_functions' in pool and 'fastcgi_split_path_info' in site
    for old, new in paths.items():
        pool, site = pool.replace(old, new), site.replace(old, new)
    site = site.replace('listen 80;', f'listen {server.port};')
    work.write(f'{d}/pool.d/site1.conf', pool)
    # Step 2: the server block, its link, the web root.
    work.write(f'{d}/sites-available/site1', site)
    os.makedirs(f'{d}/sites-enabled')
    os.symlink(f'{d}/sites-available/site1', f'{d}/sites-enabled/site1')
    sh(f'cp {TOP}/share/conf/fastcgi_params {d}/')
    # Step 3: its files.
    os.makedirs(f'{roots}/sites/site1')
    os.makedirs(f'{roots}/html')
    work.write(f'{roots}/html/info.php', '<?php phpinfo(); ?>')
    sh(f'cp {roots}/html/info.php {roots}/sites/site1/')
    work.write(f'{roots}/html/config.php', "<?php\n$pass = 'secret';\n?>\n")
    sh(f'chmod 400 {roots}/html/config.php; chown www-data:www-data {roots}/html/config.php')
    work.write(f'{roots}/html/readfile.php', f"<?php\ninclude('{roots}/html/config.php');\nprint($pass);\n?>\n")
    sh(f'chown www-data:www-data {roots}/html/readfile.php; cp {roots}/html/readfile.php {roots}/sites/site1/')
    sh(f'chown site1:site1 {roots}/sites/site1/readfile.php')
    # opcache does not keep files younger than opcache.file_update_protection (2 s).
    sh(f'touch -d "1 minute ago" {roots}/html/*.php {roots}/sites/site1/*.php')
    server.roots = roots
    try:
        with server:
            yield server
    finally:
        shutil.rmtree(roots)
    if made_user:
        sh('userdel site1; groupdel site1')


def lynx(server, host, path, rest=''):
    # lynx has no --resolve: it goes through the server as its proxy (absolute-form requests).
    return sh(f'http_proxy=http://127.0.0.1:{server.port}/ lynx --dump http://{host}{path} {rest}').stdout


def test_ps_shows_the_pool_as_the_article_does(server):
    wait_for(lambda: re.search(r'^site1 .* php-fpm: pool site1$', sh('ps aux | grep site1').stdout, re.M),
             why='a process of user site1 titled "php-fpm: pool site1"')


def test_each_site_runs_as_its_user(server):
    assert re.search(r"_SERVER\['USER'\]\s+www-data", lynx(server, 'localhost', '/info.php'))
    assert re.search(r"_SERVER\['USER'\]\s+site1", lynx(server, 'site1.example.org', '/info.php'))


def test_pool_settings_of_the_article_are_in_force(server):
    page = lynx(server, 'site1.example.org', '/info.php')
    assert re.search(r'disable_functions\s+exec,passthru,shell_exec,system', page)
    assert re.search(r'allow_url_fopen\s+Off', page)


def test_readfile_prints_the_secret_on_its_own_site_only(server):
    for _ in range(3):  # so that the owner has cached it
        assert lynx(server, 'localhost', '/readfile.php').strip() == 'secret'
    assert 'secret' not in lynx(server, 'site1.example.org', '/readfile.php')
    expected = (r'^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[error\] \d+#\d+: \*\d+ FastCGI sent in stderr: '
                r'"PHP message: PHP Warning:  include\(\S+/html/config\.php\): Failed to open stream: '
                r'Permission denied in \S+/sites/site1/readfile\.php on line 2')
    wait_for(lambda: re.search(expected, server.read('error.log'), re.M), why='the error log line')


def test_opcache_is_on(server):
    assert re.search(r'Opcode Caching\s+Up and Running', lynx(server, 'localhost', '/info.php'))


def test_a_link_to_the_neighbours_file_is_refused(server):
    link = f'{server.roots}/sites/site1/config.txt'
    os.symlink(f'{server.roots}/html/config.php', link)
    os.chown(link, *(os.stat(f'{server.roots}/sites/site1/readfile.php')[4:6]), follow_symlinks=False)
    page = server.fetch('/config.txt', host='site1.example.org')
    assert page.status == 403 and b'secret' not in page.body


def test_nothing_but_the_sites_user_and_root_has_site1s_processes(server):
    pools = [facts for facts in descendants(server.pid).values() if 'pool site1' in facts[2]]
    assert pools and len({facts[1] for facts in pools}) == 1 and pools[0][1] != 0
