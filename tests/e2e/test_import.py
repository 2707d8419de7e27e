"""`bulkhead import`: what it says of real configurations (Debian's, the article's, the corpus of 303), and
that it adopts one all or nothing, without changing it."""
import concurrent.futures
import hashlib
import importlib.machinery
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import tempfile

import pytest

from harness import http
from harness.sanitizers import SLOW
from harness.servers import BIN, TOP, Bulkhead
from harness.users import users

CORPUS = os.path.join(TOP, '../shared/corpus/nginx')

NGINX = """user www-data;
pid @DIR@/run.pid;
error_log @DIR@/error.log;
events { }
http {
    include mime.types;
    access_log @DIR@/access.log;
    include sites/*;
}
"""
BLOG = """server {
    listen 127.0.0.1:@PORT@;
    server_name blog.test www.blog.test;
    root @DIR@/www/blog;
    location ~ \\.php$ { include params/php; fastcgi_pass unix:@DIR@/a.sock; }
}
"""
SHOP = """server {
    listen 127.0.0.1:@PORT@;
    server_name shop.test;
    root @DIR@/www/shop/public;
    index index.php;
    location ~ \\.php$ { include params/php; fastcgi_pass unix:@DIR@/a.sock; }
    location /admin {
        auth_basic "secret";
        auth_basic_user_file @DIR@/users;
    }
}
"""
PHP = 'include @TOP@/share/conf/fastcgi_params;\nfastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;\n'
POOLS = """[global]
error_log = @DIR@/fpm.log
include = @DIR@/pool.d/*.conf
"""
POOL = """[a]
user = @USER@
group = @USER@
listen = @DIR@/a.sock
listen.mode = 0666
pm = ondemand
pm.max_children = 2
"""


class Old(Bulkhead):
    """A machine as nginx and php-fpm have it; `adopt(...)` runs the import, `start()` what it wrote."""
    kind = 'old'

    def __init__(self, work, user, tag):
        super().__init__(work, None, tag=tag)
        self.files = {'nginx/nginx.conf': NGINX, 'nginx/sites/blog': BLOG, 'nginx/sites/shop': SHOP,
                      'nginx/params/php': PHP, 'php-fpm.conf': POOLS, 'pool.d/a.conf': POOL.replace('@USER@', user.name)}
        for name, text in self.files.items():
            self.save(name, text)
        shutil.copy(os.path.join(TOP, 'share/conf/mime.types'), os.path.join(self.dir, 'nginx/mime.types'))
        self.save('www/blog/index.html', 'the blog\n')
        self.save('www/blog/who.php', '<?php echo get_current_user();')
        self.save('www/shop/public/index.php', '<?php echo "the shop\n";')
        user.own(os.path.join(self.dir, 'www'))
        self.etc, self.state = os.path.join(self.dir, 'etc'), os.path.join(self.dir, 'state')
        self.env = dict(os.environ, BULKHEAD_ETC=self.etc, BULKHEAD_STATE=self.state,
                        BULKHEAD_HOMES=os.path.join(self.dir, 'homes'))

    def commands(self):
        return [[os.path.join(BIN, 'bulkhead'), 'serve', '--config', os.path.join(self.etc, 'bulkhead.conf'),
                 '--state', self.state]]

    def adopt(self, *options, code=0):
        done = subprocess.run(
            [os.path.join(BIN, 'bulkhead'), 'import', '--nginx', os.path.join(self.dir, 'nginx/nginx.conf'), '--fpm',
             os.path.join(self.dir, 'php-fpm.conf'), *options], env=self.env, capture_output=True, text=True,
            check=False, timeout=60 * SLOW)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def site(self, *words):
        done = subprocess.run([os.path.join(BIN, 'bulkhead'), 'site', *words], env=self.env, capture_output=True,
                              text=True, check=False, timeout=60 * SLOW)
        assert done.returncode == 0, done.stdout + done.stderr

    def digest(self):
        """Of everything that was there before the import."""
        out = {}
        for top in ('nginx', 'pool.d', 'www'):
            for folder, _, names in os.walk(os.path.join(self.dir, top)):
                for name in names:
                    path = os.path.join(folder, name)
                    with open(path, 'rb') as f:
                        out[path] = (hashlib.sha256(f.read()).hexdigest(), os.lstat(path).st_mtime_ns)
        return out

    def ask(self, host, path='/'):
        return http.fetch(('127.0.0.1', self.port), path, host=host, timeout=20 * SLOW)


@pytest.fixture(scope='module')
def user():
    with users('imp') as made:
        yield made[0]


def parts(text):
    """The JSON objects that stand one after the other."""
    decoder, out = json.JSONDecoder(), []
    while text.strip():
        found, end = decoder.raw_decode(text.lstrip())
        out.append(found)
        text = text.lstrip()[end:]
    return out


def test_says_what_is_unsafe_and_changes_nothing(work, user):
    old = Old(work, user, 'unsafe')
    old.save('www/shop/.env', 'APP_KEY=x\n')
    old.save('www/blog/wp-config.php', '<?php\n')
    old.save('www/blog/kept/settings.php', '<?php\n')
    os.chmod(os.path.join(old.dir, 'www/blog/kept/settings.php'), 0o640)
    outside = old.save('elsewhere/wp-config.php', '<?php\n')
    os.symlink(os.path.dirname(outside), os.path.join(old.dir, 'www/blog/linked'))
    os.symlink(outside, os.path.join(old.dir, 'www/blog/.env'))
    before = old.digest()
    text = old.adopt('--dry-run').stdout
    assert 'nothing was changed' in text and old.digest() == before
    assert not os.path.exists(old.etc) and not os.path.exists(old.state)
    report, result = parts(old.adopt('--dry-run', '--json').stdout)
    assert result['dry_run'] and not result['changed']
    assert [(s['names'], s['user'], s['pool'], s['root'].removeprefix(old.dir)) for s in report['sites']] == [
        (['blog.test', 'www.blog.test'], user.name, 'a', '/www/blog'),
        (['shop.test'], user.name, 'a', '/www/shop/public')]
    problem, = report['problems']
    assert (problem['directive'], problem['outcome']) == ('auth_basic', 'answers 503')
    assert problem['where'].endswith('nginx/sites/shop:8') and problem['reason'] and problem['advice']
    assert f'{problem["where"]}: auth_basic: answers 503' in text
    shared, = report['shared_users']
    assert shared['user'] == user.name and shared['sites'] == [0, 1]
    assert any(c.startswith('bulkhead site add shop.test --template php') for c in shared['split_commands'])
    assert [s['pool'] for s in report['sockets']] == ['a'] and 'listen.mode = 0660' in text
    assert [s['path'].removeprefix(old.dir) for s in report['secrets']] == ['/www/blog/wp-config.php', '/www/shop/.env'], \
        'not what only its owner reads, nothing through a link'


def test_adopts_and_serves_and_takes_new_sites_beside(work, user):
    old = Old(work, user, 'adopts')
    before = old.digest()
    told = old.adopt().stdout
    assert 'systemctl' in told and old.digest() == before, 'the imported files are as they were'
    made = []
    try:
        with old:
            assert old.ask('blog.test').text == 'the blog\n' and old.ask('shop.test').text == 'the shop\n'
            assert old.ask('blog.test', '/who.php').text == user.name
            assert old.ask('shop.test', '/admin').status == 503
            assert 'nothing to do' in old.adopt().stdout
            old.site('add', 'new.test', '--listen', f'127.0.0.1:{old.port}')
            with open(os.path.join(old.state, 'records/new.test.json'), encoding='utf-8') as f:
                made.append(json.load(f)['user'])
            assert 'as user ' + made[0] in old.ask('new.test').text
            assert old.ask('blog.test').text == 'the blog\n' and old.digest() == before
            old.site('remove', 'new.test', '--purge')
            made.clear()
    finally:
        for name in made:
            subprocess.run(['userdel', name], check=False)


def test_the_split_it_offers_works(work, user):
    """The commands as they are printed, run by a shell."""
    old = Old(work, user, 'split')
    old.adopt()
    made = []
    try:
        with old:
            report, _ = parts(old.adopt('--json').stdout)
            script = '\n'.join(report['shared_users'][0]['split_commands'])
            script = script.replace('bulkhead reload', f'bulkhead reload --config {old.etc}/bulkhead.conf')
            done = subprocess.run(['bash', '-euxc', script], env=dict(old.env, PATH=BIN + ':' + os.environ['PATH']),
                                  capture_output=True, text=True, check=False, timeout=60 * SLOW)
            records = os.path.join(old.state, 'records/shop.test.json')
            if os.path.exists(records):
                with open(records, encoding='utf-8') as f:
                    made.append(json.load(f)['user'])
            assert done.returncode == 0, done.stdout + done.stderr
            assert made and made[0] != user.name and old.ask('shop.test').text == 'the shop\n'
            after = parts(old.adopt('--dry-run', '--json').stdout)[0]
            assert after['shared_users'] == [] and len(after['sites']) == 1
            old.site('remove', 'shop.test', '--purge')
            made.clear()
    finally:
        for name in made:
            subprocess.run(['userdel', name], check=False)


def test_keeps_what_was_there_when_the_configuration_is_wrong(work, user):
    old = Old(work, user, 'wrong')
    mine = old.save('etc/bulkhead.conf', '# mine\nevents {}\n')
    old.save('nginx/sites/bad', 'server {\n    brotli_wizard on;\n    tls_wizard off;\n}\n')
    done = old.adopt(code=1)
    for line, name in ((2, 'brotli_wizard'), (3, 'tls_wizard')):
        assert f'nginx/sites/bad:{line}: {name}: unknown' in done.stdout
    assert 'cannot be served' in done.stderr
    with open(mine, encoding='utf-8') as f:
        assert f.read() == '# mine\nevents {}\n'
    assert os.listdir(old.etc) == ['bulkhead.conf']
    os.unlink(os.path.join(old.dir, 'nginx/sites/bad'))
    os.chmod(mine, 0o600)
    old.adopt()
    assert os.stat(mine + '.before-import').st_mode & 0o777 == 0o600
    with open(mine + '.before-import', encoding='utf-8') as f:
        assert f.read() == '# mine\nevents {}\n'


def test_refuses_addresses_that_another_server_holds(work, user):
    old = Old(work, user, 'taken')
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(('127.0.0.1', old.port))
        other.listen()
        done = old.adopt(code=4)
        assert f'127.0.0.1:{old.port}' in done.stderr and not os.path.exists(os.path.join(old.etc, 'bulkhead.conf'))
        for word in ('disable --now nginx php8.2-fpm', 'enable --now bulkhead', 'disable --now bulkhead'):
            assert word in done.stderr
        old.adopt('--prepare')
    assert os.path.exists(os.path.join(old.etc, 'bulkhead.conf'))


def test_a_missing_file_is_named(work, user):
    old = Old(work, user, 'missing')
    os.unlink(os.path.join(old.dir, 'php-fpm.conf'))
    assert 'php-fpm.conf' in old.adopt(code=1).stderr
    assert subprocess.run([os.path.join(BIN, 'bulkhead'), 'import'], capture_output=True, check=False).returncode == 2


def dry(nginx, *options, prefix=()):
    done = subprocess.run([*prefix, os.path.join(BIN, 'bulkhead'), 'import', '--nginx', nginx, *options, '--dry-run', '--json'],
                          capture_output=True, text=True, check=False, timeout=60 * SLOW)
    assert done.returncode in (0, 1), (nginx, done.returncode, done.stderr)
    return parts(done.stdout)[0]


def test_debians_own_files():
    report = dry('/etc/nginx/nginx.conf', '--fpm', '/etc/php/8.2/fpm/php-fpm.conf')
    assert report['servable'], report['error']
    assert any(s['root'] == '/var/www/html' and s['user'] == 'www-data' for s in report['sites'])
    assert not any(p['outcome'] in ('unknown', 'refused') for p in report['problems'])


def test_the_article(work, user):
    """The pool and the server block of the article, word for word but for paths and the user."""
    from test_article import block
    folder = work.mkdir('article')
    work.write('article/nginx.conf', 'user www-data;\nevents {}\nhttp {\n' + block('server {') + '}\n')
    work.write('article/fastcgi_params', '')
    pool = block('[site1]').replace('= site1', '= ' + user.name).replace('/var/run', folder)
    work.write('article/fpm.conf', '[global]\n' + pool)
    with open(os.path.join(folder, 'nginx.conf'), encoding='utf-8') as f:
        text = f.read().replace('/var/run', folder)
    work.write('article/nginx.conf', text)
    report = dry(os.path.join(folder, 'nginx.conf'), '--fpm', os.path.join(folder, 'fpm.conf'))
    assert report['servable'] and report['problems'] == [], report
    site, = report['sites']
    assert site['names'] == ['site1.example.org'] and site['user'] == user.name and site['pool'] == 'site1'


def test_the_corpus():
    """No real configuration makes it crash; a directive that nobody knows is named with its place."""
    loader = importlib.machinery.SourceFileLoader('corpus_check', os.path.join(CORPUS, 'check'))
    spec = importlib.util.spec_from_loader('corpus_check', loader)
    check = importlib.util.module_from_spec(spec)
    loader.exec_module(check)
    work, keys = tempfile.mkdtemp(prefix='nc'), tempfile.mkdtemp(prefix='ncert')
    try:
        check.make_keys(keys)

        def one(numbered):
            number, case = numbered
            prefix = os.path.join(work, str(number))
            check.prepare(case, prefix, (keys, os.path.join(CORPUS, '_common')))
            original = os.path.join(prefix, 'original')
            original = os.path.join(original, os.listdir(original)[0])
            with open(original, 'ab') as f:
                f.write(check.JUNK)
            # No names are looked up outside.
            report = dry(os.path.join(prefix, 'nginx.conf'), prefix=('unshare', '-n'))
            shutil.rmtree(prefix, ignore_errors=True)
            found = [p for p in report['problems'] if p['directive'] == 'no_such_directive_in_any_server']
            return case, not report['servable'] and report['error'], len(found) == 1 and found[0]['where'].startswith(original)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            results = list(pool.map(one, enumerate(list(check.cases([CORPUS])))))
    finally:
        shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(keys, ignore_errors=True)
    assert len(results) > 250 and all(error for _, error, _ in results)
    unnamed = [(case, error) for case, error, named in results if not named and 'unexpected' not in error]
    assert not unnamed, unnamed[:5]


@pytest.mark.skipif(os.environ.get('BULKHEAD_TREE', 'build') != 'build', reason='one start per step is enough in one tree')
def test_killed_at_every_step_it_leaves_the_old_state_or_the_new_one(work, user):
    """As test_site_kill: strace ends it at the n-th line that its journal makes durable."""
    old = Old(work, user, 'killed')
    mine = old.save('etc/bulkhead.conf', '# mine\nevents {}\n')

    def seen():
        out = {}
        for folder, folders, names in os.walk(old.etc):
            for name in folders + names:
                path = os.path.join(folder, name)
                out[path] = ''
                if os.path.isfile(path):
                    with open(path, encoding='utf-8') as f:
                        out[path] = f.read()
        return out

    def put_back():
        shutil.rmtree(old.etc)
        old.save('etc/bulkhead.conf', '# mine\nevents {}\n')
    before = seen()
    old.adopt()
    after = seen()
    assert after != before and after[mine] != before[mine]
    undone = finished = 0
    for n in range(1, 100):
        put_back()
        done = subprocess.run(
            ['strace', '-o', '/dev/null', '-e', 'trace=fdatasync', '-e', f'inject=fdatasync:signal=SIGKILL:when={n}',
             os.path.join(BIN, 'bulkhead-import'), '--nginx', os.path.join(old.dir, 'nginx/nginx.conf'), '--fpm',
             os.path.join(old.dir, 'php-fpm.conf')], env=old.env, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode == 0:
            break
        assert done.returncode in (-9, 137), done.stderr
        old.site('recover')
        now = seen()
        assert now in (before, after), f'killed at {n}: neither old nor new'
        undone, finished = undone + (now == before), finished + (now == after)
    assert undone >= 5 and finished >= 1
    assert seen() == after
