"""The programs and extensions that PHP sites use, inside a sandboxed site, asked for by real requests and by
`bulkhead exec`: a sandbox that takes ImageMagick, git or the database away is none that anybody keeps on."""
import http.server
import json
import os
import shutil
import signal
import ssl
import subprocess
import threading

import pytest

from harness.sanitizers import SLOW
from harness.servers import BIN, Bulkhead, wait_for
from harness.smtp_sink import SmtpSink
from harness.users import users



FONT = '/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf'
NGINX = '''
user www-data;
worker_processes 1;
pid @DIR@/run.pid;
error_log @DIR@/error.log;
events { }
http {
    access_log off;
    server {
        listen 127.0.0.1:@PORT@;
        server_name site.example;
        root {root};
        location ~ \\.php$ {
            fastcgi_pass unix:@DIR@/site.sock;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            include @TOP@/share/conf/fastcgi_params;
        }
    }
}
'''
FPM = '''[global]
error_log = @DIR@/fpm.log
[site]
user = {user}
listen = @DIR@/site.sock
pm = ondemand
pm.max_children = 4
env[PATH] = /usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin
env[ASAN_OPTIONS] = $ASAN_OPTIONS
php_admin_value[sendmail_path] = "{root}/bin/bulkhead-sendmail -t -i --relay=127.0.0.1:{smtp} --site=site"
php_admin_value[mysqli.default_socket] = {database}/m.sock
sandbox.read[] = {database}
'''
# Every script answers with JSON; `run` gives a command's output and fails loudly.
PRELUDE = '''<?php
error_reporting(E_ALL);
set_error_handler(function ($n, $text, $file, $line) { throw new ErrorException($text, 0, $n, $file, $line); });
set_exception_handler(function ($e) { http_response_code(500); echo get_class($e), ": ", $e->getMessage(), " at ", $e->getLine(); });
function run($command) {
    exec($command . ' 2>&1', $lines, $code);
    if ($code !== 0) throw new Exception("$command: code $code: " . implode("\\n", $lines));
    return implode("\\n", $lines);
}
function answer($value) { header('Content-Type: application/json'); echo json_encode($value, JSON_THROW_ON_ERROR); }
'''


class Site:
    """The site under test: its server, root, user, and ways to run code in it."""

    def __init__(self, server, root, user):
        self.server, self.root, self.user, self.count = server, root, user, 0

    def php(self, code):
        """Runs PHP code as a request; what it answers."""
        self.count += 1
        name = f'script{self.count}.php'
        path = os.path.join(self.root, name)
        with open(path, 'w', encoding='utf-8') as f:
            f.write(PRELUDE + code)
        os.chown(path, self.user.uid, self.user.gid)
        response = self.server.fetch(f'/{name}', host='site.example')
        assert response.status == 200, response.text + self.server.read('fpm.log')[-1500:]
        return json.loads(response.text)

    def exec(self, *command, site='site', **kwargs):
        done = subprocess.run([os.path.join(BIN, 'bulkhead'), 'exec', '--control', f'{self.server.dir}/run.ctl', site,
                               '--', *command], capture_output=True, text=True, check=False, timeout=60 * SLOW, **kwargs)
        assert done.returncode == 0, (command, done.returncode, done.stdout[-500:], done.stderr[-1500:])
        return done.stdout


@pytest.fixture(scope='module')
def person():
    with users('prog') as (made,):
        yield made


@pytest.fixture(scope='module')
def smtp():
    with SmtpSink() as sink:
        yield sink


@pytest.fixture(scope='module')
def mariadb(work, person):
    """The folder of a MariaDB's socket, with a database that the site's Linux user owns."""
    data, run = work.mkdir('mariadb/data'), work.mkdir('mariadb/run')
    for folder in (data, run):
        shutil.chown(folder, 'mysql', 'mysql')
    subprocess.run(['mariadb-install-db', '--user=mysql', f'--datadir={data}', '--skip-test-db',
                    '--auth-root-authentication-method=socket'], check=True, capture_output=True)
    with open(work / 'mariadb.log', 'wb') as log:
        server = subprocess.Popen(['mariadbd', '--no-defaults', '--user=mysql', f'--datadir={data}',
                                   f'--socket={run}/m.sock', '--skip-networking', f'--pid-file={data}/pid',
                                   '--innodb-flush-log-at-trx-commit=0'], stdout=log, stderr=log)
    try:
        wait_for(lambda: subprocess.run(['mariadb-admin', f'--socket={run}/m.sock', 'ping'], check=False,
                                        capture_output=True).returncode == 0, 60, 'MariaDB')
        subprocess.run(['mariadb', f'--socket={run}/m.sock'], check=True, text=True, input=(
            f"CREATE DATABASE site; CREATE USER '{person.name}'@'localhost' IDENTIFIED VIA unix_socket;"
            f"GRANT ALL ON site.* TO '{person.name}'@'localhost';"))
        yield run
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)


@pytest.fixture(scope='module')
def site(work, person, smtp, mariadb):
    root = work.mkdir('www', 0o700)
    os.makedirs(f'{root}/bin')
    shutil.copy(os.path.join(BIN, 'bulkhead-sendmail'), f'{root}/bin/')
    person.own(root)
    fill = {'{root}': root, '{user}': person.name, '{smtp}': str(smtp.port), '{database}': mariadb}
    texts = []
    for text in (NGINX, FPM):
        for key, value in fill.items():
            text = text.replace(key, value)
        texts.append(text)
    with Bulkhead(work, *texts) as server:
        yield Site(server, root, person)


# ---- pictures and fonts ----------------------------------------------------------------------------

def test_imagemagick_draws_text_and_resizes(site):
    got = site.php(f'''
        run('convert -size 300x100 xc:white -font {FONT} -pointsize 40 -draw "text 10,60 Bulkhead" a.png');
        run('convert a.png -resize 150x a.jpg');
        run('convert -background white -fill black -font DejaVu-Sans -pointsize 20 label:words b.png');
        answer([getimagesize('a.jpg'), run('identify -format "%k" a.png'), filesize('b.png')]);''')
    assert (got[0]['0'], got[0]['1'], got[0]['mime']) == (150, 50, 'image/jpeg')
    assert int(got[1]) > 2 and got[2] > 100  # letters are there, with soft edges


def test_fontconfig_finds_the_fonts_of_the_system(site):
    assert 'DejaVuSans.ttf' in site.php("answer(run('fc-match DejaVuSans file'));")


def test_gd_draws_with_a_font_in_every_format(site):
    got = site.php(f'''
        $i = imagecreatetruecolor(200, 80);
        imagefttext($i, 24, 0, 10, 50, 0xffffff, '{FONT}', 'grün');
        foreach (['png', 'jpeg', 'gif', 'webp'] as $f) {{ ("image$f")($i, "gd.$f"); $out[$f] = getimagesize("gd.$f")['mime']; }}
        $i = imagescale(imagecreatefrompng('gd.png'), 100);
        for ($x = $lit = 0; $x < 100; $x++) for ($y = 0; $y < 40; $y++) $lit += (imagecolorat($i, $x, $y) & 255) > 128;
        answer([$out, $lit]);''')
    assert got[0] == {'png': 'image/png', 'jpeg': 'image/jpeg', 'gif': 'image/gif', 'webp': 'image/webp'}
    assert got[1] > 50


# ---- languages, time, names ------------------------------------------------------------------------

def test_intl_knows_languages(site):
    got = site.php('''
        $c = new Collator('sv'); $words = ['ö', 'z', 'å', 'a']; $c->sort($words);
        answer([(new NumberFormatter('de_DE', NumberFormatter::CURRENCY))->formatCurrency(1234.5, 'EUR'), $words,
                (new IntlDateFormatter('fr_FR', 0, -1, 'Europe/Paris'))->format(0), idn_to_ascii('bücher.example')]);''')
    assert got[0] == '1.234,50\xa0€' and got[1] == ['a', 'z', 'å', 'ö']
    assert got[2] == 'jeudi 1 janvier 1970' and got[3] == 'xn--bcher-kva.example'


def test_time_zones_of_php_and_of_the_system(site):
    got = site.php('''
        date_default_timezone_set('America/New_York');
        answer([date('H:i T', 0), run('TZ=Asia/Tokyo date -d @0 +"%H:%M %Z"'), run('date +%Z'),
                count(timezone_identifiers_list()) > 300]);''')
    zone = subprocess.run(['date', '+%Z'], capture_output=True, text=True, check=True).stdout.strip()
    assert got == ['19:00 EST', '09:00 JST', zone, True]


def test_locales_are_those_of_the_system(site):
    got = site.php('''answer([setlocale(LC_ALL, 'C.UTF-8'), run('locale -a'), mb_strtoupper('é')]);''')
    assert got[0] == 'C.UTF-8' and got[2] == 'É'
    assert got[1] == subprocess.run(['locale', '-a'], capture_output=True, text=True, check=True).stdout.strip()


def test_names_of_hosts_users_and_services_resolve(site):
    with open('/etc/hosts', encoding='utf-8') as f:
        rows = [line.split('#')[0].split() for line in f]
    v4 = [row for row in rows if len(row) > 1 and '.' in row[0]]
    name, address = v4[-1][1], v4[-1][0]
    got = site.php(f'''
        answer([gethostbyname('localhost'), gethostbyname('{name}'), run('getent hosts {name}'),
                posix_getpwuid(posix_geteuid())['name'], posix_getpwnam('root')['uid'], getservbyname('smtp', 'tcp'),
                run('whoami'), run('id -gn'), gethostbyname('no-such-host.invalid'), run('cat /etc/resolv.conf')]);''')
    assert got[0] == '127.0.0.1' and got[1] == address and name in got[2]
    assert got[3:6] == [site.user.name, 0, 25] and got[6:8] == [site.user.name] * 2
    assert got[8] == 'no-such-host.invalid'
    with open('/etc/resolv.conf', encoding='utf-8') as f:
        assert got[9].strip() == f.read().strip()


def test_temporary_files_devices_and_shared_memory(site):
    got = site.php(r'''
        $t = tmpfile(); fwrite($t, 'x'); $n = tempnam('/tmp', 'bh'); $v = tempnam('/var/tmp', 'bh');
        $z = fopen('/dev/zero', 'r'); $shm = '/dev/shm/bh' . getmypid(); file_put_contents($shm, 'y');
        $out = [sys_get_temp_dir(), dirname($n), dirname($v), fread($z, 2), file_put_contents('/dev/null', 'abc'),
                strlen(random_bytes(8)), strlen(file_get_contents('/dev/urandom', false, null, 0, 16)),
                file_get_contents($shm), run('echo out > /dev/stdout; echo a | tee /dev/fd/1 > /dev/null; test -t 0 || echo no')];
        array_map('unlink', [$n, $v, $shm]);
        answer($out);''')
    assert got[:8] == ['/tmp', '/tmp', '/var/tmp', '\0\0', 3, 8, 16, 'y'] and got[8].startswith('out')


def test_processes_see_the_machine_they_run_on(site):
    got = site.php('''answer([run('nproc'), substr_count(file_get_contents('/proc/cpuinfo'), 'processor'), run('ps -o comm= -p $$'),
                              (int) readlink('/proc/self') === getmypid(), sys_getloadavg()[0] >= 0]);''')
    assert int(got[0]) >= 1 and got[1] >= 1 and got[2:] == ['sh', True, True]


# ---- other programs --------------------------------------------------------------------------------

def test_git_clones_a_repository_of_the_site(site):
    got = site.php('''
        run('git init -q -b main work && cd work && git config user.name a && git config user.email a@b.example'
            . ' && echo one > f && git add f && git commit -qm first && git clone -q --bare . ../bare.git');
        run('git clone -q bare.git copy && cd copy && git config user.name a && git config user.email a@b.example'
            . ' && echo two >> f && git commit -qam second && git push -q origin main');
        answer([run('git -C bare.git log --format=%s'), file('copy/f')]);''')
    assert got == ['second\nfirst', ['one\n', 'two\n']]


def test_interpreters_run_with_their_libraries(site):
    got = site.php('''
        answer([run("python3 -c 'import ssl, sqlite3, json, decimal; print(json.dumps(sum(range(10))))'"),
                run("perl -MPOSIX -MFile::Temp -MEncode -e 'print strftime(\\"%Y\\", gmtime 0)'"),
                run("echo 'a b' | awk '{ print \\$2 }'"), run('printf x | gzip | gunzip'),
                run('tar -cf t.tar a.png && tar -tf t.tar'), run('php -r "echo PHP_SAPI;"')]);''')
    assert got == ['45', '1970', 'b', 'x', 'a.png', 'cli']


@pytest.mark.skipif(shutil.which('gs') is None, reason='ghostscript is not installed')
def test_ghostscript_makes_a_picture_of_a_page(site):
    got = site.php(r'''
        file_put_contents('p.ps', "%!PS\n/Helvetica findfont 40 scalefont setfont 20 20 moveto (page) show showpage\n");
        run('gs -q -dSAFER -dBATCH -dNOPAUSE -sDEVICE=png16m -g200x100 -sOutputFile=p.png p.ps');
        answer(getimagesize('p.png'));''')
    assert (got['0'], got['1']) == (200, 100)


# ---- the network -----------------------------------------------------------------------------------

@pytest.fixture(scope='module')
def tls(site):
    """A TLS server on the loopback interface whose authority only the site knows; its address."""
    folder = f'{site.root}/tls'
    os.mkdir(folder)

    def openssl(*words):
        subprocess.run(['openssl', *words], cwd=folder, check=True, capture_output=True)
    openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2',
            '-subj', '/CN=test authority')
    openssl('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'key.pem', '-out', 'req.pem', '-subj', '/CN=localhost')
    with open(f'{folder}/ext', 'w', encoding='utf-8') as f:
        f.write('subjectAltName=DNS:localhost')
    openssl('x509', '-req', '-in', 'req.pem', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-out',
            'cert.pem', '-days', '2', '-extfile', 'ext')
    site.user.own(folder)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'over TLS')

        def log_message(self, *_):
            pass
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f'{folder}/cert.pem', f'{folder}/key.pem')
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f'https://localhost:{server.server_address[1]}/'
    server.shutdown()
    thread.join()
    server.server_close()


def test_curl_and_streams_speak_tls_and_check_who_answers(site, tls):
    got = site.php(f'''
        function get($ca) {{
            $c = curl_init('{tls}');
            curl_setopt_array($c, [CURLOPT_RETURNTRANSFER => true] + ($ca ? [CURLOPT_CAINFO => $ca] : []));
            $body = curl_exec($c);
            return [$body, curl_errno($c)];
        }}
        $context = stream_context_create(['ssl' => ['cafile' => 'tls/ca.pem']]);
        answer([get('tls/ca.pem'), get(null), file_get_contents('{tls}', false, $context),
                run('curl -s --cacert tls/ca.pem {tls}')]);''')
    assert got[0] == ['over TLS', 0]
    assert got[1] == [False, 60]  # the system's authorities are read and do not know this one (77: unreadable)
    assert got[2] == 'over TLS' and got[3] == 'over TLS'


def test_the_systems_authorities_are_there(site):
    got = site.php('''
        $at = openssl_get_cert_locations();
        answer([substr_count(file_get_contents('/etc/ssl/certs/ca-certificates.crt'), 'BEGIN CERTIFICATE'),
                count(glob($at['default_cert_dir'] . '/*.0')), is_readable('/etc/ssl/openssl.cnf'),
                run('openssl version -d')]);''')
    assert got[0] > 50 and got[1] > 50 and got[2] and '/usr/lib/ssl' in got[3]


def test_mail_goes_to_the_relay(site, smtp):
    got = site.php('''
        answer(mail('you@example.org', 'Hällo', "first\\n.second\\n", "From: shop@example.org\\r\\nX-A: b"));''')
    assert got is True
    mail = smtp.mails[-1]
    assert mail['to'] == ['you@example.org'] and b'X-A: b' in mail['data'] and b'\r\n.second' in mail['data']
    assert b'From: shop@example.org' in mail['data']


def test_mariadb_by_its_socket_as_the_sites_own_user(site, mariadb):
    got = site.php(f'''
        $db = new mysqli('localhost', '{site.user.name}', '', 'site');
        $db->set_charset('utf8mb4');
        $db->query('CREATE TABLE t (x TEXT) CHARACTER SET utf8mb4');
        $s = $db->prepare('INSERT INTO t VALUES (?)'); $v = 'wört'; $s->bind_param('s', $v); $s->execute();
        $pdo = new PDO('mysql:unix_socket={mariadb}/m.sock;dbname=site;charset=utf8mb4', '{site.user.name}');
        answer([$db->query('SELECT x FROM t')->fetch_row(), $pdo->query('SELECT CURRENT_USER()')->fetchColumn(),
                substr_count(run('mysqldump --no-tablespaces --default-character-set=utf8mb4 --socket={mariadb}/m.sock site'), 'wört')]);''')
    assert got == [['wört'], f'{site.user.name}@localhost', 1]


# ---- commands --------------------------------------------------------------------------------------

def test_composer_like_a_php_program_by_exec_writes_a_tree_and_runs_it(site):
    script = r'''<?php
        foreach (['A', 'B'] as $c) {
            @mkdir("vendor/acme/$c", 0777, true);
            file_put_contents("vendor/acme/$c/$c.php", "<?php class $c { static function name() { return __CLASS__; } }");
        }
        file_put_contents('vendor/autoload.php', '<?php spl_autoload_register(fn($c) => require __DIR__ . "/acme/$c/$c.php");');
        $p = proc_open([PHP_BINARY, '-r', 'require "vendor/autoload.php"; echo A::name(), B::name();'], [1 => ['pipe', 'w']], $pipes);
        echo stream_get_contents($pipes[1]), ' ', proc_close($p), ' ', PHP_SAPI, ' ', get_current_user(), ' ', getcwd();
    '''
    path = f'{site.root}/build.php'
    with open(path, 'w', encoding='utf-8') as f:
        f.write(script)
    site.user.own(path)
    assert site.exec('php', 'build.php', cwd=site.root) == f'AB 0 cli {site.user.name} {site.root}'
    assert os.stat(f'{site.root}/vendor/autoload.php').st_uid == site.user.uid
    # ... and the site serves what the command made.
    assert site.php("require 'vendor/autoload.php'; answer(B::name());") == 'B'


def test_a_request_and_a_command_are_in_the_same_place(site):
    site.exec('sh', '-c', 'echo left by a command > /tmp/from-exec')
    assert site.php("answer(file_get_contents('/tmp/from-exec'));") == 'left by a command\n'
    assert site.php("unlink('/tmp/from-exec'); answer(posix_getuid());") == int(site.exec('id', '-u'))
