"""sftp into a site's home by a real sshd on loopback, keys, passwords, cron lines."""
import json
import os
import shutil
import subprocess

import pytest

from harness.servers import free_port, wait_for
from harness.sites import Machine

from test_site_kill import everywhere


class Sshd:
    """An sshd with a configuration of its own, as Debian's: an Include near the top."""

    def __init__(self, machine):
        self.machine, self.port = machine, free_port()
        self.folder = machine.env['BULKHEAD_SSH']
        os.makedirs(f'{self.folder}/sshd_config.d')
        subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', f'{self.folder}/host'], check=True)
        with open(f'{self.folder}/sshd_config', 'w', encoding='utf-8') as f:
            f.write(f'Include {self.folder}/sshd_config.d/*.conf\nPort {self.port}\nListenAddress 127.0.0.1\n'
                    f'HostKey {self.folder}/host\nPidFile {self.folder}/pid\nUsePAM no\n'
                    'Subsystem sftp internal-sftp\nPasswordAuthentication yes\n')

    def __enter__(self):
        self.made = not os.path.exists('/run/sshd')
        os.makedirs('/run/sshd', exist_ok=True)
        with open(f'{self.folder}/log', 'wb') as log:
            self.process = subprocess.Popen(['/usr/sbin/sshd', '-D', '-e', '-f', f'{self.folder}/sshd_config'], stderr=log)
        wait_for(lambda: os.path.exists(f'{self.folder}/pid'), why='sshd')
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
        if self.made:
            os.rmdir('/run/sshd')

    def options(self, key):
        return ['-i', key, '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null',
                '-o', 'IdentitiesOnly=yes', '-F', '/dev/null', '-o', 'ConnectTimeout=20']

    def sftp(self, user, key, batch):
        return subprocess.run(['sftp', '-q', '-b', '-', '-P', str(self.port), *self.options(key), f'{user}@127.0.0.1'],
                              input=batch, capture_output=True, text=True, check=False, timeout=60)

    def lets_in(self, user, key):
        """Whether a key opens the door; an sshd that reads its configuration anew is away for a moment."""
        return wait_for(lambda: self.sftp(user, key, 'ls\n').returncode == 0, 10, f'sftp of {user}')

    def refuses(self, user, key):
        """Likewise, whether it has come to refuse a key."""
        return wait_for(lambda: self.sftp(user, key, 'ls\n').returncode != 0, 10, f'{user} to be refused')

    def ssh(self, user, key, *command):
        return subprocess.run(['ssh', '-p', str(self.port), *self.options(key), f'{user}@127.0.0.1', *command],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope='module')
def machine():
    made = Machine('access')
    try:
        yield made.start()
    finally:
        made.remove()


@pytest.fixture(scope='module')
def sshd(machine):
    if not os.path.exists('/usr/sbin/sshd'):
        pytest.skip('openssh-server is not installed')
    with Sshd(machine) as server:
        yield server


@pytest.fixture(scope='module')
def keys(machine):
    """Two key pairs."""
    folder = machine.work.mkdir('keys', 0o700)
    for name in ('one', 'two'):
        subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', f'{name}@desk', '-f', f'{folder}/{name}'],
                       check=True)
    return [f'{folder}/one', f'{folder}/two']


def test_sftp_reaches_the_home_and_nothing_else(machine, sshd, keys):
    name = machine.add('files', '--sftp', '--ssh-key', keys[0] + '.pub')
    user = machine.user(name).pw_name
    upload = machine.work.write('upload.txt', 'by sftp')
    assert sshd.lets_in(user, keys[0])
    done = sshd.sftp(user, keys[0], f'ls /\nput {upload} public/up.txt\n')
    assert done.returncode == 0, done.stderr + machine.read('ssh/log')
    assert '/public' in done.stdout.split() and '/etc' not in done.stdout.split()
    assert machine.answer(name, '/up.txt').text == 'by sftp'
    for batch in ('ls /etc\n', 'get ../../../../etc/passwd /tmp/bht-never\n', 'rename public away\n', 'mkdir top\n'):
        assert sshd.sftp(user, keys[0], batch).returncode != 0, batch
    shell = sshd.ssh(user, keys[0], 'id')
    assert 'uid=' not in shell.stdout
    forward = subprocess.run(['ssh', '-p', str(sshd.port), *sshd.options(keys[0]), '-W', f'127.0.0.1:{machine.port}',
                              f'{user}@127.0.0.1'], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                             timeout=60)
    assert forward.returncode != 0 and 'HTTP' not in forward.stdout
    assert sshd.sftp(user, keys[1], 'ls\n').returncode != 0


def test_keys_come_and_go(machine, sshd, keys):
    name = machine.add('keyed', '--sftp')
    user = machine.user(name).pw_name
    assert sshd.sftp(user, keys[0], 'ls\n').returncode != 0
    machine.site('ssh-key', 'add', name, keys[0] + '.pub')
    machine.site('ssh-key', 'add', name, keys[1] + '.pub')
    assert 'has this key already' in machine.site('ssh-key', 'add', name, keys[1] + '.pub')
    assert machine.site('ssh-key', 'list', name).count('@desk') == 2
    assert json.loads(machine.site('ssh-key', 'list', name, '--json')) == machine.site('ssh-key', 'list', name).splitlines()
    assert sshd.lets_in(user, keys[1])
    assert '2 keys have' in machine.site('ssh-key', 'remove', name, '@desk', code=1)
    machine.site('ssh-key', 'remove', name, 'two@desk')
    assert sshd.lets_in(user, keys[0]) and sshd.sftp(user, keys[1], 'ls\n').returncode != 0
    for wrong in (keys[0], machine.work.write('junk', 'no key\n'), '/nowhere'):
        assert machine.run('ssh-key', 'add', name, wrong).returncode == 1, wrong
    machine.site('set', name, 'sftp=off')
    assert sshd.refuses(user, keys[0])
    machine.site('set', name, 'sftp=on')
    assert sshd.lets_in(user, keys[0])
    machine.site('remove', name)
    assert not os.path.exists(f'{sshd.folder}/sshd_config.d/bulkhead-{user}.conf')
    archive, = [a for a in os.listdir(f'{machine.state}/archive') if a.startswith(name)]
    machine.site('restore', archive)
    assert sshd.lets_in(user, keys[0])


def test_an_sshd_that_would_not_confine_is_refused(machine, sshd):
    config = f'{sshd.folder}/sshd_config'
    shutil.copy(config, config + '.kept')
    users = machine.users()
    try:
        with open(config + '.kept', encoding='utf-8') as f:
            text = f.read()
        with open(config, 'w', encoding='utf-8') as f:
            f.write(text.split('\n', 1)[1])  # without the Include
        told = machine.site('add', machine.name('open'), '--listen', f'127.0.0.1:{machine.port}', '--sftp', code=1)
        assert 'does not include sshd_config.d' in told
        with open(config, 'w', encoding='utf-8') as f:
            f.write(text + 'NoSuchOption yes\n')
        told = machine.site('add', machine.name('open'), '--listen', f'127.0.0.1:{machine.port}', '--sftp', code=1)
        assert 'sshd refuses its configuration' in told
    finally:
        shutil.move(config + '.kept', config)
    assert machine.users() == users and not [f for f in os.listdir(f'{sshd.folder}/sshd_config.d') if 'open' in f]


def test_a_shell_is_inside_the_sandbox(machine, sshd, keys):
    name = machine.add('shell', '--shell', '--ssh-key', keys[0] + '.pub')
    user = machine.user(name)
    assert user.pw_shell == '/bin/sh'

    def ssh(*command):
        return sshd.ssh(user.pw_name, keys[0], *command)
    assert wait_for(lambda: ssh('true').returncode == 0, 10, 'a shell'), machine.read('ssh/log')
    done = ssh("id -un; echo \"it's $HOME\"; exit 7")
    assert (done.returncode, done.stdout) == (7, f"{user.pw_name}\nit's {user.pw_dir}\n"), done.stderr
    # What PHP does not see a shell does not see: other accounts, processes and sites.
    secret = machine.work.write('secret.txt', 'of others')
    os.chmod(secret, 0o644)
    seen = ssh(f'cat {secret}; ls /proc | grep -c "^[0-9]"; getent passwd | wc -l; cat /proc/1/comm').stdout.split('\n')
    assert 'of others' not in seen and int(seen[0]) < 20 and int(seen[1]) < 5, seen
    # Nothing that the client sends is read outside: neither its environment nor files of the home.
    ours = ssh('cat /proc/self/status').stdout
    assert 'NoNewPrivs:\t1' in ours and 'Seccomp:\t2' in ours
    rc = machine.work.write(f'{user.pw_dir}/.ssh/rc', f'touch /tmp/bht-{name}\n')
    for path in (rc, os.path.dirname(rc)):
        os.chown(path, user.pw_uid, user.pw_gid)
    sent = subprocess.run(['ssh', '-p', str(sshd.port), *sshd.options(keys[0]), '-o', 'SetEnv=LD_DEBUG=help BASH_ENV=/x',
                           f'{user.pw_name}@127.0.0.1', 'echo ${LD_DEBUG-none} ${BASH_ENV-none}'],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
    assert sent.stdout == 'none none\n', sent
    assert not os.path.exists(f'/tmp/bht-{name}')
    login = subprocess.run(['ssh', '-tt', '-p', str(sshd.port), *sshd.options(keys[0]), f'{user.pw_name}@127.0.0.1'],
                           input='[ -t 0 ] && echo is$((40 + 2)); exit 5\n', capture_output=True, text=True, check=False, timeout=60)
    assert login.returncode == 5 and 'is42' in login.stdout, login
    upload = machine.work.write('upload.txt', 'by sftp')
    done = sshd.sftp(user.pw_name, keys[0], f'put {upload} public/up.txt\nls {machine.work.path}\n')
    assert machine.answer(name, '/up.txt').text == 'by sftp' and 'keys' not in done.stdout, done
    forward = subprocess.run(['ssh', '-p', str(sshd.port), *sshd.options(keys[0]), '-W', f'127.0.0.1:{machine.port}',
                              f'{user.pw_name}@127.0.0.1'], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                             check=False, timeout=60)
    assert forward.returncode != 0 and 'HTTP' not in forward.stdout


def test_a_shell_comes_and_goes(machine, sshd, keys):
    name = machine.add('shells', '--ssh-key', keys[0] + '.pub')
    user = machine.user(name).pw_name
    assert machine.user(name).pw_shell == '/usr/sbin/nologin'
    machine.site('set', name, 'shell=on')
    assert machine.user(name).pw_shell == '/bin/sh'
    assert wait_for(lambda: sshd.ssh(user, keys[0], 'id -un').stdout.strip() == user, 10, 'a shell')
    machine.site('set', name, 'shell=off', 'sftp=on')
    assert machine.user(name).pw_shell == '/usr/sbin/nologin'
    assert sshd.lets_in(user, keys[0]) and 'uid=' not in sshd.ssh(user, keys[0], 'id').stdout
    machine.site('set', name, 'shell=on', 'sftp=off')
    machine.site('remove', name)
    assert not os.path.exists(f'{sshd.folder}/sshd_config.d/bulkhead-{user}.conf')
    archive, = [a for a in os.listdir(f'{machine.state}/archive') if a.startswith(name)]
    machine.site('restore', archive)
    assert machine.user(name).pw_shell == '/bin/sh'
    assert wait_for(lambda: sshd.ssh(user, keys[0], 'id -un').stdout.strip() == user, 10, 'a shell')
    machine.site('set', name, 'shell=off')
    assert machine.user(name).pw_shell == '/usr/sbin/nologin' and sshd.refuses(user, keys[0])


@pytest.mark.skipif(os.environ.get('BULKHEAD_TREE', 'build') != 'build',
                    reason='many starts under strace; the same steps run under the sanitizers in the tests around it')
def test_a_shell_is_killed_at_every_step(machine, sshd):
    name = machine.add('killed')
    undone, kills = everywhere(machine, ('set', name, 'shell=on'), ('set', name, 'shell=off'))
    assert undone >= 2 and kills > undone


def test_a_shell_that_would_not_be_confined_is_refused(machine, sshd):
    static = machine.name('plain')
    told = machine.site('add', static, '--listen', f'127.0.0.1:{machine.port}', '--template', 'static', '--shell', code=1)
    assert 'no sandbox to open a shell in' in told
    config = f'{sshd.folder}/sshd_config'
    shutil.copy(config, config + '.kept')
    users = machine.users()
    try:
        with open(config, 'a', encoding='utf-8') as f:
            f.write('PermitUserEnvironment yes\n')
        told = machine.site('add', machine.name('env'), '--listen', f'127.0.0.1:{machine.port}', '--shell', code=1)
        assert 'PermitUserEnvironment' in told
    finally:
        shutil.move(config + '.kept', config)
    assert machine.users() == users


def test_password_is_told_once_and_is_not_in_the_journal(machine):
    name = machine.add('secret')
    user = machine.user(name).pw_name

    def shadow():
        with open('/etc/shadow', encoding='utf-8') as f:
            return [line.split(':')[1] for line in f if line.startswith(user + ':')][0]
    assert shadow() == '*'
    told = machine.site('password', name)
    password = told.split('password ')[1].split()[0].rstrip(';')
    assert len(password) == 24 and shadow().startswith('$')
    found = subprocess.run(['grep', '-r', password, machine.state, machine.etc], capture_output=True, check=False)
    assert found.returncode == 1
    machine.site('password', name, '--none')
    assert shadow() == '*'


def test_cron_lines_run_in_the_sandbox_as_the_user(machine):
    machine.env['BULKHEAD_CRON'] = machine.work.mkdir('cron.d')
    name = machine.add('timed')
    user = machine.user(name)
    machine.site('cron', 'add', name, '*/5 * * * *', "id -un > private/ran; echo 100% 'quoted' >> private/ran")
    machine.site('cron', 'add', name, '@daily', 'true')
    assert 'has this job already' in machine.site('cron', 'add', name, '@daily', 'true')
    for schedule, command in (('* * *', 'x'), ('@reboot', 'x'), ('* * * * $(id)', 'x'), ('@daily', 'a\nb')):
        assert machine.run('cron', 'add', name, schedule, command).returncode == 1
    path = f'{machine.work.path}/cron.d/bulkhead-{user.pw_name}'
    assert os.stat(path).st_uid == 0 and os.stat(path).st_mode & 0o777 == 0o644
    line = machine.site('cron', 'list', name).splitlines()[0]
    assert json.loads(machine.site('cron', 'list', name, '--json'))[0] == line
    fields = line.split(None, 6)
    assert fields[5] == user.pw_name
    # As cron runs it: by sh, as the user, '\%' being '%'.
    command = line.split(None, 6)[6].replace('\\%', '%')
    subprocess.run(['sh', '-c', command], user=user.pw_uid, group=user.pw_gid, extra_groups=[], cwd=user.pw_dir, check=True,
                   timeout=60)
    with open(f'{user.pw_dir}/private/ran', encoding='utf-8') as f:
        assert f.read() == f'{user.pw_name}\n100% quoted\n'
    machine.site('cron', 'remove', name, '@daily')
    assert 'jobs have' in machine.site('cron', 'remove', name, '@daily', code=1)
    machine.site('remove', name)
    assert not os.path.exists(path)
    archive, = [a for a in os.listdir(f'{machine.state}/archive') if a.startswith(name)]
    machine.site('restore', archive)
    assert machine.site('cron', 'list', name).splitlines()[0] == line
