"""The hostile neighbour: site `a` runs any code it likes; site `b`, front and master must not
notice."""
import os
import re
import shutil
import signal
import socket
import threading
import time

import pytest

from harness import http
from harness.servers import Bulkhead, descendants, wait_for
from harness.users import users

NGINX = '''
user www-data;
worker_processes 2;
pid @DIR@/run.pid;
error_log @DIR@/error.log;
events { worker_connections 256; }
http {
    access_log @DIR@/access.log;
    include @DIR@/sites/*;
}
'''
SITE = '''
server {
    listen 127.0.0.1:@PORT@;
    server_name WHO.example;
    root @DIR@/WHO;
    location / { try_files $uri $uri/ =404; }
    location /secret/ { internal; }
    location ~ \\.php$ {
        fastcgi_pass unix:@DIR@/WHO.sock;
        fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
        include @TOP@/share/conf/fastcgi_params;
    }
}
'''
POOL = '''[WHO]
user = USER
listen = @DIR@/WHO.sock
pm = static
pm.max_children = CHILDREN
catch_workers_output = yes
php_admin_value[ffi.enable] = true
MORE
'''
# Writes nonsense into everything this worker shares with front, for some seconds.
SCRIBBLE = '''
$c = FFI::cdef("void *memcpy(void *, const void *, size_t);");
$rings = [];
foreach (file("/proc/self/maps") as $line)
    if (preg_match("~^([0-9a-f]+)-([0-9a-f]+) rw-s .*memfd:segment~", $line, $m)) {
        $rings[] = hexdec($m[1]);
    }
if (!$rings) die("no ring");
$put = function (int $at, string $bytes) use ($c) {
    $word = FFI::new("uintptr_t");
    $word->cdata = $at;
    $c->memcpy(FFI::cast("void *", $word), $bytes, strlen($bytes));
};
const SLOT = 4096 + 131072 + 65536 + 262144, RESPONSE = 4096 + 131072 + 65536;
mt_srand(SEED);
$odd = [0, 1, 7, 8, 16, 24, 4096, 32768, 32776, 65536, 65537, 262144, 262145, 2147483647,
        2147483648, 4294967295];
$until = microtime(true) + SECONDS;
for ($n = 0; microtime(true) < $until; ++$n) {
    $ring = $rings[mt_rand(0, count($rings) - 1)];
    $slot = $ring + 4096 + mt_rand(0, 5) * SLOT;
    $value = mt_rand(0, 3) ? $odd[mt_rand(0, 15)] : mt_rand();
    switch (mt_rand(0, 7)) {
        case 0: $put($slot, pack("V", $value)); break;
        case 1: $put($slot + 4, pack("V", $value)); break;
        case 2: $put($slot + 64 + 4 * mt_rand(0, 4), pack("V", $value)); break;
        case 3:
            $put($ring + 192 + 8 * mt_rand(0, 7),
                 pack("VV", mt_rand(0, 6) | mt_rand(0, 3) << 8, $value));
            break;
        case 4:
            $put($slot + RESPONSE + 8 * mt_rand(0, 64), pack("VV", mt_rand(0, 7), $value));
            break;
        case 5:
            $put($slot + RESPONSE, pack("VV", 1, 24) . "Status: 200 OK\\r\\nA: b\\r\\n\\r\\n"
                 . pack("VV", 2, 8) . "garbage!" . pack("VV", mt_rand(2, 5), 16));
            $put($slot, pack("V", 32 + 16 + 24));
            break;
        case 6: $put($ring + 64 * mt_rand(0, 2), pack("V", $value)); break;
        case 7: $put($slot + RESPONSE + mt_rand(0, 262000), random_bytes(64)); break;
    }
}
file_put_contents("scribbled", $n);
'''


class Sites:
    """Two sites in one server; `a` is the attacker's."""

    def __init__(self, work, people, more='', children=3, tag=''):
        self.users = dict(zip('ab', people))
        self.server = server = Bulkhead(
            work, NGINX, '[global]\nerror_log = @DIR@/fpm.log\ninclude = @DIR@/pools/*\n', tag=tag)
        self.dir = server.dir
        for name, user in self.users.items():
            server.save(f'sites/{name}', SITE.replace('WHO', name))
            server.save(f'pools/{name}', POOL.replace('WHO', name).replace(
                'USER', user.name).replace(
                'CHILDREN', str(children)).replace('MORE', more if name == 'a' else ''))
            work.write(f'{server.dir}/{name}/eval.php',
                       '<?php eval(file_get_contents("php://input"));')
            work.write(f'{server.dir}/{name}/ok.php', f'<?php echo "{name} lives";')
            work.write(f'{server.dir}/{name}/plain.txt', f'{name} plain')
            work.write(f'{server.dir}/{name}/secret/key', f'{name} secret', 0o400)
            user.own(f'{server.dir}/{name}', 0o700)

    def attack(self, code, host='a.example'):
        return self.server.fetch('/eval.php', method='POST', host=host, body=code.encode())

    def processes(self, part):
        return [pid for pid, facts in descendants(self.server.pid).items() if part in facts[2]]

    def front(self):
        front, = self.processes('bulkhead: front')
        return front

    def well(self):
        """Site b answers, from its worker and from its files."""
        assert self.server.fetch('/ok.php', host='b.example').text == 'b lives'
        assert self.server.fetch('/plain.txt', host='b.example').text == 'b plain'

    def a_is_back(self):
        """Every loop of front has learnt that the old pool ended, and has the new one."""
        wait_for(lambda: all(self.server.fetch('/ok.php', host='a.example').text == 'a lives'
                             for _ in range(8)),
                 why='a to come back')


@pytest.fixture(scope='module')
def people():
    with users('rev', 'rev') as made:
        yield made


@pytest.fixture(scope='module')
def sites(work, people):
    sites = Sites(work, people)
    with sites.server:
        yield sites


@pytest.fixture(autouse=True)
def unharmed(request):
    """After every attack: the same front, and b well."""
    if 'sites' not in request.fixturenames:
        yield
        return
    sites = request.getfixturevalue('sites')
    front = sites.front()
    yield
    sites.well()
    assert sites.front() == front, 'front was ended'


def test_front_runs_as_nobody_a_pool_runs_as(work, people):
    """`user` of nginx.conf is www-data, and so is the article's default pool."""
    sites = Sites(work, people, tag='sameuser')
    sites.server.nginx_conf = sites.server.save(
        'nginx.conf', NGINX.replace('www-data', people[0].name))
    with sites.server:
        front = sites.front()
        assert os.stat(f'/proc/{front}').st_uid != people[0].uid
        assert sites.attack(f'var_dump(posix_kill({front}, 0));').text == 'bool(false)\n'
        assert people[0].run('cat', f'/proc/{front}/maps').returncode != 0
        sites.well()


def test_nonsense_in_the_ring(sites):
    stop = threading.Event()

    def ask():
        while not stop.is_set():
            try:
                http.fetch(('127.0.0.1', sites.server.port), '/ok.php', host='a.example', timeout=3)
            except (OSError, AssertionError):
                pass
    clients = [threading.Thread(target=ask) for _ in range(6)]
    slowest = 0
    code = 'set_time_limit(0); ' + SCRIBBLE.replace('SECONDS', '4').replace(
        'SEED', str(time.time_ns() % 10**9))
    attacker = threading.Thread(
        target=lambda: http.Connection(('127.0.0.1', sites.server.port)).send(http.request_bytes(
            '/eval.php', method='POST', host='a.example', body=code.encode())).closed())
    try:
        for t in [attacker, *clients]:
            t.start()
        until = time.monotonic() + 5
        while (time.monotonic() < until
               or not os.path.exists(f'{sites.dir}/a/scribbled') and time.monotonic() < until + 10):
            start = time.monotonic()
            sites.well()
            slowest = max(slowest, time.monotonic() - start)
    finally:
        stop.set()
        for t in clients:
            t.join()
    assert slowest < 2, 'the neighbour waited'
    with open(f'{sites.dir}/a/scribbled', encoding='ascii') as f:
        assert int(f.read()) > 10000
    # What it did to itself ends with its pool.
    for pool in sites.processes('bulkhead: pool a'):
        os.kill(pool, signal.SIGKILL)
    sites.well()
    sites.a_is_back()


def test_a_stopped_pool_and_a_killed_pool(sites):
    """A worker may do to its own pool what it likes."""
    sites.a_is_back()
    # A worker that was just forked has its pool's title for a moment.
    pool, = wait_for(lambda: len(found := sites.processes('bulkhead: pool a')) == 1 and found, why='one pool')
    # The first process of its namespace hears no such signal from inside; so stop it from outside.
    sites.attack(f'posix_kill(posix_getppid(), {int(signal.SIGSTOP)});')
    sites.well()
    os.kill(pool, signal.SIGSTOP)
    hanging = [sites.server.connect().send(http.request_bytes(f'/nothing{i}', host='a.example'))
               for i in range(300)]
    sites.well()
    for connection in hanging:
        connection.close()
    os.kill(pool, signal.SIGCONT)
    sites.well()
    # As the first process of its namespace the pool outlives this; its workers may not.
    sites.attack('posix_kill(-1, 9);')
    sites.well()
    sites.a_is_back()
    wait_for(lambda: sites.processes('bulkhead: pool a') == [pool], why='the same pool')


def test_who_may_be_signalled_and_looked_at(sites):
    others = [sites.front(), sites.server.pid, *sites.processes('zygote'),
              *sites.processes('pool b')]
    code = ('$out = []; foreach ([PIDS] as $p) { $out[] = (int)posix_kill($p, 0); '
            'foreach (["mem", "maps", "environ", "fd/0", "map_files"] as $f) '
            '$out[] = (int)(@file_get_contents("/proc/$p/$f") != false); } echo implode("", $out);')
    text = sites.attack(code.replace('PIDS', ','.join(map(str, others)))).text
    assert text == '0' * 6 * len(others)


def test_what_a_worker_holds(sites):
    """No descriptor but its own wake-ups and log; no memory that is somebody else's too."""
    names = sites.attack('foreach (scandir("/proc/self/fd") as $f) '
                         'if ($f[0] != ".") echo @readlink("/proc/self/fd/$f"), "\\n";').text
    allowed = (r'/dev/null|pipe:\[\d+\]|anon_inode:\[eventfd\]|'
               r'/memfd:bulkhead_lock \(deleted\)|.*/a/eval\.php|')
    assert [n for n in names.splitlines() if not re.fullmatch(allowed, n)] == []
    shared = ('foreach (file("/proc/self/maps") as $l) '
              'if (preg_match("~^\\\\S+ .w.s \\\\S+ \\\\S+ (\\\\d+)~", $l, $m)) echo $m[1], "\\n";')
    a, b = (set(sites.attack(shared, host).text.split()) for host in ('a.example', 'b.example'))
    assert a and b and not a & b


def test_requests_cannot_name_settings(sites):
    """PHP_VALUE and friends come from the pool's socket alone; httpoxy does not."""
    headers = [('PHP_VALUE', 'auto_prepend_file=/etc/passwd'), ('PHP-VALUE', 'a=b'),
               ('Proxy', 'http://evil/'),
               ('Http-Proxy', 'x'), ('Script-Filename', '/etc/passwd'), ('Content_Length', '5')]
    text = sites.server.fetch('/eval.php', method='POST', host='b.example', headers=headers,
                              body=b'echo json_encode($_SERVER), ini_get("auto_prepend_file");'
                              ).text
    assert 'auto_prepend_file' not in text and '"PHP_VALUE"' not in text \
        and 'HTTP_PROXY"' not in text.replace('HTTP_HTTP_PROXY"', '')
    assert '"SCRIPT_FILENAME":"' + sites.dir.replace('/', '\\/') in text


def test_a_head_cannot_split_the_response(sites):
    for head in ('X-A: b\\rInjected: yes', 'X-A: b\\0Injected: yes', 'X A: b', 'X-A\\r: b'):
        # header() refuses line ends itself: a hostile process writes frames of its own.
        answer = sites.attack(f'header("{head}"); echo "x";')
        assert answer.header('Injected') is None and b'\0' not in answer.raw_head \
            and b'\r\r' not in answer.raw_head


def test_an_interim_status_is_no_answer(sites):
    """Behind a proxy that shares a connection, the text would answer b's next request."""
    with sites.server.connect() as connection:
        code = (b'header("Status: 100 Continue"); '
                b'echo "HTTP/1.1 200 OK\\r\\nContent-Length: 6\\r\\n\\r\\nforged";')
        connection.send(http.request_bytes('/eval.php', method='POST', host='a.example',
                                           body=code, close=False))
        assert connection.read_response().status == 502
        connection.send(http.request_bytes('/plain.txt', host='b.example'))
        assert connection.read_response().text == 'b plain'


def test_redirects_in_a_circle_end(sites):
    assert sites.attack('header("X-Accel-Redirect: /eval.php"); echo 1;').status in (200, 500)
    with open(f'{sites.dir}/a/circle.php', 'w', encoding='ascii') as f:
        f.write('<?php header("X-Accel-Redirect: /circle.php");')
    os.chmod(f'{sites.dir}/a/circle.php', 0o644)
    assert sites.server.fetch('/circle.php', host='a.example').status == 500


def test_an_internal_redirect_stays_at_home(sites):
    answer = sites.attack('header("X-Accel-Redirect: /secret/key");')
    assert answer.text == 'a secret'
    for target in ('/../b/secret/key', '//b.example/secret/key', f'{sites.dir}/b/secret/key',
                   '/secret/../../b/secret/key',
                   '/secret/%2e%2e/%2e%2e/b/secret/key', '@b', 'b.example'):
        assert 'b secret' not in sites.attack(f'header("X-Accel-Redirect: {target}");').text
    os.symlink(f'{sites.dir}/b/secret/key', f'{sites.dir}/a/secret/link')
    os.lchown(f'{sites.dir}/a/secret/link', os.stat(f'{sites.dir}/a').st_uid, -1)
    assert sites.attack('header("X-Accel-Redirect: /secret/link");').status == 403


def test_two_hosts_in_one_request(sites):
    def raw(text):
        with sites.server.connect() as connection:
            connection.send(text.replace('\n', '\r\n').encode() + b'\r\n')
            return connection.read_response()
    assert raw('GET /plain.txt HTTP/1.1\nHost: a.example\nHost: b.example\n'
               'Connection: close\n').status == 400
    assert raw('GET http://b.example/plain.txt HTTP/1.1\nHost: a.example\n'
               'Connection: close\n').text == 'b plain'
    assert raw('POST /plain.txt HTTP/1.1\nHost: a.example\nContent-Length: 4\n'
               'Transfer-Encoding: chunked\n').status == 400
    assert raw('POST /plain.txt HTTP/1.1\nHost: a.example\nContent-Length: 4\n'
               'Content-Length: 4\n').status == 400
    assert raw('POST /plain.txt HTTP/1.1\nHost: a.example\n'
               'Transfer-Encoding: xchunked\n').status in (400, 501)
    assert raw('POST /plain.txt HTTP/1.1\nHost: a.example\nContent-Length : 4\n').status == 400


def test_log_lines_cannot_be_forged(sites):
    sites.attack(r'error_log("x\n2026/01/01 00:00:00 [emerg] 1#1: forged\r[K\x1b[2J\x7f");')
    sites.attack(r'fwrite(fopen("php://stderr", "w"), "y\n[pool b] child 1 forged\n'
                 r'[01-Jan-2026 00:00:00] ALERT: forged\x1b[2J\n");')
    text = wait_for(lambda: 'forged' in sites.server.read('error.log')
                    and sites.server.read('error.log'), why='error log')
    assert not re.search(r'^2026/01/01', text, re.M) and '\x1b' not in text and '\x7f' not in text
    text = wait_for(lambda: 'ALERT: forged' in sites.server.read('fpm.log')
                    and sites.server.read('fpm.log'), why='fpm log')
    assert all(re.match(r'\[\d\d-\w{3}-\d{4} [\d:]+\] \w+: \[pool a\] child', line)
               for line in text.splitlines() if 'forged' in line)
    assert '\x1b' not in text


def test_a_flood_of_error_text(sites):
    """More stderr than anybody reads costs front no memory."""
    def resident():
        with open(f'/proc/{sites.front()}/statm', encoding='ascii') as f:
            return int(f.read().split()[1]) * 4096
    before = resident()
    client = socket.socket(socket.AF_UNIX)
    client.connect(f'{sites.dir}/a.sock')

    def record(kind, body):
        return bytes([1, kind, 0, 1]) + len(body).to_bytes(2, 'big') + b'\0\0' + body
    pairs = {'SCRIPT_FILENAME': f'{sites.dir}/a/flood.php', 'REQUEST_METHOD': 'GET',
             'SCRIPT_NAME': '/flood.php'}
    with open(f'{sites.dir}/a/flood.php', 'w', encoding='ascii') as f:
        f.write('<?php ini_set("log_errors_max_len", 0); '
                'for ($i = 0; $i < 20000; $i++) error_log(str_repeat("x", 4000)); echo "done";')
    os.chmod(f'{sites.dir}/a/flood.php', 0o644)
    params = b''.join(bytes([len(k), len(v)]) + k.encode() + v.encode() for k, v in pairs.items())
    client.sendall(record(1, b'\0\1\0\0\0\0\0\0') + record(4, params) + record(4, b'')
                   + record(5, b''))
    time.sleep(4)  # eighty megabytes of text, of which we read none
    grown = resident() - before
    client.close()
    assert grown < 16 << 20


def test_a_site_that_cannot_start(work, people):
    """Asking for it as fast as one can must not end front."""
    chdir = work.mkdir('gone')
    sites = Sites(work, people, more=f'chdir = {chdir}\n', tag='cannotstart')
    path = os.path.join(sites.dir, 'pools/a')
    with open(path, encoding='utf-8') as f:
        text = f.read().replace('pm = static', 'pm = ondemand')
    sites.server.save('pools/a', text)
    with sites.server:
        shutil.rmtree(chdir)
        front = sites.front()
        until = time.monotonic() + 3

        def ask():
            with sites.server.connect() as connection:
                for _ in range(900):  # fewer than keepalive_requests
                    connection.send(http.request_bytes('/ok.php', host='a.example', close=False))
                    response = connection.read_response()
                    assert response is not None and response.status == 503
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for t in threads:
            t.start()
        while time.monotonic() < until:
            sites.well()
        for t in threads:
            t.join()
        assert sites.front() == front and 'too often' not in sites.server.read('error.log')


def test_a_socket_directory_of_the_site(work, people):
    """Root changes the socket it made, nothing that the site has put in its place."""
    sites = Sites(work, people, tag='sockets')
    own = work.mkdir(f'{sites.dir}/a/run')
    people[0].own(own)
    os.symlink(own, f'{sites.dir}/a/link')
    os.chown(f'{sites.dir}/a/link', people[0].uid, people[0].gid, follow_symlinks=False)
    text = f'listen = {sites.dir}/a/link/x.sock\nlisten.owner = {people[0].name}\n'
    sites.server.save('pools/a', POOL.replace('WHO', 'a').replace(
        'USER', people[0].name).replace('CHILDREN', '1').replace(
        'listen = @DIR@/a.sock\n', text).replace('MORE', ''))
    with pytest.raises(AssertionError, match='exited with'):
        sites.server.start()
    said = sites.server.read('out.log') + sites.server.read('fpm.log')
    assert 'unable to bind listening socket' in said
    assert 'Too many levels of symbolic links' in said and os.listdir(own) == []


def test_a_site_wakes_when_clients_hold_all_descriptors(work, people):
    sites = Sites(work, people, tag='descriptors')
    with open(os.path.join(sites.dir, 'pools/a'), encoding='utf-8') as f:
        sites.server.save('pools/a', f.read().replace('pm = static', 'pm = ondemand'))
    sites.server.save('nginx.conf', NGINX.replace('events', 'worker_rlimit_nofile 128;\nevents'))
    with sites.server:
        front = sites.front()
        body = http.request_bytes('/ok.php', method='POST', host='b.example',
                                  body=b'1234567890', close=False)
        held = [sites.server.connect().send(body[:-9]) for _ in range(160)]
        time.sleep(1)
        # Both at once: an idle connection would be closed in favour of one that waits to be
        # accepted.
        held[0].send(body[-9:] + http.request_bytes('/ok.php', host='a.example'))
        assert held[0].read_response().text == 'b lives'
        assert held[0].read_response().text == 'a lives'
        for connection in held:
            connection.close()
        assert sites.front() == front
