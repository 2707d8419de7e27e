"""What the sanitizers of build-asan/ and build-tsan/ found fails the test during which it was found.

Programs inherit the options from this process. Their reports go to a folder that every user may write to, since
front, supervisors and workers each run as somebody else.
"""
import atexit
import glob
import os
import re
import shutil
import tempfile

TREE = os.environ.get('BULKHEAD_TREE', '')
KIND = (re.findall('asan|tsan', TREE) or [None])[0]
SLOW = 4 if KIND else 1
reports = None

OPTIONS = {
    # detect_leaks: PHP keeps memory until it exits, and finding leaks needs ptrace, which our processes refuse.
    'asan': {'ASAN_OPTIONS': 'detect_leaks=0:halt_on_error=1:strict_string_checks=1',
             'UBSAN_OPTIONS': 'print_stacktrace=1:halt_on_error=1'},
    # die_after_fork: the zygote has one thread when it forks, and pools fork workers: that is their work.
    # halt_on_error: a race harms nobody at once, and there may be more of them to read about.
    'tsan': {'TSAN_OPTIONS': 'die_after_fork=0:halt_on_error=0:exitcode=66'},
}


def symbolizer():
    """Option that names a program which turns addresses into lines."""
    found = sorted(glob.glob('/usr/lib/llvm-*/bin/llvm-symbolizer'))
    return f':external_symbolizer_path={found[-1]}' if found else \
        ':allow_addr2line=1:external_symbolizer_path=/usr/bin/addr2line'


def prepare():
    """Once per test process, before any server starts."""
    global reports
    if KIND is None or reports is not None:
        return
    reports = tempfile.mkdtemp(prefix='bulkhead-reports-')
    os.chmod(reports, 0o1777)
    atexit.register(shutil.rmtree, reports, ignore_errors=True)
    for name, value in OPTIONS[KIND].items():
        os.environ[name] = f'{value}:log_path={reports}/report{symbolizer()}'


def check():
    """Fails with the text of every report since the last call."""
    if reports is None:
        return
    texts = []
    for name in sorted(os.listdir(reports)):
        path = os.path.join(reports, name)
        with open(path, encoding='utf-8', errors='replace') as f:
            texts.append(f.read())
        os.unlink(path)
    assert not texts, f'{len(texts)} sanitizer reports:\n' + '\n'.join(texts)[:20000]


prepare()
