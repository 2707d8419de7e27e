"""What is measured: each row of docs/performance.md, with its target.

A target is for the ratio ours/stock of `metric` (less is better), or stock/ours for 'rate'.
"""
import os
from dataclasses import dataclass

SCRIPTS = {
    'hello.php': '<?php echo "Hello, world\\n";',
    'info.php': '<?php phpinfo(INFO_ALL & ~INFO_VARIABLES & ~INFO_ENVIRONMENT);',
    'post.php': '<?php echo strlen(file_get_contents("php://input")), " ", md5(file_get_contents("php://input"));',
    'upload.php': '<?php $f = $_FILES["f"]; echo $f["size"], " ", filesize($f["tmp_name"]);',
    'json.php': '<?php header("Content-Type: application/json"); $rows = []; for ($i = 0; $i < 5000; ++$i) '
                '$rows[] = ["id" => $i, "name" => "row $i", "text" => str_repeat("abcdefghij", 15)]; echo json_encode($rows);',
    'download.php': '<?php $part = str_repeat("0123456789abcdef", 65536); header("Content-Length: " . 50 * strlen($part)); '
                    'while (ob_get_level()) ob_end_clean(); for ($i = 0; $i < 50; ++$i) echo $part;',
}
STATIC = {'1k.txt': 1024, '100k.bin': 100 * 1024, '10m.bin': 10 << 20}


@dataclass
class Work:
    name: str
    path: str
    metric: str          # 'cpu' (us per request), 'rate' (requests/s) or 'p50' (us)
    target: float        # reached when the ratio is not above (cpu, p50) or not below (rate)
    connections: int = 64
    method: str = 'GET'
    body: str = ''       # a file in the work folder
    headers: str = ''
    idle: int = 0
    busy: bool = False   # every core has a busy loop beside
    sites: int = 0
    paths: str = ''
    against: str = 'Stock'   # the peer the target is against
    wordpress: bool = False


FORM = 'Content-Type: multipart/form-data; boundary=bhbhbh'
WORKS = [
    Work('one-line PHP, 64 connections', '/hello.php', 'cpu', 1 / 5),
    Work('one-line PHP, 64 connections', '/hello.php', 'rate', 4.0),
    Work('one-line PHP, 1 connection', '/hello.php', 'p50', 0.8, connections=1),
    Work('one-line PHP, 1 connection, cores busy', '/hello.php', 'p50', 0.8, connections=1, busy=True),
    Work('phpinfo page', '/info.php', 'cpu', 0.65),
    Work('64 KB POST to PHP', '/post.php', 'cpu', 0.6, method='POST', body='64k', headers='Content-Type: application/octet-stream'),
    Work('1 MB JSON from PHP', '/json.php', 'cpu', 0.6),
    Work('10 MB upload to PHP', '/upload.php', 'cpu', 0.6, connections=4, method='POST', body='10m', headers=FORM),
    Work('50 MB download from PHP', '/download.php', 'cpu', 0.6, connections=4),
    Work('WordPress front page', '/', 'rate', 1.02, connections=8, wordpress=True),
    Work('WordPress front page', '/', 'rate', 3.5, connections=8, wordpress=True, against='StockNoCache'),
    Work('static 1 KB', '/1k.txt', 'cpu', 0.7),
    Work('static 1 KB', '/1k.txt', 'cpu', 0.7, against='StockFileCache'),
    Work('static 100 KB', '/100k.bin', 'cpu', 0.85),
    Work('static 10 MB, 8 connections', '/10m.bin', 'cpu', 1.0, connections=8),
    Work('one-line PHP, 64 busy + 1000 idle connections', '/hello.php', 'cpu', 1 / 5, idle=1000),
    Work('100 sites by Zipf, static and PHP', '/', 'cpu', 1 / 2.5, sites=100, paths='/hello.php /1k.txt /hello.php /100k.bin'),
]


def make(work):
    """Writes the scripts and files under WORK/www, the bodies under WORK/bodies."""
    www, bodies = os.path.join(work, 'www'), os.path.join(work, 'bodies')
    os.makedirs(www)
    os.makedirs(bodies)
    for name, text in SCRIPTS.items():
        with open(os.path.join(www, name), 'w', encoding='utf-8') as f:
            f.write(text)
    line = b'The quick brown fox jumps over the lazy dog; 0123456789 and so on.\n'
    for name, size in STATIC.items():
        with open(os.path.join(www, name), 'wb') as f:
            f.write((line * (size // len(line) + 1))[:size])
    with open(os.path.join(bodies, '64k'), 'wb') as f:
        f.write((line * 1000)[:65536])
    part = b'--bhbhbh\r\nContent-Disposition: form-data; name="f"; filename="f.bin"\r\nContent-Type: application/octet-stream\r\n\r\n'
    with open(os.path.join(bodies, '10m'), 'wb') as f:
        f.write(part + (line * (10 << 20))[:10 << 20] + b'\r\n--bhbhbh--\r\n')
    return www, bodies
