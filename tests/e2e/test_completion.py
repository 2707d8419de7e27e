"""`bulkhead completion`: real bash, zsh and fish complete commands, options, values and site names; and the
manual pages tell of every command and option that completion offers."""
import glob
import os
import pty
import re
import select
import shutil
import subprocess
import time

import pytest

from harness.sanitizers import SLOW
from harness.servers import BIN, TOP

ENV = dict(os.environ, PATH=BIN + ':' + os.environ['PATH'], TERM='dumb')


@pytest.fixture(scope='module')
def etc(work):
    """Places of `bulkhead site` with two sites and a template, as the environment names them."""
    for path in ('sites-available/blog.test.conf', 'sites-available/shop.test.conf', 'templates/own.conf'):
        work.write('etc/' + path, '')
    return dict(ENV, BULKHEAD_ETC=os.path.join(work.path, 'etc'), HOME=work.path)


def words(env, *line):
    """(candidates, what is asked of the shell) for an unfinished line."""
    done = subprocess.run(['bulkhead', 'completion', 'words', '--', *line], env=env, capture_output=True, text=True,
                          check=True, timeout=20 * SLOW)
    lines = done.stdout.splitlines()
    return [l.split('\t')[0] for l in lines if l[0] != ':'], [l for l in lines if l[0] == ':']


def test_every_parser_is_asked(etc):
    assert {'serve', 'site', 'exec', 'verify', 'reload', 'nginx', 'php-fpm', 'completion'} <= set(words(etc, '')[0])
    assert '--template' in words(etc, 'site', 'add', '--')[0]
    assert words(etc, 'site', 'cron', 'l')[0] == ['list']
    assert '--pool-line' in words(etc, 'verify', '--p')[0]
    assert '--no-terminal' in words(etc, 'exec', '--')[0]
    assert words(etc, 'nginx', '-s', 're')[0] == ['reopen', 'reload']
    assert '--fpm-config' in words(etc, 'php-fpm', '--')[0]
    assert words(etc, 'serve', '--config', '') == ([], [':file'])


def test_names_come_from_the_machine(etc):
    assert words(etc, 'site', 'show', '')[0] == ['blog.test', 'shop.test']
    assert words(etc, 'exec', 'b')[0] == ['blog.test']
    assert {'own', 'wordpress'} <= set(words(etc, 'site', 'add', 'x', '--template', '')[0])
    assert 'disabled' not in words(etc, 'site', 'add', 'x', '--template', '')[0]
    assert words(etc, 'site', 'add', 'x', '--php', '')[0] == ['8.2']
    assert 'memory=' in words(etc, 'site', 'set', 'blog.test', '')[0]
    assert words(etc, 'site', 'set', 'blog.test', 'mem')[1] == [':nospace']


def test_a_shell_that_is_none_is_refused():
    done = subprocess.run(['bulkhead', 'completion', 'tcsh'], env=ENV, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and 'bash' in done.stderr


CASES = [  # typed, what it becomes (or its only continuations)
    ('bulkhead rel', ['reload']), ('bulkhead site sho', ['show']),
    ('bulkhead site show b', ['blog.test']), ('bulkhead site show ', ['blog.test', 'shop.test']),
    ('bulkhead site add x --www ', ['none', 'redirect', 'serve']), ('bulkhead verify --qu', ['--quick']),
    ('bulkhead serve --config unu', ['unusual.conf']), ('bulkhead nginx -s reo', ['reopen']),
]

BASH = r'''
eval "$(bulkhead completion bash)"
COMP_LINE=$1 COMP_POINT=${#1}
read -ra COMP_WORDS <<< "${1//=/ = }"
[[ $1 != *' ' && $1 != *= ]] || COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
$(complete -p bulkhead | sed 's/.*-F \([^ ]*\).*/\1/')
printf '%s\n' "${COMPREPLY[@]}"
'''


@pytest.mark.parametrize('typed, expected', CASES + [('bulkhead site add x --www=re', ['redirect'])])
def test_bash(etc, work, typed, expected):
    work.write('unusual.conf', '')
    done = subprocess.run(['bash', '--norc', '-c', BASH, 'bash', typed], env=etc, cwd=work.path, capture_output=True,
                          text=True, check=True, timeout=20 * SLOW)
    assert sorted(done.stdout.split()) == expected, done.stderr


@pytest.mark.parametrize('typed, expected', CASES + [('bulkhead site add x --www=re', ['--www=redirect'])])
def test_fish(etc, work, typed, expected):
    if shutil.which('fish') is None:
        pytest.skip('fish is not installed (package fish)')
    work.write('unusual.conf', '')
    done = subprocess.run(['fish', '--no-config', '-c', 'bulkhead completion fish | source; complete -C $argv[1]', typed],
                          env=etc, cwd=work.path, capture_output=True, text=True, check=True, timeout=30 * SLOW)
    assert sorted(line.split('\t')[0] for line in done.stdout.splitlines()) == expected, done.stderr


class Zsh:
    """An interactive zsh on a terminal: the only place where its completion runs."""

    def __init__(self, env, folder):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe('zsh', ['zsh', '-f', '-i'], env)
        self.seen = ''
        self.line('PS1="READY""> "; unsetopt BEEP; setopt NO_ALWAYS_LAST_PROMPT; LISTMAX=1000')
        self.line('autoload -Uz compinit; compinit -u -D; source <(bulkhead completion zsh)')
        self.line('zstyle ":completion:*" list-colors ""; print IS""SET')
        self.until('ISSET')

    def line(self, text):
        os.write(self.fd, text.encode() + b'\n')

    def until(self, text):
        end = time.monotonic() + 20 * SLOW
        while text not in self.seen:
            assert time.monotonic() < end, f'no {text!r} in {self.seen!r}'
            if select.select([self.fd], [], [], 0.5)[0]:
                self.seen += os.read(self.fd, 65536).decode(errors='replace')

    def complete(self, typed):
        """The line after a tab, as zsh would run it."""
        self.seen = ''
        os.write(self.fd, b'\x15print -r "GOT:"  ${(q)${:-' + b'}}\x15')  # a line that is thrown away
        os.write(self.fd, typed.encode() + b'\t')
        os.write(self.fd, b'\x01print -r - "GO""T:" \x05 "END""ED"\n')
        self.until('ENDED')
        return re.search(r'GOT: (.*?) ENDED', self.seen).group(1)

    def close(self):
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def test_zsh(etc, work):
    if shutil.which('zsh') is None:
        pytest.skip('zsh is not installed (package zsh)')
    work.write('unusual.conf', '')
    shell = Zsh(etc, work.path)
    try:
        for typed, expected in CASES + [('bulkhead site add x --www=re', ['--www=redirect'])]:
            if len(expected) == 1:  # of several the first tab only lists
                whole = typed.rsplit(' ', 1)[0] + ' ' + expected[0]
                assert shell.complete(typed).strip() == whole
    finally:
        shell.close()


# Pages, and the command each tells of.
PAGES = {'bulkhead.1': (), 'bulkhead-site.1': ('site',), 'bulkhead-verify.1': ('verify',), 'bulkhead-exec.1': ('exec',),
         'bulkhead-import.1': ('import',)}


@pytest.mark.parametrize('page', PAGES)
def test_the_manual_tells_of_every_command_and_option(etc, page):
    with open(os.path.join(TOP, 'share/man', page), encoding='utf-8') as f:
        text = re.sub(r'\\-', '-', f.read())
    text = re.sub(r'\\f.', '', text)
    line = PAGES[page]
    offered = set(words(etc, *line, '')[0]) | set(words(etc, *line, '--')[0])
    commands = {w for w in offered if w[0] not in '-:' and '.' not in w}
    for command in commands:
        offered |= set(words(etc, *line, command, '--')[0]) if page in ('bulkhead-site.1',) else set()
    missing = sorted(w for w in offered if w not in ('--help', '--version') and '.' not in w and
                     not re.search(rf'(?<![\w-]){re.escape(w)}(?![\w-])', text))
    assert not missing


MADE = os.path.join(os.path.dirname(BIN), 'man')
ALL_PAGES = sorted(glob.glob(os.path.join(TOP, 'share/man/*.1'))) + [
    os.path.join(MADE, name) for name in ('bulkhead.conf.5', 'bulkhead-pool.5')]


@pytest.mark.parametrize('page', ALL_PAGES, ids=os.path.basename)
def test_pages_are_sound(page):
    if page.startswith(MADE) and os.environ.get('BULKHEAD_TREE', 'build') != 'build':
        pytest.skip('made in the release tree')
    done = subprocess.run(['man', '--warnings', '-E', 'UTF-8', '-l', '-Tutf8', '-Z', page], capture_output=True,
                          check=False, env=dict(os.environ, MANROFFSEQ='', LC_ALL='C.UTF-8'))
    assert done.returncode == 0 and not done.stderr, done.stderr.decode()
    if shutil.which('mandoc') is None:
        pytest.skip('mandoc is not installed')
    done = subprocess.run(['mandoc', '-Tlint', '-W', 'warning', page], capture_output=True, text=True, check=False)
    # A year is date enough: a day would have to be changed with each edit.
    found = [l for l in done.stdout.splitlines() if 'cannot parse date' not in l and 'missing date' not in l]
    assert not found


@pytest.mark.skipif(os.environ.get('BULKHEAD_TREE', 'build') != 'build', reason='made in the release tree')
def test_every_directive_has_its_paragraph():
    with open(os.path.join(MADE, 'bulkhead.conf.5'), encoding='utf-8') as f:
        nginx = f.read()
    with open(os.path.join(MADE, 'bulkhead-pool.5'), encoding='utf-8') as f:
        pool = f.read()
    for name in ('fastcgi_pass', 'try_files', 'pools', 'proxy_pass', 'ssl_certificate', 'worker_processes'):
        assert f'\n.BR {name} ' in nginx
    assert 'Differs: such a location answers 503: ' in nginx and 'Refused: ' in nginx and "Bulkhead's own" in nginx
    for name in ('pm.max_children', 'limit.memory', 'sandbox', 'mail.relay', 'listen.mode', 'emergency_restart_threshold'):
        assert f'\n.BR {name} ' in pool
    # php-fpm's own words for what a pool may say, as far as its default file shows them.
    with open('/etc/php/8.2/fpm/pool.d/www.conf', encoding='utf-8') as f:
        for name in set(re.findall(r'^;?([a-z]+[a-z_.]*(?:\.[a-z_]+)*) = ', f.read(), re.M)):
            assert f'\n.BR {name} ' in pool or name == 'listen.setfib', name  # FreeBSD
