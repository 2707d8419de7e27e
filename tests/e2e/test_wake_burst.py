"""Many sleeping sites asked for at the same moment: each starts in its turn, all answer."""
import concurrent.futures

from harness.servers import Bulkhead
from harness.users import users

SITES = 14
NGINX = '''
user www-data;
worker_processes 2;
pid @DIR@/run.pid;
error_log @DIR@/error.log;
events { }
http {
    access_log off;
SERVERS}
'''
SERVER = '''
    server {
        listen 127.0.0.1:@PORT@;
        server_name sNUMBER.example;
        root @DIR@/www;
        location / { fastcgi_pass unix:@DIR@/sNUMBER.sock;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name; include @TOP@/share/conf/fastcgi_params; }
    }
'''
POOL = '''[sNUMBER]
user = {a}
listen = @DIR@/sNUMBER.sock
pm = ondemand
pm.max_children = 2
env[SITE] = NUMBER
'''


def test_sites_woken_in_one_burst_all_answer(work):
    with users('burst') as (a,):
        numbers = [str(n) for n in range(SITES)]
        pools = '[global]\nerror_log = @DIR@/fpm.log\n' + ''.join(POOL.replace('NUMBER', n) for n in numbers)
        server = Bulkhead(work, NGINX.replace('SERVERS', ''.join(SERVER.replace('NUMBER', n) for n in numbers)),
                          pools.replace('{a}', a.name))
        work.write(f'{server.dir}/www/site.php', '<?php echo getenv("SITE");')
        a.own(f'{server.dir}/www', 0o755)
        with server, concurrent.futures.ThreadPoolExecutor(2 * SITES) as clients:
            assert not [f for f in server.descendants().values() if 'pool s' in f[2]], 'nobody is awake'
            pages = list(clients.map(lambda n: server.fetch('/site.php', host=f's{n}.example'), numbers * 2))
            assert [(p.status, p.text) for p in pages] == [(200, n) for n in numbers * 2]
