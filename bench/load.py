"""One run of a client (wrk or h2load) against one peer, with what it cost the peer.

The client's own CPU is not counted.  A run with an error gives no figure.
"""
import os
import resource
import socket
import subprocess
from dataclasses import dataclass

HERE = os.path.dirname(os.path.abspath(__file__))


@dataclass
class Run:
    requests: int
    rate: float       # requests per second
    cpu_us: float     # of all server processes, per request
    p50_us: float
    p99_us: float
    p999_us: float


class Failed(Exception):
    """The client saw errors, or answered nothing."""


def wrk(peer, path, connections, seconds, method='GET', body=None, headers='', sites=0, paths=''):
    """`body`: a file's name.  `sites`, `paths`: a Zipf-distributed mix instead of `path`."""
    env = dict(os.environ, BH_METHOD=method, BH_HEADERS=headers, BH_SITES=str(sites), BH_PATHS=paths)
    if body:
        env['BH_BODY'] = body
    before = peer.cpu_seconds()
    out = subprocess.run(['wrk', '-t1', f'-c{connections}', f'-d{seconds}s', '--timeout', '30s',
                          '-s', os.path.join(HERE, 'load.lua'), f'http://127.0.0.1:{peer.port}{path}'],
                         capture_output=True, text=True, check=True, env=env).stdout
    used = peer.cpu_seconds() - before
    for line in out.splitlines():
        if line.startswith('BH '):
            requests, micros, errors, p50, p99, p999 = map(int, line.split()[1:])
            if errors or not requests:
                raise Failed(f'{peer.name}: {errors} errors in {requests} requests of {path}')
            return Run(requests, requests / micros * 1e6, used / requests * 1e6, p50, p99, p999)
    raise Failed(f'{peer.name}: wrk printed no result for {path}:\n{out}')


def h2load(peer, path, connections, seconds):
    """HTTP/1.1 by h2load: a second client, to see that a ratio is not wrk's."""
    before = peer.cpu_seconds()
    out = subprocess.run(['h2load', '--h1', '-t1', f'-c{connections}', f'-D{seconds}',
                          f'http://127.0.0.1:{peer.port}{path}'],
                         capture_output=True, text=True, check=True).stdout
    used = peer.cpu_seconds() - before
    requests, failed = 0, 1
    for line in out.splitlines():
        if line.startswith('requests:'):
            words = line.replace(',', '').split()
            requests, failed = int(words[7]), int(words[9]) + int(words[11])
    if failed or not requests:
        raise Failed(f'{peer.name}: h2load saw {failed} failures in {requests} requests of {path}')
    return Run(requests, requests / seconds, used / requests * 1e6, 0, 0, 0)


class IdleConnections:
    """`count` keep-alive connections that have had one answer and then stay open."""

    def __init__(self, peer, path, count):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, count + 500)), hard))
        self.sockets = []
        for _ in range(count):
            s = socket.create_connection(('127.0.0.1', peer.port), 10)
            s.sendall(f'GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n'.encode())
            s.recv(65536)
            self.sockets.append(s)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for s in self.sockets:
            s.close()


class BusyCores:
    """A loop on every core that wants all of it, as beside a neighbour that computes."""

    def __enter__(self):
        self.loops = [subprocess.Popen(['sh', '-c', 'while :; do :; done']) for _ in range(os.cpu_count())]

    def __exit__(self, *_):
        for p in self.loops:
            p.kill()
            p.wait()
