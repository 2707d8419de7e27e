"""systemd's watchdog: the master shows that it lives, one that hangs does not, its successor does."""
import os
import signal
import socket
import time

from harness.sanitizers import SLOW
from harness.servers import Bulkhead, wait_for

NGINX = '''
worker_processes 1;
pid @DIR@/run.pid;
error_log @DIR@/error.log;
events { }
http {
    access_log off;
    server { listen 127.0.0.1:@PORT@; return 204; }
}
'''


class Manager:
    """What systemd is to a service: a datagram socket."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.settimeout(0.1)

    def hear(self, seconds):
        """[(pid, text)] that arrive within so many seconds."""
        heard, until = [], time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                data, ancillary, _, _ = self.socket.recvmsg(4096, 1024)
                pid = int.from_bytes(ancillary[0][2][:4], 'little')
                heard.append((pid, data.decode()))
            except TimeoutError:
                pass
        return heard

    def signs(self, seconds):
        return [pid for pid, text in self.hear(seconds) if text == 'WATCHDOG=1']


def watched(work, monkeypatch, tag, pid=None):
    manager = Manager(work / f'{tag}.notify')
    os.chmod(work / f'{tag}.notify', 0o777)
    monkeypatch.setenv('NOTIFY_SOCKET', work / f'{tag}.notify')
    monkeypatch.setenv('WATCHDOG_USEC', str(400_000 * SLOW))
    if pid is not None:
        monkeypatch.setenv('WATCHDOG_PID', pid)
    return manager, Bulkhead(work, NGINX, tag=tag)


def test_the_master_shows_that_it_lives_and_a_hanging_one_does_not(work, monkeypatch):
    manager, server = watched(work, monkeypatch, 'life')
    with server:
        assert manager.signs(2 * SLOW).count(server.pid) >= 5
        os.kill(server.pid, signal.SIGSTOP)
        manager.signs(0.5 * SLOW)
        assert manager.signs(1.5 * SLOW) == []
        os.kill(server.pid, signal.SIGCONT)
        assert server.pid in manager.signs(2 * SLOW)


def test_nobody_else_is_shown_life(work, monkeypatch):
    manager, server = watched(work, monkeypatch, 'other', pid='1')
    with server:
        assert manager.signs(1.5 * SLOW) == []


def test_a_new_program_goes_on_with_it(work, monkeypatch):
    manager, server = watched(work, monkeypatch, 'next')
    with server:
        os.kill(server.pid, signal.SIGUSR2)

        def successor():
            text = server.read('run.pid').strip()
            return int(text) if text and int(text) != server.pid else None
        new = wait_for(successor, 20, 'the new program')
        try:
            assert manager.signs(2 * SLOW).count(new) >= 3
        finally:
            os.kill(new, signal.SIGQUIT)
            wait_for(lambda: server.read('run.pid').strip() == str(server.pid), 20, 'the old one alone')
