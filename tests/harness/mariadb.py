"""A MariaDB of a test's own, which knows root and users by its socket."""
import os
import shutil
import signal
import subprocess

from .servers import wait_for


class MariaDb:
    def __init__(self, folder):
        self.folder, self.socket = folder, os.path.join(folder, 'm.sock')

    def __enter__(self):
        os.makedirs(self.folder)
        shutil.chown(self.folder, 'mysql', 'mysql')
        os.chmod(self.folder, 0o755)
        subprocess.run(['mariadb-install-db', '--user=mysql', f'--datadir={self.folder}/data',
                        '--auth-root-authentication-method=socket', '--skip-test-db'], check=True, capture_output=True)
        with open(os.path.join(self.folder, 'log'), 'wb') as log:
            self.server = subprocess.Popen(
                ['mariadbd', '--no-defaults', '--user=mysql', f'--datadir={self.folder}/data', f'--socket={self.socket}',
                 '--skip-networking', '--innodb-flush-log-at-trx-commit=0', f'--pid-file={self.folder}/pid'],
                stdout=log, stderr=log)
        try:
            wait_for(lambda: subprocess.run(['mariadb-admin', f'--socket={self.socket}', 'ping'], capture_output=True,
                                            check=False).returncode == 0, 30, 'MariaDB')
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.server.send_signal(signal.SIGTERM)
        try:
            self.server.wait(30)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait()

    def sql(self, text, user=None, database='', check=True):
        """Rows of a statement, as root or as a user (pwd entry) of the machine."""
        who = {'user': user.pw_uid, 'group': user.pw_gid, 'extra_groups': []} if user else {}
        command = ['mariadb', f'--socket={self.socket}', '--batch', '--skip-column-names']
        if user:
            command.append(f'--user={user.pw_name}')
        done = subprocess.run([*command, *([database] if database else [])], input=text, text=True, capture_output=True,
                              check=False, timeout=60, env={'HOME': '/', 'PATH': os.environ['PATH']}, **who)
        if check:
            assert done.returncode == 0, done.stderr
            return [line.split('\t') for line in done.stdout.splitlines()]
        return done
