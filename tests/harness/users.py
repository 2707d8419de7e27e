"""Linux users with names of their own, removed again."""
import contextlib
import grp
import os
import pwd
import subprocess

_serial = 0


class User:
    """A system user made for one test: name, uid, gid."""

    def __init__(self, name):
        entry = pwd.getpwnam(name)
        self.name, self.uid, self.gid = name, entry.pw_uid, entry.pw_gid

    def own(self, path, mode=None):
        """Gives `path` (and what is below it; links are not followed) to the user."""
        for folder, dirs, files in os.walk(path):
            for name in dirs + files:
                os.chown(os.path.join(folder, name), self.uid, self.gid, follow_symlinks=False)
        os.chown(path, self.uid, self.gid, follow_symlinks=False)
        if mode is not None:
            os.chmod(path, mode)
        return path

    def run(self, *command, **kwargs):
        """Runs a command as the user."""
        return subprocess.run(command, user=self.uid, group=self.gid, extra_groups=[],
                              capture_output=True, text=True, check=False, **kwargs)


@contextlib.contextmanager
def users(*tags):
    """Makes one user per tag; yields them as a list.  Their processes must be gone at the end."""
    global _serial
    made = []
    try:
        for tag in tags:
            _serial += 1
            name = f'bh{tag}{os.getpid() % 1000000}n{_serial}'[:31]
            subprocess.run(['useradd', '-U', '-M', '-d', '/nonexistent', '-s', '/usr/sbin/nologin', name],
                           check=True, capture_output=True)
            made.append(User(name))
        yield made
    finally:
        for user in made:
            subprocess.run(['userdel', user.name], check=False, capture_output=True)
            try:
                grp.getgrnam(user.name)
                subprocess.run(['groupdel', user.name], check=False, capture_output=True)
            except KeyError:
                pass
