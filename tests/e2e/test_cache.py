"""A site's cache of scripts: emptied only while no request uses it, and never kept by the dead."""
import json
import os
import threading
import time

import pytest

from harness.servers import SLOW, Bulkhead, wait_for
from harness.users import users

NGINX = '''
user www-data;
pid @DIR@/run.pid;
error_log @DIR@/error.log;
events { }
http {
    access_log off;
    server {
        listen 127.0.0.1:@PORT@ default_server;
        root @DIR@/www;
        location ~ \\.php$ {
            fastcgi_pass unix:@DIR@/a.sock;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            include @TOP@/share/conf/fastcgi_params;
        }
    }
}
'''
FPM = '''[global]
error_log = @DIR@/fpm.log
[a]
user = {a}
listen = @DIR@/a.sock
pm = static
pm.max_children = 3
'''
SCRIPTS = {
    'use.php': '<?php touch(__DIR__ . "/begun"); while (!file_exists(__DIR__ . "/go")) usleep(5000); echo "done";',
    'die.php': '<?php posix_kill(getmypid(), SIGKILL);',
    'reset.php': '<?php echo (int)opcache_reset();',
    'state.php': '<?php $s = opcache_get_status(false); echo json_encode(["pending" => $s["restart_pending"], '
                 '"restarts" => $s["opcache_statistics"]["manual_restarts"]]);',
}


@pytest.fixture(scope='module')
def server(work):
    with users('a') as (a,):
        server = Bulkhead(work, NGINX, FPM.format(a=a.name))
        old = time.time() - 60
        for name, text in SCRIPTS.items():
            os.utime(work.write(f'{server.dir}/www/{name}', text), (old, old))
        a.own(f'{server.dir}/www', 0o755)
        with server:
            yield server


def state(server):
    return json.loads(server.fetch('/state.php').text)


def test_a_reset_waits_for_the_request_that_uses_the_cache(server):
    server.fetch('/state.php')  # workers are up
    before = state(server)['restarts']
    answers = []
    user = threading.Thread(target=lambda: answers.append(server.fetch('/use.php').text))
    user.start()
    try:
        wait_for(lambda: os.path.exists(f'{server.dir}/www/begun'), why='the script to run')
        assert server.fetch('/reset.php').text == '1'
        for _ in range(10):  # whichever worker answers
            assert state(server) == {'pending': True, 'restarts': before}
    finally:
        with open(f'{server.dir}/www/go', 'w', encoding='ascii'):
            pass
        user.join(SLOW * 10)
        for name in ('begun', 'go'):
            os.unlink(f'{server.dir}/www/{name}')
    assert answers == ['done']
    wait_for(lambda: state(server) == {'pending': False, 'restarts': before + 1}, why='the cache to be emptied')


def test_a_worker_that_died_using_the_cache_does_not_keep_it(server):
    before = state(server)['restarts']
    assert server.fetch('/die.php').status == 502
    assert server.fetch('/reset.php').text == '1'
    wait_for(lambda: state(server) == {'pending': False, 'restarts': before + 1}, why='the cache to be emptied')
