"""Which server of an upstream{} is asked: stock nginx and Bulkhead before the same FastCGI servers, which say their
names.  Where nginx decides by counts or by a hash, every single request must go the same way; where it draws lots,
the shares must be the same."""
import collections
import os
import re
import select
import socket

import pytest

from harness import http
from harness.fastcgi_peer import Peer
from harness.servers import BulkheadNginx, StockNginx, wait_for

# name -> the inside of upstream{}.  A to D are ports of 127.0.0.1, E is a Unix socket, X and Y refuse connections.
SEQUENCES = {
    'even': 'server A; server B; server C; server D; server E;',
    'weighted': 'server A weight=5; server B; server C weight=3; server D;',
    'down': 'server A; server B down; server C weight=2; server D;',
    'all-down': 'server A down; server B down;',
    'one-down': 'server A down;',
    'only-one': 'server X;',
    'refusing': 'server A; server X; server B; server C weight=2;',
    'fails-allowed': 'server A; server X max_fails=3 weight=4; server B; server Y max_fails=0;',
    'all-refuse': 'server X; server Y;',
    'backup': 'server X; server A backup; server B backup weight=2;',
    'backup-unused': 'server A weight=2; server B; server C backup;',
    'backup-refuses': 'server X; server Y backup; server A backup;',
    'least': 'least_conn; server A; server B weight=3; server C;',
    'least-refusing': 'least_conn; server A; server X weight=3; server C; server D backup;',
    'least-backup': 'least_conn; server X; server Y; server D backup; server A backup weight=2;',
    'limited': 'server A max_conns=1; server B max_conns=1 weight=2;',
    'kept': 'server A; server B weight=2; server C; keepalive 4;',
}
KEYED = {
    'hash': 'hash $arg_k; server A; server B; server C; server D; server E;',
    'hash-weights': 'hash "$arg_k$uri"; server A weight=7; server B; server C weight=2; server D;',
    'hash-down': 'hash $arg_k; server A; server B down; server C weight=3; server D;',
    'hash-refusing': 'hash $arg_k; server A; server X weight=3; server C; server Y; server D weight=2;',
    'hash-one': 'hash $arg_k; server A;',
    'hash-no-key': 'hash $arg_none; server A; server B weight=2; server C;',
    'circle': 'hash $arg_k consistent; server A; server B; server C; server D; server E;',
    'circle-weights': 'hash "$arg_k $uri" consistent; server A weight=7; server B; server C weight=2; server E;',
    'circle-down': 'hash $arg_k consistent; server A; server B down; server C weight=3; server E;',
    'circle-refusing': 'hash $arg_k consistent; server A; server X weight=3; server C; server Y; server E weight=2;',
    'circle-twice': 'hash $arg_k consistent; server A; server B; server A weight=2; server C;',
    'circle-name': 'hash $arg_k consistent; server localhost:@A@ weight=2; server 127.0.0.1:@B@; server LOCALHOST:@C@;',
    'circle-one': 'hash $arg_k consistent; server A;',
    'circle-no-key': 'hash $arg_none consistent; server A; server B weight=2; server C;',
}
ADDRESSED = {
    'ip': 'ip_hash; server A; server B; server C; server D; server E;',
    'ip-weights': 'ip_hash; server A weight=6; server B; server C weight=3; server D;',
    'ip-down': 'ip_hash; server A; server B down; server C weight=3; server D;',
    'ip-refusing': 'ip_hash; server A; server X weight=2; server C; server Y; server D;',
}
# name -> (upstream, fastcgi_next_upstream and the like, requests)
NEXT = {
    'next-default': ('server A; server B; server C;', '', ['/?s=503&at=A', '/?s=500&at=B', '/?close=A', '/?close=1', '/?x']),
    'next-503': ('server A; server B; server C;', 'fastcgi_next_upstream error http_503;',
                 ['/?s=503&at=A', '/?s=503&at=B', '/?s=500', '/?s=503', '/?s=503', '/?x', '/?x']),
    'next-403': ('server A; server B; server C;', 'fastcgi_next_upstream error http_403 http_404;',
                 ['/?s=403&at=A', '/?s=404&at=B', '/?s=404', '/?x', '/?x', '/?x', '/?s=403']),
    'next-429': ('server A; server B max_fails=2;', 'fastcgi_next_upstream http_429;', ['/?s=429&at=A', '/?s=429', '/?x', '/?x']),
    'next-off': ('server X max_fails=0; server A;', 'fastcgi_next_upstream off;', ['/?x', '/?x', '/?x', '/?x']),
    'next-tries': ('server X max_fails=0; server Y max_fails=0; server A;', 'fastcgi_next_upstream_tries 2;', ['/?x'] * 6),
    'next-post': ('server A max_fails=0; server B;', 'fastcgi_next_upstream error http_503;',
                  ['POST /?s=503&at=A', 'POST /?close=A', 'PUT /?s=503&at=A', 'POST /?x', 'POST /?close=B']),
    'next-post-again': ('server A max_fails=0; server B;', 'fastcgi_next_upstream error http_503 non_idempotent;',
                        ['POST /?s=503&at=A', 'POST /?close=A', 'POST /?x']),
    'next-post-refused': ('server X max_fails=0; server A;', '', ['POST /?x'] * 4),
    'next-hash': ('hash $arg_k; server A; server B; server C;', 'fastcgi_next_upstream error http_503;',
                  [f'/?s=503&at={p}&k={k}' for p in 'ABC' for k in range(4)]),
    'next-circle': ('hash $arg_k consistent; server A; server B max_fails=3; server C;', 'fastcgi_next_upstream error http_503;',
                    [f'/?s=503&at={p}&k={k}' for p in 'ABC' for k in range(4)]),
    'next-least': ('least_conn; server A; server B; server C;', 'fastcgi_next_upstream error http_503;',
                   ['/?s=503&at=A', '/?s=503&at=B', '/?x', '/?s=503']),
    'next-timeout': ('server A max_fails=0; server B;', 'fastcgi_read_timeout 200ms;', ['/?wait=1', '/?wait=1']),
    'next-time-over': ('server A max_fails=0; server B;', 'fastcgi_read_timeout 200ms; fastcgi_next_upstream_timeout 100ms;',
                       ['/?wait=1', '/?x']),
}
HELD = {
    'held-least': 'least_conn; server A weight=2; server B; server C weight=3;',
    'held-least-even': 'least_conn; server A; server B; server C; server D;',
    'held-rr': 'server A weight=2; server B; server C;',
    'held-full': 'server A max_conns=2; server B max_conns=1; server C max_conns=1 backup;',
    'held-least-full': 'least_conn; server A max_conns=1 weight=5; server B max_conns=2; server C weight=2 max_conns=3;',
    'held-hash-full': 'hash $arg_k; server A max_conns=2; server B max_conns=3; server C max_conns=2;',
    'held-circle-full': 'hash $arg_k consistent; server A max_conns=2; server B max_conns=3; server C max_conns=2;',
    'held-one-full': 'server A max_conns=2;',
}
RANDOM = {
    'random': 'random; server A weight=3; server B; server C;',
    'random-two': 'random two; server A; server B; server C; server D;',
    'random-least': 'random two least_conn; server A; server B; server C; server D;',
    'random-down': 'random; server A; server B down; server X; server C weight=2;',
}
ALL = SEQUENCES | KEYED | ADDRESSED | HELD | RANDOM | {name: inside for name, (inside, _, _) in NEXT.items()}


@pytest.fixture(scope='module')
def peers(work):
    found, refusing = {}, {}
    for name in 'ABCD':
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            port = s.getsockname()[1]
        found[name] = Peer(name, port)
    found['E'] = Peer('E', work / 'e.sock')
    for name in 'XY':  # bound and never listening: nobody else gets the port
        refusing[name] = socket.socket()
        refusing[name].bind(('127.0.0.1', 0))
    yield found, {name: s.getsockname()[1] for name, s in refusing.items()}
    for peer in found.values():
        peer.close()
    for s in refusing.values():
        s.close()


@pytest.fixture(scope='module')
def servers(work, peers):
    live, refusing = peers
    ports = {name: p.address for name, p in live.items() if name != 'E'} | refusing
    os.chmod(work.path, 0o755)

    def address(text):
        text = re.sub(r'\bserver ([A-DXY])\b', lambda m: f'server 127.0.0.1:{ports[m[1]]}', text)
        text = re.sub(r'@([A-D])@', lambda m: str(ports[m[1]]), text)
        return text.replace('server E', f'server unix:{live["E"].address}')
    settings = {name: more for name, (_, more, _) in NEXT.items()}
    conf = 'worker_processes 1; user www-data; pid @DIR@/run.pid; error_log @DIR@/error.log warn;\nevents { }\nhttp {\n'
    conf += 'access_log off;\n'
    conf += ''.join(f'upstream {name} {{ {address(inside)} }}\n' for name, inside in ALL.items())
    conf += 'server { listen 127.0.0.1:@PORT@; listen [::1]:@PORT@; listen 0.0.0.0:@PORT2@;\n'
    conf += 'add_header X-Tried $upstream_addr always; add_header X-Status $upstream_status always;\n'
    conf += 'include @TOP@/share/conf/fastcgi_params; fastcgi_connect_timeout 5s;\n'
    conf += ''.join(f'location /{name}/ {{ fastcgi_pass {name}; {settings.get(name, "")}'
                    f'{"fastcgi_keep_conn on;" if name == "kept" else ""} }}\n' for name in ALL)
    conf += '} }\n'
    second = StockNginx if os.environ.get('BULKHEAD_TEST_STOCK') == '1' else BulkheadNginx
    first, second = StockNginx(work, conf, tag='peer'), second(work, conf, tag='ours')
    with first, second:
        yield first, second


def ask(server, name, request, source=None, port=None):
    """(status, who answered, servers tried, their statuses)"""
    method, _, path = request.rpartition(' ')
    method = method or 'GET'
    address = (source or '127.0.0.1', 0)
    with socket.create_connection(('127.0.0.1', port or server.port), 20, address) as s:
        connection = http.Connection.__new__(http.Connection)
        connection.socket, connection.buffer = s, b''
        connection.send(http.request_bytes(f'/{name}{path}', method=method, body=b'x' * 100 if method != 'GET' else None))
        response = connection.read_response()
    who = response.text if response.status == 200 else ''
    return response.status, who, response.header('X-Tried'), response.header('X-Status')


def messages(server, at):
    """What was logged since, but for times, numbers and names of the run."""
    found = []
    for line in server.read('error.log')[at:].splitlines():
        line = re.sub(r'^\S+ \S+ (\[\w+\]) \d+#\d+: \*\d+ ', r'\1 ', line)
        found.append(re.sub(r', host: "\S+"', '', line).replace(str(server.port), 'PORT'))
    return found


def same_way(servers, name, requests, sources=None):
    results = []
    for server in servers:
        at = len(server.read('error.log'))
        answers = [ask(server, name, request, source) for request, source in zip(requests, sources or [None] * len(requests))]
        results.append((answers, messages(server, at)))
    assert results[1][0] == results[0][0]
    assert results[1][1] == results[0][1]
    return results[0][0]


@pytest.mark.parametrize('name', SEQUENCES)
def test_every_request_goes_the_same_way(servers, name):
    same_way(servers, name, ['/?x'] * 60)


@pytest.mark.parametrize('name', KEYED)
def test_every_key_has_the_same_server(servers, name):
    answers = same_way(servers, name, [f'/?k=key-{n * n}' for n in range(200)])
    served = collections.Counter(who for _, who, _, _ in answers)
    assert len(served) >= (1 if name.endswith('one') else 3), served


@pytest.mark.parametrize('name', ADDRESSED)
def test_every_client_has_the_same_server(servers, name):
    sources = [f'127.{n % 7}.{n * 3 % 256}.{1 + n % 5}' for n in range(200)]
    answers = same_way(servers, name, ['/?x'] * 200, sources)
    assert len({who for _, who, _, _ in answers}) >= 3


def test_a_client_with_a_long_address(servers):
    answers = []
    for server in servers:
        with http.Connection(('::1', server.port)) as connection:
            connection.send(http.request_bytes('/ip/?x'))
            answers.append(connection.read_response().body)
    assert answers[0] == answers[1] != b''


@pytest.mark.parametrize('name', NEXT)
def test_the_next_server_is_tried_alike(servers, peers, name):
    same_way(servers, name, NEXT[name][2])
    for peer in peers[0].values():
        peer.release()


def hold(server, peers, name, count):
    """Asks so often for what is not answered until release(); who got each request, or its status."""
    placed, connections = [], []
    for number in range(count):
        before = {n: p.asked for n, p in peers.items()}
        connection = server.connect()
        connection.send(http.request_bytes(f'/{name}/?wait=1&k=key-{number}'))
        connections.append(connection)

        def outcome(before=before, connection=connection):
            asked = [n for n, p in peers.items() if p.asked != before[n]]
            return asked or select.select([connection.socket], [], [], 0)[0]
        wait_for(outcome, 10, 'a server to be asked')
        asked = [n for n, p in peers.items() if p.asked != before[n]]
        placed.append(asked[0] if asked else connection.read_response().status)
    for peer in peers.values():
        peer.release()
    for connection, who in zip(connections, placed):
        if isinstance(who, str):
            assert connection.read_response().text == who
        connection.close()
    return placed


@pytest.mark.parametrize('name', HELD)
def test_busy_servers_are_counted_alike(servers, peers, name):
    placed = [hold(server, peers[0], name, 14) for server in servers]
    assert placed[1] == placed[0]
    # And what is over counts no more.
    again = [hold(server, peers[0], name, 4) for server in servers]
    assert again[1] == again[0]
    assert set(again[0]) & set('ABCD')


def test_chance_follows_the_weights(servers):
    for server in servers:
        served = collections.Counter(ask(server, 'random', '/?x')[1] for _ in range(600))
        assert abs(served['A'] - 360) < 75 and abs(served['B'] - 120) < 60 and abs(served['C'] - 120) < 60, served


def test_chance_leaves_out_what_is_down(servers):
    for server in servers:
        answers = [ask(server, 'random-down', '/?x') for _ in range(150)]
        served = collections.Counter(who for _, who, _, _ in answers)
        assert set(served) == {'A', 'C'} and served['C'] > served['A'], served
        # The one that refuses is tried once; then it is left out.
        assert sum(',' in tried for _, _, tried, _ in answers) == 1


@pytest.mark.parametrize('name', ['random-two', 'random-least'])
def test_of_two_the_less_busy_one(servers, peers, name):
    for server in servers:
        placed = collections.Counter(hold(server, peers[0], name, 40))
        assert set(placed) == set('ABCD') and max(placed.values()) - min(placed.values()) <= 5, placed
