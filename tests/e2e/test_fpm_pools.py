"""What a pool's settings do: the same pools under Debian's php-fpm and under Bulkhead, the same answers,
the same lines in php-fpm's logs (times, pids and durations evened out)."""
import json
import os
import re
import threading
import time
import xml.etree.ElementTree

import pytest

from harness import sanitizers
from harness.servers import ECHO_PID, SLOW, Bulkhead, Stock, descendants, wait_for
from harness.users import users

PEER = os.environ.get('BULKHEAD_TEST_STOCK') == '1'

NGINX = '''
user www-data;
worker_processes 1;
pid @DIR@/run.pid;
error_log @DIR@/error.log;
events { }
http {
    access_log @DIR@/access.log;
    fastcgi_read_timeout 60s;
    %s
}
'''
SERVER = '''
    server {
        listen 127.0.0.1:@PORT@;
        server_name %(pool)s.example;
        root WWW;
        location / {
            fastcgi_pass unix:@DIR@/%(pool)s.sock;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            include @TOP@/share/conf/fastcgi_params;
        }
    }
'''
# pool -> its settings beside user and listen
POOLS = {
    'env': '''pm = static
pm.max_children = 1
env[ONE] = 1
env[POOL] = $pool
env[FROM] = $BH_FROM_MASTER
env[NONE] = $BH_NOT_SET
env[TWICE] = first
env[TWICE] = second''',
    'noclear': '''pm = static
pm.max_children = 1
clear_env = no
env[ONE] = 1''',
    'ini': '''pm = static
pm.max_children = 1
php_value[memory_limit] = 100M
php_value[default_mimetype] = text/x-first
php_value[default_mimetype] = text/x-second
php_flag[html_errors] = on
php_flag[track_errors] = off
php_admin_value[upload_max_filesize] = 3M
php_admin_value[user_agent] = "agent of $pool"
php_admin_flag[log_errors] = on
php_admin_value[disable_functions] = exec,system
php_admin_value[open_basedir] = WWW:/tmp
php_value[error_reporting] = E_ALL & ~E_NOTICE''',
    'dir': '''pm = static
pm.max_children = 1
chdir = WWW/below
security.limit_extensions = .php .inc''',
    'any': '''pm = static
pm.max_children = 1
security.limit_extensions =''',
    'limit': '''pm = static
pm.max_children = 1
php_value[max_execution_time] = 1''',
    'caught': '''pm = static
pm.max_children = 1
catch_workers_output = yes''',
    'plain': '''pm = static
pm.max_children = 1
catch_workers_output = yes
decorate_workers_output = no''',
    'few': '''pm = static
pm.max_children = 1
pm.max_requests = 2''',
    'short': '''pm = static
pm.max_children = 1
request_terminate_timeout = 1s''',
    'dynamic': '''pm = dynamic
pm.max_children = 4
pm.start_servers = 2
pm.min_spare_servers = 1
pm.max_spare_servers = 2
pm.status_path = /status''',
    'full': '''pm = dynamic
pm.max_children = 1
pm.start_servers = 1
pm.min_spare_servers = 1
pm.max_spare_servers = 1
pm.status_path = /status''',
    'ondemand': '''pm = ondemand
pm.max_children = 2
pm.process_idle_timeout = 1s''',
    'status': '''pm = static
pm.max_children = 2
pm.status_path = /fpm-status
ping.path = /fpm-ping
ping.response = "pong of $pool"''',
    'access': '''pm = static
pm.max_children = 1
access.log = @DIR@/$pool.access.log
access.format = "%R|%u|%m|%r|%Q%q|%s|%f|%l|%n|%{REQUEST_METHOD}e|%{X-Out}o|%{content-type}o|%%|%p|%P|%t|%T|%{%Y}t|%{%d}T|%d|%{milli}d|%{micro}d|%M|%{kilo}M|%{mega}M|%C|%{user}C|%{system}C"
access.suppress_path[] = /quiet.php''',
    'accessdef': '''pm = static
pm.max_children = 1
access.log = @DIR@/accessdef.log''',
}
SCRIPTS = {
    'env.php': '<?php $e = getenv(); ksort($e); foreach ($e as $k => $v) if (!preg_match("/^(HTTP_|REMOTE_|REQUEST_|SERVER_|SCRIPT_|DOCUMENT_|CONTENT_|QUERY_|GATEWAY_|REDIRECT_|FCGI_|PATH_|PHP_SELF)/", $k)) '
               'echo "$k=$v\\n"; var_dump(isset($_ENV["ONE"]), $_SERVER["ONE"] ?? null, $_SERVER["USER"], $_SERVER["HOME"], get_current_user() !== "");',
    'ini.php': '''<?php foreach (["memory_limit", "default_mimetype", "html_errors", "upload_max_filesize", "user_agent", "log_errors",
               "disable_functions", "open_basedir", "error_reporting"] as $k) {
               $before = ini_get($k); $set = @ini_set($k, "7"); echo "$k=$before ", var_export($set, true), " ", ini_get($k), "\\n"; }
               var_dump(function_exists("exec"), function_exists("passthru"), @file_get_contents("/etc/passwd"), ini_get_all(null, false)["user_agent"]);''',
    'cwd.php': '<?php echo getcwd(), " ", __DIR__;',
    'later/shutdown.php': '<?php echo getcwd(), "\\n"; register_shutdown_function(fn() => print("shutdown " . getcwd()));',
    'later/object.php': '<?php class C { function __destruct() { echo "destructor ", getcwd(); } } $c = new C; echo getcwd(), "\\n";',
    'later/output.php': '<?php ob_start(fn($text) => $text . "output " . getcwd()); echo getcwd(), "\\n";',
    'later/both.php': '<?php ob_start(fn($text) => $text . "output " . getcwd()); ob_start(); echo getcwd(), "\\n";',
    'later/moved.php': '<?php chdir("/usr"); echo getcwd(), "\\n"; $o = new ArrayObject; register_shutdown_function(fn() => print(getcwd()));',
    'later/fatal.php': '<?php register_shutdown_function(fn() => print("after " . getcwd())); nothing();',
    'spin.php': '<?php if (isset($_GET["s"])) set_time_limit((int)$_GET["s"]); $t = getrusage(); $from = $t["ru_utime.tv_sec"] + $t["ru_utime.tv_usec"] / 1e6;'
                'register_shutdown_function(function () use ($from) { $t = getrusage(); echo "over ", round($t["ru_utime.tv_sec"] + $t["ru_utime.tv_usec"] / 1e6 - $from); }); while (true);',
    'code.inc': '<?php echo "inc ran";',
    'text.txt': 'text <?php echo "ran";',
    'below/x.php': '<?php echo getcwd();',
    'out.php': '<?php file_put_contents("php://stderr", "to stderr\\n"); fwrite(fopen("php://stdout", "w"), "to stdout\\n"); error_log("by error_log"); echo "ok";',
    'long.php': '<?php file_put_contents("php://stderr", str_repeat("x", 3000) . "\\n" . "second\\n"); echo "ok";',
    'pid.php': '<?php ' + ECHO_PID,
    'sleep.php': '<?php usleep(1000 * (int)$_GET["ms"]); echo getmypid();',
    'crash.php': '<?php posix_kill(getmypid(), 11); sleep(1);',
    'exit.php': '<?php exit(3);',
    'status.php': '<?php $s = fpm_get_status(); ksort($s); $p = $s["procs"]; unset($s["procs"]); echo json_encode([array_keys($s), array_keys($p[0]), $s["pool"], $s["process-manager"], count($p)]);',
    'head.php': '<?php header("X-Out: out value"); http_response_code(203); echo "x";',
    'quiet.php': '<?php echo "x";',
    'quiet201.php': '<?php http_response_code(201);',
    'functions.php': '<?php var_dump(PHP_SAPI, php_sapi_name(), function_exists("fastcgi_finish_request"), function_exists("apache_request_headers"), '
                     'function_exists("fpm_get_status"), getallheaders()["X-Probe"] ?? null, apache_request_headers()["Host"] ?? null, PHP_BINARY === "");',
}


def configuration(www, owner):
    nginx = NGINX % ''.join(SERVER % {'pool': pool} for pool in POOLS)
    fpm = '[global]\nerror_log = @DIR@/fpm.log\nprocess_control_timeout = 2s\n'
    for pool, settings in POOLS.items():
        fpm += f'[{pool}]\nuser = {owner}\nlisten = @DIR@/{pool}.sock\nlisten.mode = 0666\n{settings}\n'
    return nginx.replace('WWW', www), fpm.replace('WWW', www)


@pytest.fixture(scope='module')
def servers(work):
    os.environ['BH_FROM_MASTER'] = 'from master'
    with users('fp') as (owner,):
        for name, text in SCRIPTS.items():
            work.write(f'www/{name}', text)
        www = owner.own(work / 'www')
        nginx, fpm = configuration(www, owner.name)
        made = []
        for kind, tag in ((Stock, 'peer'), (Stock if PEER else Bulkhead, 'ours')):
            server = kind(work, nginx, fpm, tag=tag)
            server.owner = owner
            for pool in POOLS:  # the access log is made by php-fpm as root, by us as the pool
                if 'access' in pool:
                    os.chown(work.write(f'{server.dir}/{"access.access" if pool == "access" else "accessdef"}.log', ''), owner.uid, owner.gid)
            made.append(server)
        with made[0], made[1]:
            yield made


def even(server, text):
    """Times, pids, durations and folders evened out."""
    text = text.replace(server.dir, 'DIR')
    text = re.sub(r'(?m)^\[\d\d-\w{3}-\d{4} \d\d:\d\d:\d\d\] ', '', text)
    text = re.sub(r'\bafter \d+\.\d{6} seconds', 'after T seconds', text)
    text = re.sub(r'\(\d+\.\d{6} sec\)', '(T sec)', text)
    text = re.sub(r'\bchild \d+', 'child N', text)
    return re.sub(r'\bpid \d+', 'pid N', text)


def log_of(server, pool, since=0):
    return [l for l in even(server, server.read('fpm.log')[since:]).splitlines() if f'[pool {pool}]' in l]


def ask(server, pool, path, **more):
    return server.fetch(path, host=f'{pool}.example', **more)


def both(servers, pool, path, **more):
    """What each server answers: status, body."""
    answers = []
    for server in servers:
        page = ask(server, pool, path, **more)
        answers.append((page.status, page.text.replace(server.dir, 'DIR')))
    return answers


@pytest.mark.parametrize('pool', ['env', 'noclear'])
def test_environment(servers, pool):
    peer, ours = both(servers, pool, '/env.php')
    assert 'ONE=1' in ours[1]

    def lines(answer):  # what the two servers themselves inherited may differ in order and in shell leftovers
        return sorted(l for l in answer[1].splitlines() if not re.match(r'(_|OLDPWD|SHLVL|PWD|FPM_\w*)=', l))
    assert lines(ours) == lines(peer)
    if pool == 'env':
        assert 'FROM=from master' in ours[1] and 'POOL=env' in ours[1] and 'BH_FROM_MASTER' not in ours[1]


def test_php_values_and_what_a_script_may_change(servers):
    peer, ours = both(servers, 'ini', '/ini.php')
    assert ours == peer
    assert 'upload_max_filesize=3M false 3M' in ours[1] and 'error_reporting=32759' in ours[1]


def test_media_type_of_the_pool(servers):
    types = [ask(s, 'ini', '/pid.php').header('Content-Type') for s in servers]
    assert types[1] == types[0]


@pytest.mark.parametrize('path', ['/cwd.php', '/below/x.php', '/code.inc', '/text.txt', '/none.php', '/none.txt'])
def test_working_directory_and_extensions(servers, path):
    peer, ours = both(servers, 'dir', path)
    assert ours == peer


@pytest.mark.parametrize('page', ['shutdown', 'object', 'output', 'both', 'moved', 'fatal'])
@pytest.mark.parametrize('pool', ['dir', 'any'])
def test_where_code_runs_that_outlives_the_script(servers, pool, page):
    peer, ours = both(servers, pool, f'/later/{page}.php')
    assert ours == peer and '/' in ours[1]
    assert both(servers, pool, '/cwd.php')[0] == both(servers, pool, '/cwd.php')[1]


@pytest.mark.skipif(sanitizers.KIND == 'tsan', reason='ThreadSanitizer holds signals back until a call into libc')
def test_time_limits_hold_in_each_request_of_a_worker(servers):
    """Also when the one before set another, and after many that ended in time."""
    for query in ('?s=1', '?s=2', '', '?s=1'):  # without: the pool's max_execution_time
        peer, ours = both(servers, 'limit', '/spin.php' + query)
        assert ours[1] == peer[1] and ours[0] == peer[0] == 500
        assert f'over {query[3:] or 1}' in ours[1]
        for _ in range(30):
            assert ask(servers[1], 'limit', '/cwd.php').status == 200


@pytest.mark.parametrize('path', ['/text.txt', '/code.inc'])
def test_no_limit_of_extensions(servers, path):
    peer, ours = both(servers, 'any', path)
    assert ours == peer and 'ran' in ours[1]


def test_functions_of_the_sapi(servers):
    answers = [ask(s, 'env', '/functions.php', headers=[('X-Probe', 'p')]).text for s in servers]
    # Last is whether PHP_BINARY is empty: there is no php-fpm program here that it could name.
    assert answers[1].splitlines()[:-1] == answers[0].splitlines()[:-1] and '"fpm-fcgi"' in answers[1]


@pytest.mark.parametrize('pool', ['caught', 'plain', 'env'])
@pytest.mark.parametrize('path', ['/out.php', '/long.php'])
def test_output_of_workers_in_the_error_log(servers, pool, path):
    logs = []
    for server in servers:
        since = len(server.read('fpm.log'))
        assert ask(server, pool, path).text == 'ok'
        expected = {'caught': 'said into', 'plain': 'to stderr' if path == '/out.php' else 'second'}.get(pool)
        if expected:
            wait_for(lambda s=server, t=since, e=expected: e in s.read('fpm.log')[t:], 5)
        size = -1
        while size != (size := len(server.read('fpm.log'))):
            time.sleep(0.3)  # until nothing more comes
        logs.append(sorted(l for l in even(server, server.read('fpm.log')[since:]).splitlines()
                           if 'started' not in l and 'exited' not in l))
    assert logs[1] == logs[0]


def test_worker_is_replaced_after_max_requests(servers):
    for server in servers:
        pids = [ask(server, 'few', '/pid.php').text for _ in range(6)]
        assert pids[0] == pids[1] and pids[2] == pids[3] and len(set(pids)) == 3
    logs = []
    for server in servers:
        wait_for(lambda s=server: len(re.findall('exited with code 0', '\n'.join(log_of(s, 'few')))) == 3, 5)
        wait_for(lambda s=server: log_of(s, 'few')[-1].endswith('started'), 5)
        logs.append(log_of(server, 'few'))
    assert logs[1] == logs[0]


def test_request_that_takes_too_long_is_ended(servers):
    logs = []
    for server in servers:
        before = time.monotonic()
        page = ask(server, 'short', '/sleep.php?ms=9000')
        assert page.status == 502 and time.monotonic() - before < 4 * SLOW
        wait_for(lambda s=server: [l for l in log_of(s, 'short') if l.endswith('started')], 5)
        assert ask(server, 'short', '/pid.php').status == 200
        lines = log_of(server, 'short')
        logs.append([l for l, before in zip(lines, [''] + lines) if l != before])  # said again while it still ends
    assert logs[1] == logs[0]
    assert 'execution timed out' in logs[1][0] and 'SIGTERM' in logs[1][1]


@pytest.mark.parametrize('path', ['/crash.php', '/exit.php'])
def test_what_the_log_says_about_a_worker_that_ends(servers, path):
    """exit() ends the request only; a crash ends the worker."""
    logs = []
    for server in servers:
        since = len(server.read('fpm.log'))
        page = ask(server, 'dir', path)
        assert page.status == (502 if path == '/crash.php' else 200)
        if path == '/crash.php':
            wait_for(lambda s=server, t=since: 'started' in '\n'.join(log_of(s, 'dir', t)), 5)
        logs.append(log_of(server, 'dir', since))
    assert logs[1] == logs[0]
    assert ('SIGSEGV' in '\n'.join(logs[1])) == (path == '/crash.php')


def status_of(server, pool='dynamic', path='/status?json'):
    return json.loads(ask(server, pool, path).text)


def test_dynamic_pool_grows_and_shrinks(servers):
    for server in servers:
        assert wait_for(lambda s=server: status_of(s)['total processes'] == 2, 10)
        threads = [threading.Thread(target=ask, args=(server, 'dynamic', '/sleep.php?ms=5000')) for _ in range(3)]
        for thread in threads:
            thread.start()
        wait_for(lambda s=server: status_of(s)['active processes'] == 4, 10)
        assert status_of(server)['total processes'] == 4
        for thread in threads:
            thread.join()
        wait_for(lambda s=server: status_of(s)['total processes'] <= 2, 20)
        assert status_of(server)['max active processes'] >= 4


def test_reaching_max_children_is_said_once(servers):
    logs = []
    for server in servers:
        thread = threading.Thread(target=ask, args=(server, 'full', '/sleep.php?ms=2500'))
        thread.start()
        wait_for(lambda s=server: log_of(s, 'full'), 8)
        thread.join()
        time.sleep(1.2)
        logs.append(log_of(server, 'full'))
        assert status_of(server, 'full')['max children reached'] == 1
    assert logs[1] == logs[0] == ['WARNING: [pool full] server reached pm.max_children setting (1), consider raising it']


def workers(server, pool):
    """pids of the pool's workers."""
    found = {}
    for process in server.processes:
        found.update(descendants(process.pid))
    pids = [p for p, f in found.items() if re.search(rf'pool {pool}\b', f[2])]
    return [p for p in pids if not [c for c, f in found.items() if f[0] == p]]  # not the one that has workers


def test_ondemand_pool_starts_and_ends_workers(servers):
    for server in servers:
        worker = int(ask(server, 'ondemand', '/pid.php').text)
        assert worker in workers(server, 'ondemand')
        wait_for(lambda s=server, w=worker: w not in workers(s, 'ondemand'), 10)


# ---- status and ping ---------------------------------------------------------------------------------
NUMBERS = re.compile(r'\d[\d./:]*')
FORMATS = ['', '?json', '?xml', '?html', '?openmetrics', '?full', '?json&full', '?xml&full', '?html&full', '?openmetrics&full', '?full&json', '?nothing']


def shape(text):
    """The page without its numbers, dates and widths, and without what processes are doing just now."""
    text = re.sub(r'\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}', 'DATE', text)
    text = NUMBERS.sub('N', text)
    text = re.sub(r' {2,}', ' ', text)
    return text


@pytest.mark.parametrize('form', FORMATS)
def test_status_page(servers, form):
    pages = [ask(s, 'status', f'/fpm-status{form}') for s in servers]
    heads = [sorted((k, v) for k, v in p.headers if k not in ('Date', 'Server', 'Content-Length')) for p in pages]
    assert heads[1] == heads[0]

    def blocks(page):  # processes in any order
        parts = re.split(r'(?=\n\*{24}|\{"pid"|<process>|<tr><td>)', shape(page.text.replace(pages[0].header('x') or '\0', '')))
        return [parts[0], sorted(re.sub(r'(state:? ?|"state":"|<state>|<td>)(Idle|Running|Reading headers)', r'\1STATE', p) for p in parts[1:])]
    assert blocks(pages[1])[0] == blocks(pages[0])[0]
    assert len(blocks(pages[1])[1]) == len(blocks(pages[0])[1])
    if 'json' in form:
        peer, ours = (json.loads(p.text) for p in pages)
        assert list(ours) == list(peer)
        if 'full' in form:
            assert [list(p) for p in ours['processes']] == [list(p) for p in peer['processes']]
    if 'xml' in form:
        peer, ours = ([e.tag for e in xml.etree.ElementTree.fromstring(p.text)] for p in pages)
        assert ours == peer


def test_status_counts(servers):
    for server in servers:
        before = status_of(server, 'status', '/fpm-status?json')
        for _ in range(5):
            ask(server, 'status', '/pid.php')
            time.sleep(0.05)
        after = status_of(server, 'status', '/fpm-status?json')
        assert after['accepted conn'] == before['accepted conn'] + 6
        assert after['pool'] == 'status' and after['process manager'] == 'static'
        assert (after['total processes'], after['active processes'], after['idle processes']) == (2, 1, 1)
        assert after['start time'] <= time.time() and after['start since'] >= 0


def test_full_status_describes_the_running_request(servers):
    facts = []
    for server in servers:
        thread = threading.Thread(target=ask, args=(server, 'status', '/sleep.php?ms=1500&a=b'),
                                  kwargs={'method': 'POST', 'body': b'12345'})
        thread.start()
        time.sleep(0.7)
        page = status_of(server, 'status', '/fpm-status?json&full')
        thread.join()
        running = [p for p in page['processes'] if 'sleep.php' in p['script']]
        assert len(running) == 1
        assert 400_000 < running[0]['request duration'] < 2_000_000 * SLOW
        facts.append({k: running[0][k] for k in ('state', 'request method', 'request uri', 'content length', 'user', 'script',
                                                 'last request cpu', 'last request memory')})
    assert facts[1] == facts[0]


@pytest.mark.parametrize('method', ['GET', 'HEAD', 'POST'])
def test_ping_page(servers, method):
    pages = [ask(s, 'status', '/fpm-ping', method=method) for s in servers]
    assert [(p.status, p.text, sorted(h for h in p.headers if h[0] not in ('Date', 'Server'))) for p in pages[1:]] == \
           [(p.status, p.text, sorted(h for h in p.headers if h[0] not in ('Date', 'Server'))) for p in pages[:1]]
    assert method == 'HEAD' or pages[1].text == 'pong of status'


def test_pages_are_the_pools_own_only(servers):
    peer, ours = both(servers, 'env', '/fpm-status')
    assert ours == peer and ours[0] == 404


def test_status_from_within_php(servers):
    peer, ours = (json.loads(ask(s, 'status', '/status.php').text) for s in servers)
    assert ours == peer


# ---- access.log ---------------------------------------------------------------------------------------
REQUESTS = [('/pid.php', {}), ('/pid.php?a=b&c', {}), ('/head.php', {}), ('/none.php', {}), ('/pid.php', {'method': 'HEAD'}),
            ('/sleep.php?ms=30', {'method': 'POST', 'body': b'x=1'}), ('/quiet.php', {}), ('/quiet.php?x', {}),
            ('/quiet201.php', {}), ('/text.txt', {}), ('/pid.php', {'method': 'PUT', 'body': b'0123456789'})]


@pytest.mark.parametrize('pool, file', [('access', 'access.access.log'), ('accessdef', 'accessdef.log')])
def test_access_log(servers, pool, file):
    logs = []
    for server in servers:
        for path, more in REQUESTS:
            ask(server, pool, path, **more)
        written = len(REQUESTS) - (1 if pool == 'access' else 0)
        wait_for(lambda s=server, n=written: len(s.read(file).splitlines()) >= n, 5)
        time.sleep(0.1)
        logs.append(server.read(file).replace(server.dir, 'DIR').splitlines())
    assert len(logs[1]) == len(logs[0])
    for ours, peer in zip(logs[1], logs[0]):
        if pool == 'accessdef':
            pattern = r'\S+ -  \d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4} "\w+ \S+" \d{3}$'
            assert re.match(pattern, ours) and re.match(pattern, peer), (ours, peer)
            assert re.sub(r'\d\d/.*?\+\d{4}', '', ours) == re.sub(r'\d\d/.*?\+\d{4}', '', peer)
            continue
        ours, peer = ours.split('|'), peer.split('|')
        assert ours[:13] == peer[:13]  # to %%: everything that is not a pid, a time or a size
        for mine, theirs in zip(ours[13:], peer[13:]):
            assert shape(mine) == shape(theirs), (ours, peer)
        assert float(ours[19]) < 5 * SLOW and 0 < int(ours[22]) <= 256 << 20
