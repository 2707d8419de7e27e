"""A site that writes to PHP's error log without end fills nginx's error log at a bounded rate, is told of, and
silences nobody else."""
import os
import re
import time

from harness.servers import SLOW, Bulkhead, wait_for

NGINX = '''user www-data;
worker_processes 1;
pid @DIR@/run.pid;
error_log @DIR@/error.log;
events { }
http {
    access_log off;
    server { listen 127.0.0.1:@PORT@; root @DIR@/www; include @TOP@/share/conf/fastcgi_params;
        fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
        location /loud.php { fastcgi_pass unix:@DIR@/loud.sock; }
        location / { fastcgi_pass unix:@DIR@/calm.sock; } }
}
'''
FPM = '[global]\nerror_log = @DIR@/fpm.log\n' + ''.join(f'''[{name}]
user = {user}
listen = @DIR@/{name}.sock
pm = static
pm.max_children = 2
''' for name, user in (('loud', 'nobody'), ('calm', 'www-data')))
BURST, RATE = 4 << 20, 256 << 10


def test_a_flood_of_error_text_is_bounded(work):
    server = Bulkhead(work, NGINX, FPM)
    # 120 MB of text; front puts what comes at once into one line, and cuts it.
    work.write(f'{server.dir}/www/loud.php', '<?php for ($i = 0; $i < 100000; $i++) error_log(str_repeat("x", 1200)); echo "done";')
    work.write(f'{server.dir}/www/calm.php', '<?php error_log("calm " . $_GET["n"]); echo "ok";')
    log = f'{server.dir}/error.log'
    with server:
        begun = time.monotonic()
        assert server.fetch('/loud.php').text == 'done'
        for number in range(20):  # while the other one is over its share
            assert server.fetch(f'/calm.php?n={number}').text == 'ok'
        note = re.compile(r'^\S+ \S+ \[error\] \d+#\d+: (\d+) lines that FastCGI sent in stderr are suppressed: '
                          r'too much text from "unix:\S+/loud\.sock"$', re.M)
        wait_for(lambda: note.search(server.read('error.log')), 5, 'the note')
        seconds = time.monotonic() - begun
        assert BURST / 2 < os.path.getsize(log) < BURST + RATE * (seconds + 1) + (64 << 10)
        text = server.read('error.log')
        assert all(f'PHP message: calm {n}"' in text for n in range(20))
        assert sum(map(int, note.findall(text))) > 0
        assert max(map(len, text.splitlines())) < 2048
        time.sleep(0.5 * SLOW)
        size = os.path.getsize(log)
        assert server.fetch('/loud.php').text == 'done'
        assert os.path.getsize(log) - size < RATE * (time.monotonic() - begun) + (64 << 10)
