"""Runs in the virtual machine that tests/vm/run boots: shows each limit and prints a table.

Two sites, `a` with limits and its neighbour `b`; the state directory is on a disk with project quota.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True

from harness import servers  # noqa: E402
from harness.servers import BIN, Bulkhead, processes, wait_for  # noqa: E402
from harness.users import users  # noqa: E402

servers.SLOW = 10  # emulated
GROUP = '/sys/fs/cgroup/bulkhead/site-a'
NGINX = '''
user www-data;
worker_processes 1;
pid @DIR@/run.pid;
error_log @DIR@/error.log;
events {{ }}
http {{
    access_log off;
    fastcgi_read_timeout 300s;
    server {{ listen 127.0.0.1:@PORT@ default_server; server_name a.example; root {root}/a;
        location / {{ fastcgi_pass unix:@DIR@/a.sock;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name; include @TOP@/share/conf/fastcgi_params; }} }}
    server {{ listen 127.0.0.1:@PORT@; server_name b.example; root {root}/b;
        location / {{ fastcgi_pass unix:@DIR@/b.sock;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name; include @TOP@/share/conf/fastcgi_params; }} }}
}}
'''
FPM = '''[global]
error_log = @DIR@/fpm.log
[a]
user = {a}
listen = @DIR@/a.sock
pm = static
pm.max_children = 3
limit.memory = 100M
limit.cpu = 30%
limit.tasks = 40
limit.io = 1M 200
limit.disk = 8M
sandbox.write[] = {root}/a
php_admin_value[memory_limit] = -1
[b]
user = {b}
listen = @DIR@/b.sock
pm = static
pm.max_children = 2
'''
SCRIPTS = {
    'hello.php': '<?php echo "hello";',
    'memory.php': '<?php $s = []; for ($i = 0; $i < 400; $i++) $s[] = str_repeat(chr($i % 256), 1 << 20); echo count($s);',
    'spin.php': '<?php $t = microtime(true); while (microtime(true) - $t < 6) { for ($i = 0; $i < 1000; $i++); } echo "spun";',
    'forks.php': '''<?php $held = []; for ($i = 0; $i < 100; $i++) {
        $p = @proc_open(["sleep", "60"], [], $pipes); if (!$p) break; $held[] = $p; }
        echo count($held); foreach ($held as $p) { proc_terminate($p, 9); proc_close($p); }''',
    'io.php': '''<?php $t = microtime(true); exec("dd if=/dev/zero of=" . __DIR__ . "/data bs=128k count=32 oflag=direct 2>&1", $o, $c);
        echo $c, " ", round(microtime(true) - $t, 1), " ", implode(" ", $o);''',
    'disk.php': '''<?php $n = 0; $f = fopen(sys_get_temp_dir() . "/fill", "w"); $piece = str_repeat("x", 1 << 20);
        for ($i = 0; $i < 30; $i++) { $w = @fwrite($f, $piece); if ($w === false || $w < strlen($piece)) break; $n++; }
        fclose($f); unlink(sys_get_temp_dir() . "/fill"); echo $n;''',
    'daemon.php': '''<?php exec('setsid sh -c "trap \\"\\" TERM HUP INT; (sleep 3111 & sleep 3112) &" >/dev/null 2>&1 &'); sleep(2); echo "forked";''',
}
rows = []


def note(what, ok, found):
    rows.append((what, ok, found))
    print(f'{"ok" if ok else "FAIL":5} {what}: {found}', flush=True)


def group(name):
    with open(f'{GROUP}/{name}', encoding='ascii') as f:
        return f.read()


def number(name, key):
    return int(re.search(rf'^{key} (\d+)', group(name), re.M)[1])


def shown(what):
    """A step that fails is a row of the table, not the end."""
    def wrap(step):
        def run(*args):
            try:
                note(what, *step(*args))
            except Exception as error:  # pylint: disable=broad-except
                note(what, False, f'{type(error).__name__}: {error}')
        return run
    return wrap


@shown('groups and controllers')
def controllers(server):
    status = subprocess.run([f'{BIN}/bulkhead', 'status', '--nginx', server.nginx_conf, '--fpm', server.fpm_conf],
                            capture_output=True, text=True, check=False).stdout
    line = next((l for l in status.splitlines() if l.startswith('limits in force')), status)
    return line == 'limits in force: memory, cpu, tasks, io, disk', line


@shown('front has a group of more weight than a site')
def front_share(server):
    folder = '/sys/fs/cgroup/bulkhead/front'
    with open(f'{folder}/cpu.weight', encoding='ascii') as f:
        weight = int(f.read())
    with open(f'{folder}/cgroup.procs', encoding='ascii') as f:
        titles = [server.descendants()[int(pid)][2] for pid in f.read().split()]
    return weight > int(group('cpu.weight')) and titles == ['bulkhead: front'], f'{weight} to {group("cpu.weight").strip()}: {titles}'


@shown('limit.memory = 100M ends the site, not its neighbour')
def memory(server):
    before = number('memory.events', 'oom_kill')
    answer = server.fetch('/memory.php', host='a.example').status
    other = server.fetch('/hello.php', host='b.example').status
    told = wait_for(lambda: 'was ended by its memory limit' in server.read('fpm.log'), 30, 'the line in the log')
    wait_for(lambda: server.fetch('/hello.php', host='a.example').status == 200, 30, 'the site to come back')
    ended = number('memory.events', 'oom_kill') - before if os.path.exists(GROUP) else 'all'
    return (answer, other, told) == (502, 200, True), f'a {answer}, b {other}, logged {told}, ended {ended}, a is back'


@shown('limit.cpu = 30%')
def cpu(server):
    import threading
    started, used = time.monotonic(), number('cpu.stat', 'usage_usec')
    threads = [threading.Thread(target=server.fetch, args=('/spin.php',), kwargs={'host': 'a.example'}) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(5)
    other = server.fetch('/hello.php', host='b.example').status
    share = (number('cpu.stat', 'usage_usec') - used) / 1e4 / (time.monotonic() - started)
    for thread in threads:
        thread.join()
    return 5 < share < 36 and other == 200, f'{share:.0f} % of a core used by three loops, throttled {number("cpu.stat", "nr_throttled")} times'


@shown('limit.tasks = 40')
def tasks(server):
    count = int(server.fetch('/forks.php', host='a.example').body)
    return 10 < count < 40, f'{count} children could be forked, pids.events max {number("pids.events", "max")}'


@shown('limit.io = 1M 200')
def io(server):
    answer = server.fetch('/io.php', host='a.example').body.decode()
    code, seconds = answer.split()[:2]
    return code == '0' and float(seconds) > 3, f'4 MB written in {seconds} s'


@shown('limit.disk = 8M')
def disk(server):
    count = int(server.fetch('/disk.php', host='a.example').body)
    other = int(server.fetch('/disk.php', host='b.example').body)
    return count <= 8 and other == 30, f'a could write {count} MB into its temporary directory, b {other}'


@shown('a changed limit is in force without a restart')
def reload(server):
    runs = sorted(n for n in os.listdir(GROUP) if n.startswith('run-'))
    with open(server.fpm_conf, encoding='utf-8') as f:
        text = f.read()
    with open(server.fpm_conf, 'w', encoding='utf-8') as f:
        f.write(text.replace('limit.tasks = 40', 'limit.tasks = 60').replace('limit.memory = 100M', 'limit.memory = 200M'))
    os.kill(server.pid, signal.SIGHUP)
    wait_for(lambda: group('pids.max').strip() == '60', 20, 'pids.max')
    same = sorted(n for n in os.listdir(GROUP) if n.startswith('run-')) == runs
    return same and group('memory.max').strip() == str(200 << 20), f'pids.max 60, memory.max 200M, same run {same}'


@shown('a site that is removed leaves no process')
def removal(server, user):
    server.fetch('/daemon.php', host='a.example')
    uid = user.uid
    left = [f[2] for f in processes().values() if f[1] == uid and 'sleep 311' in f[2]]
    with open(server.nginx_conf, encoding='utf-8') as f:
        nginx = f.read()
    with open(server.fpm_conf, encoding='utf-8') as f:
        fpm = f.read()
    with open(server.nginx_conf, 'w', encoding='utf-8') as f:
        f.write(re.sub(r'server \{ listen \S+ default_server.*?\} \}', '', nginx, count=1, flags=re.S))
    with open(server.fpm_conf, 'w', encoding='utf-8') as f:
        f.write(re.sub(r'\[a\].*?(?=\[b\])', '', fpm, flags=re.S))
    os.kill(server.pid, signal.SIGHUP)
    wait_for(lambda: not [1 for f in processes().values() if f[1] == uid and f[3] != 'Z'], 20, 'its processes to end')
    wait_for(lambda: not os.path.exists(GROUP), 10, 'its group to be removed')
    return len(left) >= 2, f'{len(left)} daemons that ignore signals were ended, the group is gone'


@shown('groups are removed at the end')
def ending(server):
    server.stop()
    left = [n for n in os.listdir('/sys/fs/cgroup') if n.startswith('bulkhead')]
    return not left, left or 'nothing left'


@shown('leftovers of a killed server')
def leftovers(work, nginx, fpm):
    first = Bulkhead(work, nginx, fpm, tag='killed')
    first.start()
    wait_for(lambda: first.fetch('/hello.php', host='a.example').status == 200, 30)
    pid = first.pid
    os.kill(pid, signal.SIGKILL)
    first.processes[0].wait()
    first.processes = []
    again = Bulkhead(work, nginx, fpm, tag='again')
    again.start()
    wait_for(lambda: again.fetch('/hello.php', host='a.example').status == 200, 30)
    groups = sorted(n for n in os.listdir('/sys/fs/cgroup') if n.startswith('bulkhead'))
    again.stop()
    return groups == ['bulkhead'], f'after the next start: {groups}'


@shown('bulkhead verify --new --quick')
def verify():
    os.makedirs('/var/lib/bulkhead-verify', exist_ok=True)
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', '/var/lib/bulkhead-verify'], check=True)
    if not os.path.exists(f'{BIN}/bulkhead-verify'):
        return True, 'not in this tree: not run'
    done = subprocess.run([f'{BIN}/bulkhead', 'verify', '--new', '--quick'], capture_output=True, text=True, timeout=600, check=False)
    lines = done.stdout.strip().splitlines()
    allowed = {l.split()[1] for l in lines if l.split()[:1] == ['ALLOWED']}
    abi = int(re.search(r'Landlock ABI (\d+)', done.stdout)[1])
    if abi < 6 and allowed == {'C3'}:
        # No layer of such a kernel keeps abstract sockets apart (SECURITY.md); anything else must hold.
        return True, f'{lines[-1]} C3 alone: Landlock scopes abstract sockets from ABI 6 (Linux 6.12) on'
    if done.returncode:
        print('\n'.join(l for l in lines if re.match(r' *(ALLOWED|[a-z-]+ +bhv)', l)), done.stderr[-2000:])
    return done.returncode == 0, lines[-1] if lines else done.stderr[-200:]


def with_state(plain, state):
    """The server's command with its state directory on the disk with quota."""
    def commands(self):
        command, = plain(self)
        at = command.index('--state')
        return [command[:at] + ['--state', state] + command[at + 2:]]
    return commands


def main():
    with open('/sys/fs/cgroup/cgroup.controllers', encoding='ascii') as f:
        print(f'Linux {os.uname().release}; controllers: {f.read().strip()}; '
              f'security modules: {open("/sys/kernel/security/lsm").read() if os.path.exists("/sys/kernel/security/lsm") else "?"}')
    os.makedirs('/vm/sites', exist_ok=True)
    work = servers.Work()
    state = '/vm/state'
    with users('va', 'vb') as (a, b):
        for user, name in ((a, 'a'), (b, 'b')):
            os.makedirs(f'/vm/sites/{name}')
            for script, text in SCRIPTS.items():
                with open(f'/vm/sites/{name}/{script}', 'w', encoding='utf-8') as f:
                    f.write(text)
            user.own(f'/vm/sites/{name}')
        nginx = NGINX.format(root='/vm/sites')
        fpm = FPM.format(a=a.name, b=b.name, root='/vm/sites')
        Bulkhead.commands = with_state(Bulkhead.commands, state)
        server = Bulkhead(work, nginx, fpm)
        server.start()
        try:
            wait_for(lambda: server.fetch('/hello.php', host='a.example').status == 200, 60, 'the first answer')
            for step in (controllers, front_share, tasks, cpu, io, disk, memory, reload):
                step(server)
            removal(server, a)
        finally:
            ending(server)
        leftovers(work, nginx, fpm)
        verify()
    work.remove()
    shutil.rmtree(state, ignore_errors=True)
    bad = [what for what, ok, _ in rows if not ok]
    print(f'{len(rows)} steps, {len(bad)} failed')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
