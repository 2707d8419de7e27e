"""A pool that is killed costs the requests its workers had in hand, and no other: every loop of front asks the next
pool, whether it has learnt of the death or not."""
import hashlib
import os
import signal
import threading

import pytest

from harness import http
from harness.servers import Bulkhead, descendants, processes, wait_for

NGINX = '''user www-data;
worker_processes 4;
pid @DIR@/run.pid;
error_log @DIR@/error.log;
events { worker_connections 512; }
http {
    access_log off;
    client_body_buffer_size 1m;
    server { listen 127.0.0.1:@PORT@ reuseport; root @DIR@/www; client_max_body_size 10m; keepalive_timeout 60;
        location / { include @TOP@/share/conf/fastcgi_params;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name; fastcgi_pass unix:@DIR@/a.sock; } }
}
'''
FPM = '''[global]
error_log = @DIR@/fpm.log
[a]
user = www-data
listen = @DIR@/a.sock
pm = static
pm.max_children = 4
'''
BIG = b'0123456789' * 30_000


@pytest.fixture(scope='module')
def server(work):
    server = Bulkhead(work, NGINX, FPM)
    work.write(f'{server.dir}/www/pid.php', '<?php echo readlink("/proc/self/ns/pid"), " ", md5(file_get_contents("php://input"));')
    with server:
        yield server


def pool_of(server):
    """The pid of the pool that answers."""
    response = server.fetch('/pid.php')
    assert response.status == 200, server.read('error.log')[-600:]
    return pool_in(server, response.text.split()[0])


def pool_in(server, namespace):
    """The pid, outside, of the pool whose processes are in that pid namespace; 0: none lives."""
    for pid, facts in server.descendants().items():
        try:
            if facts[2].startswith('bulkhead: pool') and os.readlink(f'/proc/{pid}/ns/pid') == namespace:
                return pid
        except OSError:  # it has just ended
            pass
    return 0


def kill(pool):
    """Kills the pool and waits until its workers, too, take nothing more."""
    pids = [pool, *descendants(pool)]
    os.kill(pool, signal.SIGKILL)
    wait_for(lambda: not [p for p in pids if processes().get(p, (0, 0, '', 'Z'))[3] != 'Z'], 5, 'the pool to end')


@pytest.mark.parametrize('death', range(6))
def test_every_loop_has_the_next_pool_at_once(server, death):
    # The kernel spreads connections over the loops: with 32 each of the four has some.
    connections = [server.connect() for _ in range(32)]
    get, post = (http.request_bytes('/pid.php', method=method, close=False, body=body)
                 for method, body in (('GET', None), ('POST', BIG)))
    for connection in connections:
        assert connection.send(get).read_response().status == 200
    requests = [post if n % 4 == 1 else get for n in range(len(connections))]
    senders = [threading.Thread(target=c.send, args=(r,)) for c, r in zip(connections, requests)]
    front = next(pid for pid, facts in server.descendants().items() if facts[2].startswith('bulkhead: front'))
    pool = pool_of(server)
    if death % 2 == 0:  # one loop has the next pool; the others are asked right after
        kill(pool)
        assert pool_of(server) != pool
        for sender in senders:
            sender.start()
    else:  # the requests arrive together with the news
        os.kill(front, signal.SIGSTOP)
        try:
            kill(pool)
            for sender in senders:
                sender.start()
        finally:
            os.kill(front, signal.SIGCONT)
    answers = [connection.read_response() for connection in connections]
    for sender in senders:
        sender.join()
    assert [a.status for a in answers] == [200] * 32, server.read('error.log')[-2000:]
    for answer, request in zip(answers, requests):
        namespace, _, digest = answer.text.partition(' ')
        assert pool_in(server, namespace) not in (0, pool) and digest == hashlib.md5(BIG if request is post else b'').hexdigest()
    for connection in connections:
        connection.close()


def test_the_longer_pause_after_many_deaths_is_waited_for(server):
    """Master starts a pool that dies again and again later and later; what nobody took waits for that."""
    for _ in range(5):
        pool = pool_of(server)
        kill(pool)
        assert pool_of(server) != pool
