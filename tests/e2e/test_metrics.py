"""Numbers of each site: `bulkhead status`, and the metrics as Prometheus reads them, at a location."""
import itertools
import json
import os
import re
import signal
import subprocess
import threading
import time

import pytest

from harness import fastcgi_peer
from harness.servers import BIN, Bulkhead, wait_for
from harness.users import users

serial = itertools.count(1)
NGINX = '''
user www-data;
pid @DIR@/run.pid;
error_log @DIR@/error.log;
worker_processes 2;
events { worker_connections 256; }
http {
    access_log @DIR@/access.log;
    server {
        listen 127.0.0.1:@PORT@ default_server;
        server_name localhost;
        location / { return 404; }
        location = /metrics { allow 127.0.0.1; deny all; bulkhead_metrics; }
        location = /closed { deny all; bulkhead_metrics; }
    }
    server {
        listen 127.0.0.1:@PORT@;
        server_name one.test;
        root @DIR@/one;
        location ~ \\.php$ {
            fastcgi_pass unix:@DIR@/one.sock;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            include @TOP@/share/conf/fastcgi_params;
        }
    }
    server {
        listen 127.0.0.1:@PORT@;
        server_name two.test;
        root @DIR@/two;
        location ~ \\.php$ {
            fastcgi_pass unix:@DIR@/two.sock;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            include @TOP@/share/conf/fastcgi_params;
        }
    }
}
'''
FPM = '''[global]
error_log = @DIR@/fpm.log
[one]
user = {one}
listen = @DIR@/one.sock
pm = ondemand
pm.max_children = 3
[two]
user = {two}
listen = @DIR@/two.sock
pm = static
pm.max_children = 2
'''
SCRIPT = '''<?php
if (isset($_GET['code'])) http_response_code((int) $_GET['code']);
if (isset($_GET['ms'])) usleep(1000 * (int) $_GET['ms']);
echo getmypid();
'''


@pytest.fixture
def server(work):
    with users('one', 'two') as (one, two):
        server = Bulkhead(work, NGINX, FPM.format(one=one.name, two=two.name), tag=f'metrics{next(serial)}')
        for user, name in ((one, 'one'), (two, 'two')):
            work.write(f'{server.dir}/{name}/page.php', SCRIPT)
            work.write(f'{server.dir}/{name}/file.txt', 'x' * 1000)
            user.own(f'{server.dir}/{name}', 0o700)
        with server:
            yield server


def get(server, host, path):
    return server.fetch(path, host=host)


def status(server, *words):
    done = subprocess.run([os.path.join(BIN, 'bulkhead'), 'status', '--nginx', server.nginx_conf, '--fpm', server.fpm_conf, *words],
                          capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def site(server, name):
    found, = (s for s in json.loads(status(server, '--json'))['sites'] if s['name'] == name)
    return found


SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (-?[0-9.e+]+)$')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)')


def parse(text):
    """The text format 0.0.4, strictly: {(name, labels): value}; families in one piece, each told before its samples."""
    assert text.endswith('\n')
    types, samples, family, seen = {}, {}, None, set()
    helped = None
    for line in text.split('\n')[:-1]:
        if line.startswith('# HELP '):
            helped = line.split(' ', 3)[2]
            assert helped not in seen, f'{helped} comes twice'
            continue
        if line.startswith('# TYPE '):
            _, _, family, kind = line.split(' ')
            assert family == helped and kind in ('counter', 'gauge', 'histogram')
            seen.add(family)
            types[family] = kind
            continue
        found = SAMPLE.match(line)
        assert found, line
        name, labels, value = found.groups()
        base = re.sub('_(bucket|sum|count)$', '', name) if types.get(family) == 'histogram' else name
        assert base == family, line
        pairs, at = {}, 0
        labels = labels or ''
        while at < len(labels):
            one = LABEL.match(labels, at)
            assert one, line
            assert one.group(1) not in pairs
            pairs[one.group(1)] = one.group(2).replace('\\\\', '\0').replace('\\"', '"').replace('\\n', '\n').replace('\0', '\\')
            at = one.end()
        key = (name, tuple(sorted(pairs.items())))
        assert key not in samples, f'twice: {line}'
        samples[key] = float(value)
    return types, samples


def value(samples, name, **labels):
    return samples[name, tuple(sorted(labels.items()))]


def metrics(server):
    answer = get(server, 'localhost', '/metrics')
    assert answer.status == 200, answer.status
    assert answer.header('content-type') == 'text/plain; version=0.0.4; charset=utf-8'
    return parse(answer.body.decode())


def fresh(server, condition):
    """Metrics that fulfil the condition: an answer is kept for half a second."""
    return wait_for(lambda: (m := metrics(server)[1]) and condition(m) and m, why='the metrics')


def test_the_metrics_tell_what_each_site_was_asked(server):
    for _ in range(5):
        assert get(server, 'one.test', '/page.php').status == 200
    for _ in range(2):
        assert get(server, 'one.test', '/page.php?code=503').status == 503
    assert get(server, 'one.test', '/missing.txt').status == 404
    assert get(server, 'one.test', '/file.txt').status == 200
    assert get(server, 'two.test', '/page.php?ms=60').status == 200
    samples = fresh(server, lambda m: value(m, 'bulkhead_site_requests_total', site='two', code='2xx') == 1)
    types = metrics(server)[0]
    assert types['bulkhead_site_requests_total'] == 'counter'
    assert types['bulkhead_site_request_duration_seconds'] == 'histogram'
    of = {c: value(samples, 'bulkhead_site_requests_total', site='one', code=c) for c in ('2xx', '3xx', '4xx', '5xx')}
    assert of == {'2xx': 6, '3xx': 0, '4xx': 1, '5xx': 2}
    assert value(samples, 'bulkhead_site_sent_bytes_total', site='one') > 1000
    assert value(samples, 'bulkhead_site_up', site='one') == 1
    assert value(samples, 'bulkhead_site_workers_max', site='one') == 3
    assert value(samples, 'bulkhead_site_workers', site='two', state='idle') == 2
    assert value(samples, 'bulkhead_site_memory_bytes', site='one') > 1 << 20
    two = {'site': 'two'}
    name = 'bulkhead_site_request_duration_seconds'
    assert value(samples, name + '_bucket', le='0.05', **two) == 0
    assert value(samples, name + '_bucket', le='10', **two) == 1
    assert value(samples, name + '_bucket', le='+Inf', **two) == value(samples, name + '_count', **two) == 1
    assert 0.06 <= value(samples, name + '_sum', **two) < 5


def test_the_location_is_protected_like_any_other(server):
    assert get(server, 'localhost', '/closed').status == 403
    assert get(server, 'localhost', '/metrics').status == 200


def test_status_prints_the_same_metrics(server):
    get(server, 'one.test', '/page.php')
    _, samples = parse(status(server, '--prometheus'))
    assert value(samples, 'bulkhead_site_requests_total', site='one', code='2xx') == 1


def test_many_scrapes_at_once_are_answered_and_the_server_goes_on(server):
    results = []
    threads = [threading.Thread(target=lambda: results.append(get(server, 'localhost', '/metrics').status)) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [200] * 40
    for _ in range(30):
        assert get(server, 'localhost', '/metrics').status == 200
    assert not re.search('killed|broke protocol', server.read('error.log'))


def test_status_as_json_has_workers_busy_and_idle(server):
    assert site(server, 'one')['state'] == 'asleep'
    thread = threading.Thread(target=get, args=(server, 'one.test', '/page.php?ms=3000'))
    thread.start()
    try:
        now = wait_for(lambda: (s := site(server, 'one'))['workers_busy'] == 1 and s, why='a busy worker')
        assert now['active'] == 1 and now['queued'] == 0
    finally:
        thread.join()
    done = site(server, 'one')
    assert done['workers_busy'] == 0 and done['workers_idle'] >= 1 and done['active'] == 0
    assert done['requests']['all'] == 1 and abs(done['last_request'] - time.time()) < 10
    assert done['latency']['sum_s'] >= 3 and sum(done['latency']['requests']) == 1
    assert done['memory_bytes'] > 1 << 20 and done['memory_from'] in ('cgroup', 'pss')
    assert done['php'] == '8.2' and done['user'] and done['why'] == ''


def test_counts_go_on_over_a_reload_a_new_front_and_a_crash(server):
    get(server, 'one.test', '/page.php')

    def front():
        return json.loads(status(server, '--json'))['processes'][0]['pid']
    first = front()
    with open(server.nginx_conf, encoding='utf-8') as f:
        text = f.read()
    with open(server.nginx_conf, 'w', encoding='utf-8') as f:
        f.write(text.replace('worker_processes 2', 'worker_processes 1'))
    os.kill(server.pid, signal.SIGHUP)
    second = wait_for(lambda: (f := front()) != first and f, why='a new front')
    assert get(server, 'one.test', '/page.php').status == 200
    wait_for(lambda: site(server, 'one')['requests']['all'] == 2, why='both counts')
    os.kill(second, signal.SIGKILL)
    wait_for(lambda: front() not in (first, second), why='a third front')
    wait_for(lambda: get(server, 'one.test', '/page.php').status == 200, why='an answer')
    assert site(server, 'one')['requests']['all'] >= 3
    samples = fresh(server, lambda m: value(m, 'bulkhead_site_requests_total', site='one', code='2xx') >= 3)
    assert value(samples, 'bulkhead_site_requests_total', site='one', code='5xx') == 0


def test_requests_over_a_pools_own_socket_count_too(server):
    said = fastcgi_peer.ask(f'{server.dir}/one.sock', f'{server.dir}/one/page.php', QUERY_STRING='code=500')
    assert said.isdigit(), said
    assert site(server, 'one')['requests'] == {'2xx': 0, '3xx': 0, '4xx': 0, '5xx': 1, 'all': 1}


def test_a_site_that_cannot_start_says_why(server):
    with open(server.fpm_conf, encoding='utf-8') as f:
        text = f.read()
    with open(server.fpm_conf, 'w', encoding='utf-8') as f:
        f.write(text.replace('pm = ondemand\n', 'pm = ondemand\nsandbox.read[] = /nonexistent/dir\n'))
    os.kill(server.pid, signal.SIGHUP)
    wait_for(lambda: 'configuration reloaded' in server.read('out.log'), why='the reload')
    wait_for(lambda: get(server, 'one.test', '/page.php').status == 503, why='a refusal')
    failed = wait_for(lambda: (s := site(server, 'one'))['state'] == 'failed' and s, why='the failure')
    assert '/nonexistent/dir' in failed['why']
    assert 'cannot start' in status(server)


def test_only_root_is_answered(server):
    with users('other') as (other,):
        done = subprocess.run(['setpriv', f'--reuid={other.uid}', '--clear-groups', os.path.join(BIN, 'bulkhead'), 'status',
                               '--pid', f'{server.dir}/run.pid'], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode in (3, 4), done.stdout
        assert 'one' not in done.stdout
