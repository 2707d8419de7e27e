"""A place for `bulkhead site` of a test's own: configuration, state, homes; users are removed again."""
import json
import os
import pwd
import subprocess

from . import http
from .sanitizers import SLOW
from .servers import BIN, Bulkhead, Server, Work

CONF = '''
user www-data;
worker_processes 1;
pid @DIR@/run.pid;
error_log @DIR@/error.log;
pools @DIR@/etc/pools/*.conf;
events { }
http {
    include @TOP@/share/conf/mime.types;
    access_log off;
    server { listen 127.0.0.1:@PORT@ default_server; server_name _; return 404; }
    include sites-enabled/*.conf;
    include sites-disabled/*.conf;
}
'''


class Machine(Bulkhead):
    """bulkhead.conf without sites; `site(...)` runs a command, `start()` the server."""
    kind = 'machine'

    def __init__(self, tag=''):
        self.own_work = Work()
        Server.__init__(self, self.own_work, None, tag=tag)
        self.tag = f'{os.getpid()}-{self.port}'
        self.etc, self.state, self.homes = (os.path.join(self.dir, name) for name in ('etc', 'state', 'homes'))
        os.makedirs(os.path.join(self.etc, 'pools'), exist_ok=True)
        self.nginx_conf = self.save('etc/bulkhead.conf', CONF)
        self.env = dict(os.environ, BULKHEAD_ETC=self.etc, BULKHEAD_STATE=self.state, BULKHEAD_HOMES=self.homes,
                        BULKHEAD_SSH=os.path.join(self.dir, 'ssh'))
        self.before = {entry.pw_name for entry in pwd.getpwall()}

    def name(self, word):
        """A site's name that no other test has."""
        return f'{word}{self.tag}.test'

    def commands(self):
        return [[os.path.join(BIN, 'bulkhead'), 'serve', '--config', self.nginx_conf, '--state', self.state]]

    def run(self, *words, prefix=(), **kwargs):
        return subprocess.run([*prefix, os.path.join(BIN, 'bulkhead-site' if prefix else 'bulkhead'),
                               *(() if prefix else ('site',)), *words],
                              env=self.env, capture_output=True, text=True, check=False, timeout=120 * SLOW, **kwargs)

    def site(self, *words, code=0):
        done = self.run(*words)
        assert done.returncode == code, f'{words}: {done.returncode}\n{done.stdout}{done.stderr}'
        return done.stdout if code == 0 else done.stderr

    def status(self):
        return subprocess.run([os.path.join(BIN, 'bulkhead'), 'status', '--json', '--config', self.nginx_conf],
                              capture_output=True, text=True, check=True, timeout=60).stdout

    def add(self, word, *options):
        name = self.name(word)
        self.site('add', name, '--listen', f'127.0.0.1:{self.port}', *options)
        return name

    def answer(self, name, path='/'):
        return http.fetch(('127.0.0.1', self.port), path, host=name, timeout=20 * SLOW)

    def record(self, name):
        with open(os.path.join(self.state, 'records', name + '.json'), encoding='utf-8') as f:
            return json.load(f)

    def user(self, name):
        return pwd.getpwnam(self.record(name)['user'])

    def users(self):
        """Users that came since the beginning, by our commands."""
        return {e.pw_name for e in pwd.getpwall() if e.pw_name not in self.before and e.pw_dir.startswith(self.dir)}

    def remove(self):
        if self.processes:
            self.stop()
        for name in self.users():
            subprocess.run(['userdel', name], check=False, capture_output=True)
        self.own_work.remove()

