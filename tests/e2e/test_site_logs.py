"""A site's logs: rotated by the package's snippet, read by their own user only; what `site list` tells."""
import json
import os
import re
import shutil
import subprocess
import time

import pytest

from harness.servers import BIN, TOP, wait_for
from harness.sites import Machine

LOGROTATE = shutil.which('logrotate') or '/usr/sbin/logrotate'


@pytest.fixture(scope='module')
def machine():
    made = Machine()
    try:
        yield made.start()
    finally:
        made.remove()


def reads(user, path):
    done = subprocess.run(['cat', path], user=user.pw_uid, group=user.pw_gid, extra_groups=[], capture_output=True, check=False)
    return done.stdout.decode() if done.returncode == 0 else None


def test_logs_are_rotated_and_stay_the_sites_own(machine):
    one, two = machine.add('one'), machine.add('two')
    user, other = machine.user(one), machine.user(two)
    logs = f'{user.pw_dir}/logs'
    machine.answer(one, '/before-rotation')
    wait_for(lambda: '/before-rotation' in (reads(user, f'{logs}/access.log') or ''), why='the line')
    with open(os.path.join(TOP, 'share/debian/logrotate'), encoding='utf-8') as f:
        snippet = f.read()
    assert ' /srv/bulkhead/*/logs/*.log {' in snippet and '/usr/bin/bulkhead reopen' in snippet
    snippet = re.sub(r'(?m)^/var/log\S+ \S+ ', f'{machine.homes}/*/logs/*.log ', snippet)
    snippet = snippet.replace('/usr/bin/bulkhead reopen', f'{BIN}/bulkhead reopen --config {machine.nginx_conf}')
    conf = os.path.join(machine.dir, 'rotate')
    with open(conf, 'w', encoding='utf-8') as f:
        f.write(snippet)
    os.chmod(conf, 0o644)
    done = subprocess.run([LOGROTATE, '-f', '-s', f'{machine.dir}/rotated', conf], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and 'skipping' not in done.stderr, done.stderr
    wait_for(lambda: os.path.exists(f'{logs}/access.log'), why='a new log')
    machine.answer(one, '/after-rotation')
    wait_for(lambda: '/after-rotation' in (reads(user, f'{logs}/access.log') or ''), why='the line in the new log')
    assert '/before-rotation' not in reads(user, f'{logs}/access.log')
    assert '/before-rotation' in reads(user, f'{logs}/access.log.1')
    for name in ('access.log', 'access.log.1', 'error.log'):
        assert reads(other, f'{logs}/{name}') is None
    # Its own log, and yet not its to change.
    done = subprocess.run(['tee', '-a', f'{logs}/access.log'], user=user.pw_uid, group=user.pw_gid, extra_groups=[],
                          input=b'x', capture_output=True, check=False)
    assert done.returncode != 0


def test_list_tells_what_each_site_was_asked_and_takes(machine):
    name = machine.add('listed', '--memory', '300M')
    quiet = machine.add('quiet')
    before = {s['name']: s for s in json.loads(machine.site('list', '--json'))}
    for _ in range(3):
        assert machine.answer(name).status == 200
    sites = {s['name']: s for s in json.loads(machine.site('list', '--json'))}
    listed = sites[name]
    assert listed['requests'] == before[name]['requests'] + 3
    assert abs(listed['last_request'] - time.time()) < 10
    assert listed['workers'] >= 1 and listed['memory_bytes'] > 1 << 20
    assert sites[quiet]['requests'] == before[quiet]['requests']
    row = next(line for line in machine.site('list').splitlines() if line.startswith(name))
    assert re.search(r' \d+M of 300M +\d+ +\d+ s ago', row), row
