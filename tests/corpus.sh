#!/usr/bin/env bash
# How many of the real configuration files in ../shared/corpus/nginx load: at least 70 percent must.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
corpus=$top/../shared/corpus/nginx
[ -x "$corpus/check" ] || { echo "the corpus is not beside the checkout: $corpus" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ln -s "$top/build/bin/bulkhead" "$work/bulkhead-nginx"
/usr/bin/python3 "$corpus/check" "$work/bulkhead-nginx" > "$work/out" || true
cat "$work/out"
read -r passed _ _ total < <(tail -1 "$work/out")
least=$(( (total * 70 + 99) / 100 ))
echo "$passed of $total load; at least $least must"
[ "$passed" -ge "$least" ]
