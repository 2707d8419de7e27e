"""`bulkhead top`: on a terminal of 80x24, and as a table for scripts."""
import contextlib
import fcntl
import itertools
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time

import pytest

from harness.servers import BIN, Bulkhead, wait_for
from harness.sites import Machine
from harness.users import users

serial = itertools.count(1)
NGINX = '''
user www-data;
pid @DIR@/run.pid;
error_log @DIR@/error.log;
events { worker_connections 256; }
http {
    access_log off;
    server {
        listen 127.0.0.1:@PORT@ default_server;
        server_name shop.test;
        location / {
            fastcgi_pass unix:@DIR@/shop.sock;
            fastcgi_param SCRIPT_FILENAME @DIR@/shop/page.php;
            include @TOP@/share/conf/fastcgi_params;
        }
    }
    server {
        listen 127.0.0.1:@PORT@;
        server_name blog.test;
        location / {
            fastcgi_pass unix:@DIR@/blog.sock;
            fastcgi_param SCRIPT_FILENAME @DIR@/blog/page.php;
            include @TOP@/share/conf/fastcgi_params;
        }
    }
}
'''
FPM = '''[global]
error_log = @DIR@/fpm.log
[shop]
user = {shop}
listen = @DIR@/shop.sock
pm = static
pm.max_children = 2
[blog]
user = {blog}
listen = @DIR@/blog.sock
pm = static
pm.max_children = 3
'''


@pytest.fixture
def server(work):
    with users('shop', 'blog') as (shop, blog):
        server = Bulkhead(work, NGINX, FPM.format(shop=shop.name, blog=blog.name), tag=f'top{next(serial)}')
        for user, name in ((shop, 'shop'), (blog, 'blog')):
            work.write(f'{server.dir}/{name}/page.php', '<?php usleep(1000 * (int) ($_GET["ms"] ?? 0)); echo "hello";')
            user.own(f'{server.dir}/{name}', 0o700)
        with server:
            yield server


def command(server, *words):
    return [os.path.join(BIN, 'bulkhead'), 'top', '--pid', f'{server.dir}/run.pid', *words]


@contextlib.contextmanager
def load(server, host, pause=0.02):
    """Requests to one site until the end of the block."""
    over = threading.Event()

    def ask():
        while not over.is_set():
            server.fetch('/', host=host)
            time.sleep(pause)
    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class Terminal:
    """A program on a pty; what it has drawn, as lines."""

    def __init__(self, words, rows=24, columns=80, env=None):
        self.master, self.slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.text = ''
        self.process = subprocess.Popen(words, stdin=self.slave, stdout=self.slave, stderr=self.slave, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
                                        env={**os.environ, 'TERM': 'xterm', **(env or {})})

    def resize(self, rows, columns):
        self.rows, self.columns = rows, columns
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def read(self):
        while select.select([self.master], [], [], 0.05)[0]:
            try:
                self.text += os.read(self.master, 65536).decode('ascii')
            except OSError:
                break
        return self.text

    def picture(self):
        """The newest whole one."""
        frames = self.read().split('\033[H')[1:]
        whole = [f for f in frames if f.count('\033[K') >= self.rows]
        if not whole:
            return []
        return [re.sub('\033\\[[0-9;?]*[a-zA-Z]', '', line).rstrip('\r') for line in whole[-1].split('\r\n')]

    def wait(self, condition, why):
        return wait_for(lambda: (p := self.picture()) and condition(p) and p, why=why)

    def press(self, keys):
        os.write(self.master, keys.encode())

    def names(self):
        return [line.split()[0] for line in self.picture()[3:-1] if line.strip()]

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)

    def is_restored(self):
        self.read()
        return termios.tcgetattr(self.slave) == self.before and self.text.endswith('\033[?25h\033[?1049l')


@pytest.fixture
def top(server):
    terminal = Terminal(command(server, '-d', '0.3'))
    terminal.wait(lambda p: 'shop' in '\n'.join(p), 'the sites')
    yield terminal
    terminal.close()


def test_once_prints_one_table(server):
    with load(server, 'shop.test'):
        done = subprocess.run(command(server, '--once', '-d', '1'), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0 and done.stderr == ''
    lines = done.stdout.split('\n')
    assert lines[0].startswith('bulkhead 0.') and '2 sites: 2 awake, 0 failed' in lines[0]
    assert lines[2].split() == ['SITE', 'STATE', 'REQ/S', '5XX/S', 'CPU%', 'MEMORY', 'P50ms', 'P99ms', 'WORKERS']
    shop, blog = lines[3].split(), lines[4].split()
    assert shop[:2] == ['shop', 'up'] and blog[:2] == ['blog', 'up']
    assert float(shop[2]) > 3 and float(blog[2]) == 0
    assert 0 < float(shop[6]) <= float(shop[7]) and blog[6] == '-'
    assert shop[8].endswith('/2') and blog[8] == '0/3'
    assert re.fullmatch(r'\d+[kM]', shop[5])
    assert '\033' not in done.stdout


def test_batch_sorts_filters_and_counts(server):
    done = subprocess.run(command(server, '-b', '-n', '2', '-d', '0.2', '--sort', 'workers', '--filter', 'B'),
                          capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('SITE') == 2 and len(re.findall('(?m)^blog ', done.stdout)) == 2
    assert not re.search('(?m)^shop', done.stdout)


def test_without_a_terminal_or_a_server_it_says_what_to_do(server):
    done = subprocess.run(command(server), capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 64 and '--once' in done.stderr and done.stdout == ''
    gone = subprocess.run([os.path.join(BIN, 'bulkhead'), 'top', '--pid', '/nonexistent/run.pid'], capture_output=True, text=True,
                          check=False, timeout=60)
    assert gone.returncode == 3 and 'no server answers' in gone.stderr and '/nonexistent/run.ctl' in gone.stderr
    bad = subprocess.run(command(server, '--sort', 'colour'), capture_output=True, text=True, check=False, timeout=60)
    assert bad.returncode != 0 and 'colour' in bad.stderr


def test_keys_sort_and_the_picture_fits(server, top):
    with load(server, 'blog.test'):
        top.press('r')
        top.wait(lambda p: top.names()[:1] == ['blog'], 'the busy site on top')
        top.press('n')
        top.wait(lambda p: top.names() == ['blog', 'shop'] and 'by name' in p[-1], 'names in order')
        top.press('w')
        picture = top.wait(lambda p: 'by workers' in p[-1], 'the order by workers')
    assert len(picture) == 24 and all(len(line) <= 80 for line in picture), picture
    top.press('?')
    top.wait(lambda p: any('restart the chosen' in line for line in p), 'help')
    top.press('x')
    top.wait(lambda p: 'SITE' in p[2], 'the table')


def test_a_filter_is_typed_and_taken_back(server, top):
    top.press('/SHO')
    top.wait(lambda p: top.names() == ['shop'] and p[-1].startswith('filter: SHO'), 'only the shop')
    top.press('\r')
    top.wait(lambda p: 'only "SHO"' in p[-1], 'the filter in force')
    top.press('\033')
    top.wait(lambda p: len(top.names()) == 2, 'both again')


def test_q_leaves_the_terminal_as_it_was(server, top):
    top.press('q')
    assert top.process.wait(10) == 0
    assert top.is_restored()


@pytest.mark.parametrize('how', [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_as_it_was(server, top, how):
    if how == signal.SIGINT:
        top.press('\x03')
    else:
        top.process.send_signal(how)
    assert top.process.wait(10) == (0 if how == signal.SIGINT else 128 + how)
    assert top.is_restored()


def test_ctrl_z_gives_the_terminal_back_and_fg_takes_it(server, top):
    top.press('\x1a')
    wait_for(lambda: open(f'/proc/{top.process.pid}/stat', encoding='ascii').read().split()[2] == 'T', why='a stop')
    assert top.is_restored()
    top.text = ''
    top.process.send_signal(signal.SIGCONT)
    top.wait(lambda p: 'shop' in '\n'.join(p), 'the picture again')


def test_another_size_is_another_picture(server, top):
    top.resize(12, 120)
    top.process.send_signal(signal.SIGWINCH)
    top.text = ''
    picture = top.wait(lambda p: len(p) == 12, 'a smaller picture')
    assert len(picture[2]) == 120
    top.resize(3, 20)
    top.process.send_signal(signal.SIGWINCH)
    top.text = ''
    assert len(top.wait(lambda p: len(p) == 3, 'a tiny picture')) == 3


def test_restart_asks_first(server, top):
    top.press('n')
    top.wait(lambda p: 'by name' in p[-1], 'the order')
    top.press('R')
    top.wait(lambda p: p[-1] == 'restart blog? y/N', 'the question')
    top.press('n')
    top.wait(lambda p: 'nothing restarted' in p[-1], 'no')
    top.press('jR')
    top.wait(lambda p: p[-1] == 'restart shop? y/N', 'the question')
    top.press('y')
    # Not made by `bulkhead site`: that command's own words.
    top.wait(lambda p: 'shop' in p[-1] and 'restart' not in p[-1] and 'sort' not in p[-1], 'why not')


def test_a_server_that_ends_and_comes_back_is_shown(server, top):
    server.stop()
    top.wait(lambda p: 'no server answers' in p[-1], 'the trouble')
    server.processes.clear()
    os.remove(server.out)
    server.start()
    top.wait(lambda p: 'no server answers' not in p[-1], 'the server again')


def test_restart_of_a_site_made_by_bulkhead_site():
    machine = Machine()
    try:
        machine.start()
        name = machine.add('shop')
        assert machine.answer(name).status == 200

        def pool():
            return {pid for pid, facts in machine.descendants().items() if facts[2] == f'bulkhead: pool {name}'}
        before = wait_for(pool, why='the pool')
        words = [os.path.join(BIN, 'bulkhead'), 'top', '--config', machine.nginx_conf, '-d', '0.3', '-f', name]
        terminal = Terminal(words, columns=120, env=machine.env)
        try:
            terminal.wait(lambda p: name in '\n'.join(p[3:-1]), 'the site')
            terminal.press('R')
            terminal.wait(lambda p: p[-1].startswith('restart '), 'the question')
            terminal.press('y')
            terminal.wait(lambda p: p[-1] == f'site {name} restarted', 'the restart')
            assert machine.answer(name).status == 200
            assert pool() and not pool() & before
        finally:
            terminal.close()
    finally:
        machine.remove()
