"""Servers to compare, each set up from the same site: Bulkhead, and Debian's nginx + php-fpm.

A peer serves DIR/www as user www-data on a free port.  `cpu_seconds()` sums the CPU time of all of
its processes (threads included; children that have ended count through their parent).
"""
import os
import signal
import socket
import subprocess
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TICK = os.sysconf('SC_CLK_TCK')

POOL = '''[bench]
user = www-data
group = www-data
listen = {run}/php.sock
listen.owner = www-data
listen.group = www-data
pm = dynamic
pm.max_children = 5
pm.start_servers = 2
pm.min_spare_servers = 1
pm.max_spare_servers = 3
chdir = /
'''
SERVER = '''
    server {{
        listen 127.0.0.1:{port};
        server_name localhost;
        root {www};
        index index.php index.html;
        location / {{ try_files $uri $uri/ =404; }}
        location ~ \\.php$ {{
            try_files $uri =404;
            fastcgi_split_path_info ^(.+\\.php)(/.+)$;
            fastcgi_pass unix:{run}/php.sock;
            fastcgi_index index.php;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            include {params};
        }}
    }}
'''
NGINX = '''
user www-data;
worker_processes auto;
pid {run}/nginx.pid;
error_log {run}/error.log;
events {{ worker_connections 4096; }}
http {{
    include {types};
    default_type application/octet-stream;
    sendfile on;
    tcp_nopush on;
    keepalive_timeout 65;
    keepalive_requests 100000000;
    access_log {run}/access.log;
    {server}
}}
'''


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def descendants(pid):
    """The process and every live descendant."""
    children = {}
    for name in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{name}/stat', encoding='latin-1') as f:
                parent = int(f.read().rsplit(')', 1)[1].split()[1])
        except (OSError, IndexError):
            continue
        children.setdefault(parent, []).append(int(name))
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo += children.get(one, [])
    return found


def cpu_of(pid):
    """CPU seconds: exact for live threads (schedstat, ns), ticks for children that ended."""
    total = 0.0
    try:
        for task in os.listdir(f'/proc/{pid}/task'):
            with open(f'/proc/{pid}/task/{task}/schedstat', encoding='ascii') as f:
                total += int(f.read().split()[0]) / 1e9
        with open(f'/proc/{pid}/stat', encoding='latin-1') as f:
            fields = f.read().rsplit(')', 1)[1].split()
        total += (int(fields[13]) + int(fields[14])) / TICK
    except OSError:
        pass
    return total


class Peer:
    """A set of processes started from `commands()` in a folder of its own."""
    name = '?'

    def __init__(self, work, www):
        self.www, self.port, self.processes = www, free_port(), []
        self.run = os.path.join(work, self.name.replace(' ', ''))
        os.makedirs(self.run)
        os.chmod(self.run, 0o755)

    def write(self, name, text):
        path = os.path.join(self.run, name)
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)
        return path

    def configure(self):
        """(nginx.conf, php-fpm.conf)"""
        conf = os.path.join(TOP, 'share/conf')
        server = SERVER.format(port=self.port, www=self.www, run=self.run, params=f'{conf}/fastcgi_params')
        return (self.write('nginx.conf', NGINX.format(run=self.run, types=f'{conf}/mime.types', server=server)),
                self.write('fpm.conf', f'[global]\nerror_log = {self.run}/fpm.log\n'
                           f'pid = {self.run}/fpm.pid\n' + POOL.format(run=self.run)))

    def start(self):
        for command in self.commands(*self.configure()):
            log = open(os.path.join(self.run, 'out'), 'ab')
            self.processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        until = time.monotonic() + 20
        while True:
            try:
                if b' 200 ' in self.get('/hello.php').split(b'\r\n', 1)[0]:
                    return self
            except OSError:
                pass
            if time.monotonic() > until:
                with open(os.path.join(self.run, 'out'), encoding='utf-8', errors='replace') as f:
                    raise SystemExit(f'{self.name} does not answer:\n{f.read()[-2000:]}')
            time.sleep(0.05)

    def get(self, path):
        with socket.create_connection(('127.0.0.1', self.port), 5) as s:
            s.sendall(f'GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'.encode())
            parts = []
            while part := s.recv(65536):
                parts.append(part)
        return b''.join(parts)

    def body(self, path):
        return self.get(path).split(b'\r\n\r\n', 1)[-1]

    def cpu_seconds(self):
        return sum(cpu_of(pid) for p in self.processes for pid in descendants(p.pid))

    def stop(self):
        for p in self.processes:
            p.send_signal(signal.SIGTERM)
        for p in self.processes:
            try:
                p.wait(10)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        self.processes = []


class Stock(Peer):
    """The article's set-up on Debian: nginx, php-fpm, opcache on."""
    name = 'nginx + php-fpm'

    def commands(self, nginx, fpm):
        return (['/usr/sbin/php-fpm8.2', '-F', '-y', fpm],
                ['/usr/sbin/nginx', '-p', self.run, '-c', nginx, '-g', 'daemon off;'])


class Bulkhead(Peer):
    name = 'bulkhead'

    def commands(self, nginx, fpm):
        return ([os.path.join(os.environ.get('BULKHEAD_BIN', f'{TOP}/build/bin'), 'bulkhead'),
                 'serve', '--nginx', nginx, '--fpm', fpm],)


def wrk(port, path, connections, seconds, threads=1):
    """Requests answered, requests per second, errors: one run of wrk (its CPU is not counted)."""
    out = subprocess.run(['wrk', f'-t{threads}', f'-c{connections}', f'-d{seconds}s', '--latency',
                          f'http://127.0.0.1:{port}{path}'],
                         capture_output=True, text=True, check=True).stdout
    requests = rate = p50 = None
    errors = 0
    for line in out.splitlines():
        words = line.split()
        if 'requests in' in line:
            requests = int(words[0])
        elif line.startswith('Requests/sec'):
            rate = float(words[1])
        elif words[:1] == ['50%']:
            p50 = words[1]
        elif 'Non-2xx' in line:
            errors += int(words[-1])
        elif 'Socket errors' in line:
            errors += sum(int(w.rstrip(',')) for w in words if w.rstrip(',').isdigit())
    if requests is None or rate is None:
        raise SystemExit('wrk printed no result:\n' + out)
    return requests, rate, errors, p50
