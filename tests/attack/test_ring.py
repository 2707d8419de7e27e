"""One site's native code writes nonsense over all it shares with front, while both sites are asked.

Front must not end, no byte of one site may reach the other, and the other must not wait.
"""
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

from harness import http
from harness.servers import SLOW, Bulkhead, descendants, wait_for
from harness.users import users

SECONDS = float(os.environ.get('BULKHEAD_ATTACK_SECONDS', '10'))
SEED = int(os.environ.get('BULKHEAD_ATTACK_SEED', time.time_ns() % 10**9))
SCRIBBLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'scribble.py')
SLOWEST = 10 * SLOW  # seconds a request to the neighbour may take: front was never held up
NGINX = '''
user www-data;
worker_processes 2;
pid @DIR@/run.pid;
error_log @DIR@/error.log;
events { }
http { access_log off; include @DIR@/sites/*; }
'''
SITE = '''
server {
    listen 127.0.0.1:@PORT@;
    server_name WHO.example;
    root @DIR@/WHO;
    location ~ \\.php$ {
        fastcgi_pass unix:@DIR@/WHO.sock;
        fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
        include @TOP@/share/conf/fastcgi_params;
    }
}
'''
POOL = '[WHO]\nuser = USER\nlisten = @DIR@/WHO.sock\npm = static\npm.max_children = 3\n'
# An answer that nobody else gives: who, the question, and as many bytes as it asks for.
SCRIPT = '''<?php
$n = (int)($_GET["n"] ?? 0);
header("X-Who: WHO-MARK");
echo "WHO-MARK|", $_GET["q"] ?? "", "|", file_get_contents("php://input"), "|";
for ($i = 0; $i < $n; ++$i) echo "WHO-MARK", $i % 10;
'''


class Two:
    def __init__(self, work, people):
        self.mark = {who: f'{who}{random.Random(SEED).getrandbits(64):x}{who}' for who in 'ab'}
        self.server = Bulkhead(work, NGINX, '[global]\nerror_log = @DIR@/fpm.log\ninclude = @DIR@/pools/*\n')
        for who, user in zip('ab', people):
            self.server.save(f'sites/{who}', SITE.replace('WHO', who))
            self.server.save(f'pools/{who}', POOL.replace('WHO', who).replace('USER', user.name))
            work.write(f'{self.server.dir}/{who}/x.php', SCRIPT.replace('WHO-MARK', self.mark[who]))
            work.write(f'{self.server.dir}/{who}/x.txt', f'{self.mark[who]} text')
            user.own(f'{self.server.dir}/{who}', 0o700)

    def pids(self, title):
        return sorted(pid for pid, facts in descendants(self.server.pid).items() if title in facts[2])

    def pool_of(self, who):
        return [pid for pid in self.pids(f'pool {who}')]


@pytest.fixture(scope='module')
def two(work):
    with users('ata', 'atb') as people:
        two = Two(work, people)
        with two.server:
            yield two


class Neighbour:
    """Asks site b without a pause and looks at every byte."""

    def __init__(self, two, stop):
        self.two, self.stop, self.count, self.wrong, self.slowest = two, stop, 0, [], 0.0

    def run(self, seed):
        dice, mark = random.Random(seed), self.two.mark['b']
        while not self.stop.is_set():
            question, size = f'{dice.getrandbits(64):x}', dice.choice([0, 1, 100, 3000, 30_000])
            body = dice.randbytes(dice.choice([0, 10, 5000])).hex().encode()
            wanted = f'{mark}|{question}|{body.decode()}|'.encode() + b''.join(
                f'{mark}{i % 10}'.encode() for i in range(size))
            start = time.monotonic()
            try:
                answer = http.fetch(('127.0.0.1', self.two.server.port), f'/x.php?q={question}&n={size}', method='POST',
                                    host='b.example', body=body, timeout=20 * SLOW)
                if (answer.status, answer.body, answer.header('X-Who')) != (200, wanted, mark):
                    self.wrong.append((answer.status, answer.body[:200], len(answer.body), len(wanted)))
                text = http.fetch(('127.0.0.1', self.two.server.port), '/x.txt', host='b.example', timeout=20 * SLOW)
                if text.text != f'{mark} text':
                    self.wrong.append((text.status, text.body[:200]))
            except (OSError, AssertionError) as error:
                self.wrong.append(repr(error))
            self.slowest = max(self.slowest, time.monotonic() - start)
            self.count += 1


class Victim:
    """Asks the attacker's own site: any answer is allowed but one that holds the neighbour's bytes."""

    def __init__(self, two, stop):
        self.two, self.stop, self.count, self.served, self.crossed = two, stop, 0, 0, []

    def run(self, seed):
        dice = random.Random(seed)
        while not self.stop.is_set():
            try:
                answer = http.fetch(('127.0.0.1', self.two.server.port), f'/x.php?q=1&n={dice.choice([0, 10, 40_000])}',
                                    method='POST', host='a.example', body=b'y' * dice.choice([0, 200_000]), timeout=1)
                self.served += answer.status == 200
                if self.two.mark['b'].encode() in answer.raw_head + answer.body:
                    self.crossed.append(answer.raw_head)
            except (OSError, AssertionError):
                pass
            self.count += 1


def test_nonsense_all_over_the_shared_memory(two):
    print('seed', SEED)
    dice = random.Random(SEED)
    front, = two.pids('bulkhead: front')
    assert len(two.pool_of('a')) == 4 and len(two.pool_of('b')) == 4
    b_before = two.pool_of('b')
    stop = threading.Event()
    neighbours, victims = [Neighbour(two, stop) for _ in range(2)], [Victim(two, stop) for _ in range(4)]
    threads = [threading.Thread(target=who.run, args=(dice.getrandbits(32),)) for who in neighbours + victims]
    writes, rounds = 0, 0
    try:
        for thread in threads:
            thread.start()
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            pids = two.pool_of('a')
            if not pids:
                time.sleep(0.05)
                continue
            # Sometimes for a moment only: front then finds a site that is nearly well.
            seconds = dice.choice([0.02, 0.1, 0.5, 2])
            done = subprocess.run([sys.executable, SCRIBBLE, str(seconds), str(dice.getrandbits(32)), *map(str, pids)],
                                  capture_output=True, text=True, check=True, timeout=60)
            writes, rounds = writes + int(done.stdout), rounds + 1
            # A pool that is beyond help starts anew, with a ring that is whole.
            if dice.random() < 0.3:
                for pid in two.pids('bulkhead: pool a'):
                    os.kill(pid, signal.SIGKILL)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    print(f'{writes} writes in {rounds} rounds; neighbour {sum(n.count for n in neighbours)} requests, slowest '
          f'{max(n.slowest for n in neighbours):.3f} s; attacker {sum(v.count for v in victims)}, '
          f'{sum(v.served for v in victims)} served')
    assert two.pids('bulkhead: front') == [front], two.server.read('error.log')[-2000:]
    assert [w for n in neighbours for w in n.wrong] == []
    assert [c for v in victims for c in v.crossed] == []
    assert max(n.slowest for n in neighbours) < SLOWEST
    assert two.pool_of('b') == b_before
    # It was an attack, and it was among requests.
    assert writes > 1000 * SECONDS and rounds > 3 and all(n.count > SECONDS for n in neighbours)
    assert sum(v.served for v in victims) > 0
    # What it did to itself ends with its pool.
    for pid in two.pids('bulkhead: pool a'):
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: all(two.server.fetch('/x.php?q=1', host='a.example').text.startswith(two.mark['a']) for _ in range(8)),
             30, 'a to be well again')
