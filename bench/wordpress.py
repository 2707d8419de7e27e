"""A WordPress of Debian's package on a MariaDB of its own, installed once, served by every peer."""
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.parse
import urllib.request

USER = 'www-data'


class WordPress:
    def __init__(self, work):
        self.work, self.root, self.server = work, os.path.join(work, 'wp'), None
        self.sock = os.path.join(work, 'db', 'm.sock')

    @staticmethod
    def missing():
        there = os.path.exists('/usr/share/wordpress') and shutil.which('mariadbd')
        return '' if there else 'wordpress wordpress-theme-twentytwentythree mariadb-server'

    def start(self):
        folder = os.path.dirname(self.sock)
        os.mkdir(folder)
        shutil.chown(folder, 'mysql', 'mysql')
        subprocess.run(['mariadb-install-db', '--user=mysql', f'--datadir={folder}/data',
                        '--auth-root-authentication-method=socket', '--skip-test-db'], check=True, capture_output=True)
        with open(os.path.join(self.work, 'db.log'), 'wb') as log:
            self.server = subprocess.Popen(['mariadbd', '--no-defaults', '--user=mysql', f'--datadir={folder}/data',
                                            f'--socket={self.sock}', '--skip-networking', f'--pid-file={folder}/pid'],
                                           stdout=log, stderr=log)
        until = time.monotonic() + 60
        while subprocess.run(['mariadb-admin', f'--socket={self.sock}', 'ping'], capture_output=True, check=False).returncode:
            if time.monotonic() > until:
                raise SystemExit(f'MariaDB did not start: see {self.work}/db.log')
            time.sleep(0.1)
        subprocess.run(['mariadb', f'--socket={self.sock}'], check=True, text=True, input=(
            f"CREATE DATABASE wp; CREATE USER '{USER}'@'localhost' IDENTIFIED VIA unix_socket; GRANT ALL ON wp.* TO '{USER}'@'localhost';"))
        shutil.copytree('/usr/share/wordpress', self.root, symlinks=False, ignore_dangling_symlinks=True,
                        ignore=shutil.ignore_patterns('wp-config.php'))
        with open(os.path.join(self.root, 'wp-config.php'), 'w', encoding='utf-8') as f:
            f.write(f"""<?php
define('DB_NAME', 'wp'); define('DB_USER', '{USER}'); define('DB_PASSWORD', '');
define('DB_HOST', 'localhost:{self.sock}'); define('DB_CHARSET', 'utf8mb4'); define('DB_COLLATE', '');
define('DISABLE_WP_CRON', true); define('WP_HTTP_BLOCK_EXTERNAL', true); define('AUTOMATIC_UPDATER_DISABLED', true);
define('WP_HOME', 'http://bench.localhost'); define('WP_SITEURL', 'http://bench.localhost');
define('AUTH_KEY', 'a'); define('SECURE_AUTH_KEY', 'b'); define('LOGGED_IN_KEY', 'c'); define('NONCE_KEY', 'd');
$table_prefix = 'wp_';
if (!defined('ABSPATH')) define('ABSPATH', __DIR__ . '/');
require_once ABSPATH . 'wp-settings.php';
""")
        subprocess.run(['chown', '-R', f'{USER}:{USER}', self.root], check=True)
        return self

    def install(self, port):
        """Through its own form, by whichever peer listens on `port`."""
        form = urllib.parse.urlencode({'weblog_title': 'Bench', 'user_name': 'admin', 'admin_password': 'bench-password-1',
                                       'admin_password2': 'bench-password-1', 'pw_weak': '1', 'admin_email': 'a@example.org',
                                       'blog_public': '0', 'Submit': 'Install'}).encode()
        request = urllib.request.Request(f'http://127.0.0.1:{port}/wp-admin/install.php?step=2', form, {'Host': 'bench.localhost'})
        with urllib.request.urlopen(request, timeout=120) as answer:
            if not re.search(rb'Success!', answer.read()):
                raise SystemExit('WordPress did not install')

    def stop(self):
        if self.server is not None:
            self.server.send_signal(signal.SIGTERM)
            self.server.wait(60)
