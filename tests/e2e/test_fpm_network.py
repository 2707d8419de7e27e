"""What a pool knows of who asks it (%R) and of its own program (PHP_BINARY), compared with php-fpm."""
import os

import pytest

from harness import fastcgi_peer
from harness.servers import Bulkhead, BulkheadFpm, Stock, StockFpm, wait_for

PEER = os.environ.get('BULKHEAD_TEST_STOCK') == '1'
FPM = '[global]\nerror_log = @DIR@/fpm.log\n' + ''.join(f'''[{name}]
user = www-data
listen = {listen}
listen.mode = 0666
pm = static
pm.max_children = 1
access.log = @DIR@/access.log
access.format = "%n %R %{{REQUEST_URI}}e"
''' for name, listen in (('unix', '@DIR@/unix.sock'), ('four', '127.0.0.1:@PORT2@'), ('both', '[::]:@PORT3@')))
NGINX = '''user www-data;
worker_processes 1;
pid @DIR@/nginx.pid;
error_log @DIR@/error.log;
events { }
http { access_log off;
server { listen 127.0.0.1:@PORT@; fastcgi_param SCRIPT_FILENAME @DIR@/x.php; include @TOP@/share/conf/fastcgi_params;
location /unix { fastcgi_pass unix:@DIR@/unix.sock; }
location /four { fastcgi_pass 127.0.0.1:@PORT2@; }
location /both { fastcgi_pass [::1]:@PORT3@; }
location /both-by-four { fastcgi_pass 127.0.0.1:@PORT3@; }
location /named { fastcgi_pass localhost:@PORT2@; }
location /variable { set $port @PORT2@; fastcgi_pass 127.0.0.1:$port; }
} }
'''


def logged(server, count):
    wait_for(lambda: server.read('access.log').count('\n') >= count, 10)
    return sorted(server.read('access.log').splitlines())


def test_who_asks_over_a_socket(work):
    logs = []
    for kind, name in ((StockFpm, 'peer'), (StockFpm if PEER else BulkheadFpm, 'ours')):
        server = kind(work, None, FPM, tag=f'direct-{name}')
        work.write(f'{server.dir}/x.php', '<?php echo "x";')
        with server:
            for address in (f'{server.dir}/unix.sock', ('127.0.0.1', server.ports[1]), ('127.0.0.1', server.ports[2]),
                            ('::1', server.ports[2])):
                assert fastcgi_peer.ask(address, f'{server.dir}/x.php') == 'x'
            logs.append(logged(server, 4))
    assert logs[0] == ['both 127.0.0.1 /x.php', 'both ::1 /x.php', 'four 127.0.0.1 /x.php', 'unix - /x.php']
    assert logs[1] == logs[0]


def test_who_asks_is_the_web_server(work):
    """Our own web server uses the ring; the log says what it would if the address had been connected to."""
    logs = []
    for kind, name in ((Stock, 'peer'), (Stock if PEER else Bulkhead, 'ours')):
        server = kind(work, NGINX, FPM, tag=f'web-{name}')
        work.write(f'{server.dir}/x.php', '<?php echo "x";')
        with server:
            paths = ('/unix', '/four', '/both', '/both-by-four', '/named', '/variable')
            for path in paths:
                assert server.fetch(path).text == 'x', path
            logs.append(logged(server, len(paths)))
    assert [line for line in logs[0] if line.startswith('unix')] == ['unix - /unix']
    assert logs[1] == logs[0]


@pytest.mark.parametrize('kind', [StockFpm, BulkheadFpm])
def test_the_program_of_php_is_the_one_that_runs(work, kind):
    server = kind(work, None, FPM, tag=f'binary-{kind.kind}')
    work.write(f'{server.dir}/x.php', '<?php echo fpm_get_status()["procs"][0]["pid"], " ", PHP_BINARY;')
    with server:
        pid, _, binary = fastcgi_peer.ask(f'{server.dir}/unix.sock', f'{server.dir}/x.php').partition(' ')
        assert binary.startswith('/') and os.path.realpath(binary) == os.readlink(f'/proc/{pid}/exe')
