#!/usr/bin/env bash
# The README's first command: the article's two sites, checked, then removed without a trace.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
port=$(/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
under=$(mktemp -d /usr/share/bulkhead-run.XXXXXX)
chmod 755 "$under"
trap '"$top/run" --clean --under "$under/demo"; rmdir "$under"' EXIT
"$top/run" --once --port "$port" --under "$under/demo"
