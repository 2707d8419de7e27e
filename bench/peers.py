"""Servers to compare, each set up from the same site: Bulkhead, and Debian's nginx + php-fpm.

A peer serves DIR/www as user www-data on a free port.  `cpu_seconds()` sums the CPU time of all of
its processes (threads included; children that have ended count through their parent).
"""
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TICK = os.sysconf('SC_CLK_TCK')

POOL = '''[{pool}]
user = www-data
group = www-data
listen = {run}/{pool}.sock
listen.owner = www-data
listen.group = www-data
{pm}
chdir = /
{more}
'''
DYNAMIC = '''pm = dynamic
pm.max_children = 5
pm.start_servers = 2
pm.min_spare_servers = 1
pm.max_spare_servers = 3'''
ONDEMAND = '''pm = ondemand
pm.max_children = 5
pm.process_idle_timeout = 10s'''
SERVER = '''
    server {{
        listen 127.0.0.1:{port};
        server_name {name};
        root {www};
        index index.php index.html;
        client_max_body_size 64m;
        {more}
        location / {{ try_files $uri $uri/ /index.php?$args; }}
        location ~ \\.php$ {{
            try_files $uri =404;
            fastcgi_split_path_info ^(.+\\.php)(/.+)$;
            fastcgi_pass {target};
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
    server_names_hash_bucket_size 128;
    server_names_hash_max_size 32768;
{server}}}
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


def memory_of(pid):
    """(resident, proportional) bytes of one process."""
    sizes = {'Rss': 0, 'Pss': 0}
    try:
        with open(f'/proc/{pid}/smaps_rollup', encoding='ascii') as f:
            for line in f:
                name, _, rest = line.partition(':')
                if name in sizes:
                    sizes[name] = int(rest.split()[0]) * 1024
    except (OSError, IndexError):
        pass
    return sizes['Rss'], sizes['Pss']


class Peer:
    """A set of processes started from `commands()` in a folder of its own.

    `sites`: so many more sites site1.example ... with a pool each, all serving the same root.
    """
    name = '?'
    server = ''  # more directives for the server block
    pool = ''    # more directives for the pool
    upstream = ''
    target = 'unix:{run}/{pool}.sock'

    def __init__(self, work, www, sites=0):
        self.www, self.port, self.processes, self.sites = www, free_port(), [], sites
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
        blocks, pools = '', f'[global]\nerror_log = {self.run}/fpm.log\npid = {self.run}/fpm.pid\n'
        for number in range(self.sites + 1):
            pool = f'site{number}' if number else 'bench'
            blocks += self.upstream.format(run=self.run, pool=pool)
            blocks += SERVER.format(port=self.port, www=self.www, params=f'{conf}/fastcgi_params', more=self.server,
                                    name=f'{pool}.example' if number else 'localhost',
                                    target=self.target.format(run=self.run, pool=pool))
            pools += POOL.format(run=self.run, pool=pool, pm=ONDEMAND if number else DYNAMIC, more=self.pool)
        return (self.write('nginx.conf', NGINX.format(run=self.run, types=f'{conf}/mime.types', server=blocks)),
                self.write('fpm.conf', pools))

    @classmethod
    def missing(cls):
        """Debian packages to install before this peer can run; empty: it can."""
        return ''

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

    def digest(self, path, method='GET', body=b'', headers='', host='localhost'):
        """What the peer answers, as far as every peer must answer the same: status, length, body."""
        with socket.create_connection(('127.0.0.1', self.port), 60) as s:
            length = f'Content-Length: {len(body)}\r\n' if body else ''
            more = ''.join(line + '\r\n' for line in headers.splitlines())
            s.sendall(f'{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{length}{more}\r\n'.encode() + body)
            whole = b''.join(iter(lambda: s.recv(1 << 20), b''))
        head, _, content = whole.partition(b'\r\n\r\n')
        if b'transfer-encoding: chunked' in head.lower():
            content = unchunked(content)
        return head.split(b'\r\n', 1)[0].decode('latin-1'), len(content), hashlib.sha256(content).hexdigest()

    def memory(self):
        """(resident, proportional) bytes of all processes."""
        sizes = [memory_of(pid) for p in self.processes for pid in descendants(p.pid)]
        return sum(r for r, _ in sizes), sum(p for _, p in sizes)

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


def unchunked(content):
    parts = []
    while content:
        size, _, content = content.partition(b'\r\n')
        n = int(size.split(b';')[0], 16)
        if n == 0:
            break
        parts.append(content[:n])
        content = content[n + 2:]
    return b''.join(parts)


class Stock(Peer):
    """The article's set-up on Debian: nginx, php-fpm, opcache on."""
    name = 'nginx + php-fpm'
    defines = ()

    @classmethod
    def missing(cls):
        return '' if shutil.which('nginx') and shutil.which('php-fpm8.2') else 'nginx-light php8.2-fpm'

    def commands(self, nginx, fpm):
        flags = [word for define in self.defines for word in ('-d', define)]
        return (['/usr/sbin/php-fpm8.2', '-F', '-y', fpm, *flags],
                ['/usr/sbin/nginx', '-p', self.run, '-c', nginx, '-g', 'daemon off;'])


class StockFileCache(Stock):
    """As Stock, with nginx's own cache of open files."""
    name = 'nginx with open_file_cache'
    server = 'open_file_cache max=10000 inactive=60s; open_file_cache_valid 1s; open_file_cache_errors on;'


class StockTuned(Stock):
    """Connections to php-fpm kept alive, and opcache asking for permission as it should."""
    name = 'nginx + php-fpm, keep-alive and validate_permission'
    defines = ('opcache.validate_permission=1',)
    upstream = '    upstream {pool}_php {{ server unix:{run}/{pool}.sock; keepalive 16; }}\n'
    server = 'fastcgi_keep_conn on;'
    target = '{pool}_php'


class StockNoCache(Stock):
    """As the article ends: opcache off."""
    name = 'nginx + php-fpm, opcache off'
    defines = ('opcache.enable=0',)


class MasterPerSite(Stock):
    """One php-fpm master for each site, the known way to keep caches apart."""
    name = 'nginx + one php-fpm master per site'

    def commands(self, nginx, fpm):
        with open(fpm, encoding='utf-8') as f:
            head, *pools = f.read().split('[')[1:]
        masters = []
        for number, pool in enumerate(pools):
            conf = self.write(f'fpm{number}.conf', f'[{head.replace("fpm.pid", f"fpm{number}.pid")}[{pool}')
            masters.append(['/usr/sbin/php-fpm8.2', '-F', '-y', conf])
        return (*masters, ['/usr/sbin/nginx', '-p', self.run, '-c', nginx, '-g', 'daemon off;'])


class Apache(Peer):
    """Apache with mpm-itk (each site its user) and PHP inside."""
    name = 'Apache mpm-itk + mod_php'

    @classmethod
    def missing(cls):
        modules = '/usr/lib/apache2/modules/'
        there = all(os.path.exists(modules + m) for m in ('mpm_itk.so', 'libphp8.2.so'))
        return '' if there else 'apache2 libapache2-mpm-itk libapache2-mod-php8.2'

    def configure(self):
        modules = '/usr/lib/apache2/modules'
        names = 'mpm_prefork mpm_itk authz_core dir mime log_config unixd'.split()
        loads = ''.join(f'LoadModule {m}_module {modules}/mod_{m}.so\n' if m != 'mpm_itk' else
                        f'LoadModule mpm_itk_module {modules}/mpm_itk.so\n' for m in names
                        if m in ('mpm_itk',) or os.path.exists(f'{modules}/mod_{m}.so'))
        return (self.write('apache.conf', loads + f'''LoadModule php_module {modules}/libphp8.2.so
ServerRoot {self.run}
ServerName localhost
PidFile {self.run}/apache.pid
ErrorLog {self.run}/error.log
LogFormat "%h %l %u %t \\"%r\\" %>s %b \\"%{{Referer}}i\\" \\"%{{User-agent}}i\\"" combined
CustomLog {self.run}/access.log combined
Listen 127.0.0.1:{self.port}
User www-data
Group www-data
TypesConfig {TOP}/share/conf/mime.types
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 65
StartServers 5
MaxRequestWorkers 256
DocumentRoot {self.www}
DirectoryIndex index.php index.html
<Directory {self.www}>
  AllowOverride None
  Require all granted
  <FilesMatch "\\.php$">
    SetHandler application/x-httpd-php
  </FilesMatch>
</Directory>
AssignUserID www-data www-data
'''),)

    def commands(self, conf):
        return (['/usr/sbin/apache2', '-DFOREGROUND', '-f', conf],)


class Bulkhead(Peer):
    name = 'bulkhead'

    def commands(self, nginx, fpm):
        return ([os.path.join(os.environ.get('BULKHEAD_BIN', f'{TOP}/build/bin'), 'bulkhead'),
                 'serve', '--nginx', nginx, '--fpm', fpm, '--state', os.path.join(self.run, 'state')],)


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
