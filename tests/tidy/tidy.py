#!/usr/bin/env python3
"""Style as a test: layers, lengths, formatting, run bits.  Prints each offence as FILE:LINE: what.

Layers come from src/LAYERS: a file in src/X may include only X and the directories its row names.
"""
import concurrent.futures
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FILE_LINES = 800        # never; aim at 400
FUNCTION_LINES = 110    # a screen is 70; beyond this it is an offence
LINE_COLUMNS = 100
TABLE_COLUMNS = 150     # rows aligned by hand, between `clang-format off` and `on`
GENERATED = ()


def layers():
    """directory -> directories it may include, itself among them."""
    rows = {}
    with open(os.path.join(TOP, 'src/LAYERS'), encoding='utf-8') as f:
        for line in f:
            if line.strip() and not line.startswith('#'):
                name, below = line.split(':')
                below = below.split()
                unknown = [b for b in below if b not in rows]
                if unknown:
                    sys.exit(f'src/LAYERS: {name.strip()} names {unknown}, not a row above it')
                rows[name.strip()] = set(below) | {name.strip()}
    return rows


def tracked():
    out = subprocess.run(['git', 'ls-files', '--cached', '--others', '--exclude-standard'],
                         cwd=TOP, capture_output=True, text=True, check=True).stdout
    return [f for f in out.splitlines() if os.path.isfile(os.path.join(TOP, f))]


def check_layers(path, lines, rows):
    parts = path.split('/')
    if parts[0] != 'src' or len(parts) < 3 or parts[1] not in rows:
        return
    for number, line in enumerate(lines, 1):
        m = re.match(r'#include "([a-z]+)/', line)
        if m and m.group(1) in rows and m.group(1) not in rows[parts[1]]:
            yield f'{path}:{number}: {parts[1]} may not include {m.group(1)} (src/LAYERS)'


def check_lengths(path, lines):
    if len(lines) > FILE_LINES:
        yield f'{path}:{FILE_LINES}: file has {len(lines)} lines, more than {FILE_LINES}'
    start = None
    columns = LINE_COLUMNS
    for number, line in enumerate(lines, 1):
        if 'clang-format o' in line:
            columns = TABLE_COLUMNS if 'clang-format off' in line else LINE_COLUMNS
        if len(line) > columns and '://' not in line:
            yield f'{path}:{number}: line has {len(line)} columns, more than {columns}'
        # A function body opens on a line at column 0 or in a class and closes at its indentation.
        if re.match(r'^[A-Za-z].*\)( const| noexcept| override)* \{$', line):
            start = number
        elif line == '}' and start is not None:
            if number - start > FUNCTION_LINES:
                yield f'{path}:{start}: function has {number - start} lines, more than {FUNCTION_LINES}'
            start = None


def check_format(files):
    def one(path):
        done = subprocess.run(['clang-format', '--dry-run', '-Werror', path], cwd=TOP,
                              capture_output=True, text=True)
        return [l for l in done.stderr.splitlines() if 'error:' in l][:1]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for rows in pool.map(one, files):
            yield from rows


def main():
    rows = layers()
    files = tracked()
    sources = [f for f in files if f.endswith(('.cc', '.h')) and f.split('/')[0] in ('src', 'fuzz')]
    offences = []
    for path in sources:
        with open(os.path.join(TOP, path), encoding='utf-8') as f:
            lines = f.read().split('\n')
        offences += check_layers(path, lines, rows)
        if 'table' not in os.path.basename(path):
            offences += check_lengths(path, lines)
    offences += check_format([f for f in sources if f.startswith('src/')])
    for script in ('run', 'test', '.ci/run'):
        if not os.access(os.path.join(TOP, script), os.X_OK):
            offences.append(f'{script}:1: not executable')
    print('\n'.join(offences))
    print(f'tidy: {len(sources)} files, {len(offences)} offences')
    sys.exit(bool(offences))


if __name__ == '__main__':
    main()
