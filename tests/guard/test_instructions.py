"""Instructions per request, counted by valgrind: they do not depend on what else the machine does.

The figures are those of this code on Debian 12; a test fails when a request costs a twentieth more.
Whoever makes a request dearer on purpose raises the figure and says why; whoever makes it cheaper
lowers it.
"""
import os
import re
import subprocess

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GUARD = os.path.join(os.environ.get('BULKHEAD_BUILD') or os.path.join(TOP, 'build'), 'guard')
FEW, MANY = 200, 1200

FIGURES = {
    'front: static 1 KB': 12_030,
    'front: one-line PHP': 33_900,   # a third of it is the test's own
    'worker: one-line PHP': 41_930,  # a third of it is one memset of PHP's, counted by the byte
}


def instructions(folder, *command):
    """Of the whole program."""
    out = os.path.join(folder, 'callgrind')
    done = subprocess.run(['valgrind', '--tool=callgrind', f'--callgrind-out-file={out}', '--smc-check=all-non-file', *command],
                          capture_output=True, text=True, check=False, timeout=250)
    assert done.returncode == 0, done.stderr[-3000:]
    found = re.search(r'Collected : (\d+)', done.stderr)
    assert found, done.stderr[-3000:]
    return int(found.group(1))


def per_request(folder, *command):
    few, many = (instructions(folder, *command, str(count)) for count in (FEW, MANY))
    return (many - few) / (MANY - FEW)


@pytest.mark.parametrize('what', FIGURES)
def test_a_request_costs_no_more_than_it_did(what, work):
    script = work.write('www/hello.php', '<?php echo "Hello, world\\n";')
    command = {'front: static 1 KB': ('front_cost', 'static'), 'front: one-line PHP': ('front_cost', 'php'),
               'worker: one-line PHP': ('php_cost', script)}[what]
    measured = per_request(work.path, os.path.join(GUARD, command[0]), command[1])
    print(f'{what}: {measured:.0f} instructions')
    assert measured > 1000, 'not counted'
    assert measured <= FIGURES[what] * 1.05, f'{what}: {measured:.0f} instructions per request, {FIGURES[what]} before'
