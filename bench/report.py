"""Tables and plots (SVG) of what bench/compare and bench/density measured."""
import html
import os
import platform
import re
import statistics
import subprocess

UNITS = {'cpu': 'us CPU per request', 'rate': 'requests/s', 'p50': 'us, p50'}


def machine():
    """One line: processor, cores, memory, kernel, versions."""
    with open('/proc/cpuinfo', encoding='ascii', errors='replace') as f:
        model = next((l.split(':', 1)[1].strip() for l in f if l.startswith('model name')), platform.machine())
    with open('/proc/meminfo', encoding='ascii') as f:
        memory = int(f.readline().split()[1]) // (1 << 20)
    return f'{os.cpu_count()} cores of {model}, {memory} GiB, Linux {platform.release()}'


def versions():
    found = []
    for command, pattern in ((['nginx', '-v'], r'nginx/(\S+)'), (['php-fpm8.2', '-v'], r'PHP (\S+)'),
                             (['/usr/sbin/apache2', '-v'], r'(Apache/\S+)'), (['wrk', '-v'], r'wrk (\S+)')):
        try:
            out = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError:
            continue
        match = re.search(pattern, out.stdout + out.stderr)
        if match:
            found.append(f'{os.path.basename(command[0])} {match.group(1)}')
    return ', '.join(found)


def spread(values):
    return statistics.median(values), min(values), max(values)


def number(value):
    if value >= 1000:
        return f'{value:,.0f}'
    return f'{value:.1f}' if value >= 10 else f'{value:.2f}'


def verdict(work, ratio):
    reached = ratio >= work.target if work.metric == 'rate' else ratio <= work.target
    return 'reached' if reached else 'not reached'


def row(work, ours, theirs, extra=''):
    """One line of the table: figures of both, ratio with its spread over the rounds, the target."""
    metric = {'cpu': 'cpu_us', 'rate': 'rate', 'p50': 'p50_us'}[work.metric]
    a = [getattr(r, metric) for r in ours]
    b = [getattr(r, metric) for r in theirs]
    ratio, low, high = spread([x / y for x, y in zip(a, b)])
    tails, _, _ = spread([x.p999_us / y.p999_us for x, y in zip(ours, theirs) if y.p999_us])
    sign = '>=' if work.metric == 'rate' else '<='
    return (f'| {work.name}{extra} | {UNITS[work.metric]} | {number(statistics.median(b))} | {number(statistics.median(a))} '
            f'| {ratio:.2f} ({low:.2f} to {high:.2f}) | {sign} {work.target:.2f} | {verdict(work, ratio)} | {tails:.2f} |')


HEAD = ('| work | measured | stock | Bulkhead | ratio (spread) | asked | | p99.9 ratio |\n'
        '|---|---|---|---|---|---|---|---|')


def bars(title, groups, path):
    """An SVG of horizontal bars: groups of (label, [(peer, value, low, high), ...]); 1.0 is stock."""
    colours = ['#2f6f9f', '#c2703d', '#5b8c5a', '#8a5a8c', '#a0a13c', '#777777']
    lines, y = [], 56
    names = list(dict.fromkeys(peer for _, values in groups for peer, *_ in values))
    most = max((high for _, values in groups for _, _, _, high in values), default=1) * 1.05
    left, width = 250, 560
    for index, name in enumerate(names):
        lines.append(f'<rect x="{20 + index * 200}" y="30" width="12" height="12" fill="{colours[index % 6]}"/>'
                     f'<text x="{37 + index * 200}" y="41">{html.escape(name)}</text>')
    for label, values in groups:
        lines.append(f'<text x="{left - 8}" y="{y + 8 + 7 * len(values)}" text-anchor="end">{html.escape(label)}</text>')
        for peer, value, low, high in values:
            x = [left + width * v / most for v in (value, low, high)]
            lines.append(f'<rect x="{left}" y="{y}" width="{x[0] - left:.1f}" height="12" fill="{colours[names.index(peer) % 6]}"/>'
                         f'<line x1="{x[1]:.1f}" x2="{x[2]:.1f}" y1="{y + 6}" y2="{y + 6}" stroke="currentColor"/>'
                         f'<text x="{x[2] + 5:.1f}" y="{y + 10}">{value:.2f}</text>')
            y += 15
        y += 10
    one = left + width / most
    text = (f'<svg xmlns="http://www.w3.org/2000/svg" width="900" height="{y + 10}" font-family="sans-serif" font-size="12" '
            f'fill="currentColor" role="img"><title>{html.escape(title)}</title>'
            f'<style>svg{{color:#222;background:#fff}}@media(prefers-color-scheme:dark){{svg{{color:#ddd;background:#1b1b1b}}}}</style>'
            f'<text x="20" y="18" font-weight="bold">{html.escape(title)}</text>{"".join(lines)}'
            f'<line x1="{one:.1f}" x2="{one:.1f}" y1="50" y2="{y}" stroke="currentColor" stroke-dasharray="3 3"/></svg>\n')
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)
