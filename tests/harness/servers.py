"""Bulkhead and its peers, started from the same two configuration texts in a folder of their own.

In the texts, @DIR@ is that folder, @PORT@ (@PORT2@, @PORT3@) free ports, @TOP@ the checkout.
"""
import os
import random
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time

from . import http, sanitizers
from .sanitizers import SLOW

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.abspath(os.environ.get('BULKHEAD_BIN') or os.path.join(TOP, 'build/bin'))


def wait_for(what, seconds=15, why='condition'):
    """Polls until `what()` is true; fails the test after `seconds` (times SLOW)."""
    until = time.monotonic() + seconds * SLOW
    while True:
        value = what()
        if value:
            return value
        assert time.monotonic() < until, f'waited {seconds * SLOW} s for {why}'
        time.sleep(0.02)


def free_port():
    """A port that nobody has: below those that the kernel hands to outgoing connections (of other tests, say)."""
    while True:
        with socket.socket() as s:
            try:
                s.bind(('127.0.0.1', random.randrange(12000, 32000)))
                return s.getsockname()[1]
            except OSError:
                pass


def processes():
    """pid -> (parent, uid, title, state) of every process."""
    found = {}
    for name in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{name}/stat', encoding='latin-1') as f:
                fields = f.read().rsplit(')', 1)[1].split()
            with open(f'/proc/{name}/cmdline', 'rb') as f:
                title = f.read().replace(b'\0', b' ').decode('utf-8', 'replace').strip()
            found[int(name)] = (int(fields[1]), os.stat(f'/proc/{name}').st_uid, title, fields[0])
        except (OSError, IndexError):
            pass
    return found


def descendants(pid):
    """Live descendants of a process: pid -> (parent, uid, title, state)."""
    everything = processes()
    found, todo = {}, [pid]
    while todo:
        parent = todo.pop()
        for child, facts in everything.items():
            if facts[0] == parent and child not in found and facts[3] != 'Z':
                found[child] = facts
                todo.append(child)
    return found


def has_more_devices():
    """/dev holds devices beside the seven that every program needs (in a container it may not)."""
    usual = {'null', 'zero', 'full', 'random', 'urandom', 'tty', 'ptmx'}
    modes = [os.lstat(f'/dev/{name}').st_mode for name in os.listdir('/dev') if name not in usual]
    return any(stat.S_ISCHR(mode) or stat.S_ISBLK(mode) for mode in modes)


# A worker's number on the machine, in php-fpm and in ours: inside a pid namespace getmypid() is another.
ECHO_PID = ('foreach (fpm_get_status()["procs"] as $p) '
            'if ($p["state"] === "Running" && $p["script"] === $_SERVER["SCRIPT_FILENAME"]) { echo $p["pid"]; break; }')


class Work:
    """A folder that any user may traverse, removed at the end."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix='bht-', dir='/srv')
        os.chmod(self.path, 0o755)

    def __truediv__(self, name):
        return os.path.join(self.path, name)

    def mkdir(self, name, mode=0o755):
        path = self / name
        os.makedirs(path, exist_ok=True)
        os.chmod(path, mode)
        return path

    def write(self, name, content, mode=0o644):
        path = self / name
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb') as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        os.chmod(path, mode)
        return path

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)


class Server:
    """Common part: files, ports, start, stop, requests."""
    kind = '?'

    def __init__(self, work, nginx, fpm=None, tag=''):
        self.work = work
        self.dir = work.mkdir((tag or self.kind).replace(' ', ''))
        self.ports = [free_port() for _ in range(3)]
        self.port = self.ports[0]
        self.processes, self.out = [], os.path.join(self.dir, 'out.log')
        self.nginx_conf = self.save('nginx.conf', nginx) if nginx is not None else None
        self.fpm_conf = self.save('php-fpm.conf', fpm) if fpm is not None else None

    def fill(self, text):
        for number, port in zip(('', '2', '3'), self.ports):
            text = text.replace(f'@PORT{number}@', str(port))
        return text.replace('@DIR@', self.dir).replace('@TOP@', TOP)

    def save(self, name, text):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='utf-8') as f:
            f.write(self.fill(text))
        return path

    def read(self, name):
        try:
            with open(os.path.join(self.dir, name), encoding='utf-8', errors='replace') as f:
                return f.read()
        except FileNotFoundError:
            return ''

    def spawn(self, command, **kwargs):
        with open(self.out, 'ab') as log:
            process = subprocess.Popen(command, cwd='/', stdin=subprocess.DEVNULL, stdout=log, stderr=log, **kwargs)
        self.processes.append(process)
        return process

    def ready(self):
        if self.nginx_conf is None:
            return True
        try:
            socket.create_connection(('127.0.0.1', self.port), 1).close()
            return True
        except OSError:
            return False

    def start(self):
        for command in self.commands():
            self.spawn(command)

        def up():
            for p in self.processes:
                assert p.poll() is None, f'{self.kind} exited with {p.returncode}:\n{self.read("out.log")[-3000:]}'
            return self.sockets_exist() and self.ready()
        try:
            wait_for(up, 20, f'{self.kind} to be ready')
        except BaseException:
            self.stop()
            raise
        if self.kind.startswith('stock') and self.fpm_conf:
            # php-fpm listens a moment before it says so; tests count log lines from here on.
            until = time.monotonic() + 1
            while time.monotonic() < until and 'ready to handle' not in self.read('fpm.log') + self.read('out.log'):
                time.sleep(0.01)
        return self

    def sockets_exist(self):
        """Every Unix socket that the pool file listens on is bound and listens."""
        if self.fpm_conf is None:
            return True
        with open(self.fpm_conf, encoding='utf-8') as f:
            wanted = re.findall(r'^listen\s*=\s*(/\S+)', f.read(), re.M)
        with open('/proc/net/unix', encoding='utf-8', errors='replace') as f:
            rows = [line.split() for line in f]
        listening = {row[7] for row in rows if len(row) > 7 and row[3] == '00010000'}
        return listening.issuperset(wanted)

    @property
    def pid(self):
        return self.processes[0].pid

    def stop(self, how=signal.SIGTERM, seconds=15):
        """Ends what was started and fails if anything of it is left."""
        everything = {}
        for p in self.processes:
            if p.poll() is None:
                everything.update(descendants(p.pid))
                p.send_signal(how)
        for p in self.processes:
            try:
                p.wait(seconds * SLOW)
            except subprocess.TimeoutExpired:
                for pid in [p.pid, *descendants(p.pid)]:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                p.wait()
                raise AssertionError(f'{self.kind} did not stop:\n{self.read("out.log")[-2000:]}') from None
        codes = [p.returncode for p in self.processes]
        self.processes = []

        def gone():
            now = processes()
            return [pid for pid, facts in everything.items()
                    if pid in now and now[pid][3] != 'Z' and now[pid][2] == facts[2]]
        wait_for(lambda: not gone(), 5, f'processes left behind: {gone()}')
        sanitizers.check()
        return codes

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def connect(self, timeout=20, port=None):
        return http.Connection(('127.0.0.1', port or self.port), timeout * SLOW)

    def fetch(self, path, method='GET', port=None, **kwargs):
        return http.fetch(('127.0.0.1', port or self.port), path, method=method, timeout=60 * SLOW, **kwargs)

    def raw(self, data, methods=('GET',), timeout=20):
        """Sends bytes; returns the responses that follow, one per method named."""
        with self.connect(timeout) as connection:
            connection.send(data)
            return [connection.read_response(m) for m in methods]


class Bulkhead(Server):
    """`bulkhead serve --nginx FILE --fpm FILE` in the foreground."""
    kind = 'bulkhead'
    bin = BIN

    def commands(self):
        command = [os.path.join(self.bin, 'bulkhead'), 'serve', '--state', os.path.join(self.dir, 'state')]
        if self.nginx_conf:
            command += ['--nginx', self.nginx_conf]
        if self.fpm_conf:
            command += ['--fpm', self.fpm_conf]
        return [command]

    def ready(self):
        # The last line of a start: its sockets take connections (into a queue) a little earlier.
        return super().ready() and 'bulkhead: serving ' in self.read('out.log')

    def descendants(self):
        return descendants(self.pid)


class Stock(Server):
    """Debian's nginx and php-fpm."""
    kind = 'stock'

    def commands(self):
        commands = []
        if self.fpm_conf:
            commands.append(['/usr/sbin/php-fpm8.2', '-F', '-y', self.fpm_conf])
        if self.nginx_conf:
            commands.append(['/usr/sbin/nginx', '-p', self.dir + '/', '-c', self.nginx_conf, '-g', 'daemon off;'])
        return commands


class StockNginx(Stock):
    kind = 'stock-nginx'

    def commands(self):
        return [['/usr/sbin/nginx', '-p', self.dir + '/', '-c', self.nginx_conf, '-g', 'daemon off;']]

    def sockets_exist(self):
        return True


class StockFpm(Stock):
    kind = 'stock-fpm'

    def commands(self):
        return [['/usr/sbin/php-fpm8.2', '-F', '-y', self.fpm_conf]]

    def ready(self):
        return True


class BulkheadNginx(Server):
    """`bulkhead nginx ...`: the web server half alone."""
    kind = 'bulkhead-nginx'

    def commands(self):
        return [[os.path.join(BIN, 'bulkhead'), 'nginx', '-p', self.dir + '/', '-c', self.nginx_conf,
                 '-g', 'daemon off;']]

    def sockets_exist(self):
        return True


class BulkheadFpm(Server):
    """`bulkhead php-fpm ...`: the pools alone."""
    kind = 'bulkhead-fpm'
    # Said once at a start, by ours only: without a web server nobody names the sites' directories.
    WIDE = re.compile(r'(?m)^.*NOTICE: (pid \S+, \S+, line \d+: )?the directories of pool .* to narrow it\n')

    def read(self, name):
        return self.WIDE.sub('', super().read(name))

    def commands(self):
        return [[os.path.join(BIN, 'bulkhead'), 'php-fpm', '-F', '-y', self.fpm_conf,
                 '--state', os.path.join(self.dir, 'state')]]

    def ready(self):
        return True
