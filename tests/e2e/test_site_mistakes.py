"""`bulkhead site` and what people get wrong: taken addresses, links, names said twice; nothing is left behind."""
import json
import os
import socket
import time

import pytest

from harness.sites import Machine


@pytest.fixture(scope='module')
def machine():
    made = Machine()
    try:
        yield made.start()
    finally:
        made.remove()


@pytest.fixture(scope='module')
def neighbour(machine):
    return machine.add('near')


def test_an_address_that_another_program_holds_is_told_at_once(machine, neighbour):
    users, name = machine.users(), machine.name('held')
    with socket.socket() as held:
        held.bind(('127.0.0.1', 0))
        held.listen()
        start = time.monotonic()
        told = machine.site('add', name, '--listen', f'127.0.0.1:{held.getsockname()[1]}', code=1)
    assert time.monotonic() - start < 15, 'nobody waits for a server that has refused'
    assert 'the server refuses the new configuration: bind() to 127.0.0.1:' in told and 'in use' in told
    assert machine.users() == users and not os.path.exists(f'{machine.homes}/{name}')
    assert machine.answer(neighbour).status == 200
    assert json.loads(machine.status())['reloads_refused'] >= 1


def test_a_root_that_leads_into_the_system_by_a_link_is_refused(machine):
    link, users = f'{machine.dir}/link', machine.users()
    os.symlink('/etc', link)
    assert "/etc is the system's" in machine.site('add', 'ok.test', '--root', link, code=1)
    assert machine.users() == users and not os.path.exists(f'{machine.homes}/ok.test')


def test_a_name_said_twice_is_one_name(machine):
    name = machine.add('once', '--alias', machine.name('more').upper(), '--alias', machine.name('more'))
    assert machine.record(name)['aliases'] == [machine.name('more')]
    assert 'nothing to do' in machine.site('add', name, '--alias', name, '--alias', machine.name('more'),
                                           '--listen', f'127.0.0.1:{machine.port}')
    machine.site('remove', name, '--purge')
