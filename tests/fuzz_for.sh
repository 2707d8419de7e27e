#!/usr/bin/env bash
# Runs one fuzz target for some seconds from its seeds: tests/fuzz_for.sh NAME SECONDS
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
name=$1 seconds=$2
target=$top/build-fuzz/bin/$name
[ -x "$target" ] || { echo "missing $target: run ./test, or tools/build fuzz" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/corpus"
seeds=$top/fuzz/corpus/${name%_fuzz}
[ -d "$seeds" ] && cp -r "$seeds/." "$work/corpus/"
# A finding makes libFuzzer exit non-zero; the input is printed so that it can become a seed.
cd "$work"
if ! "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    corpus > log 2>&1; then
  tail -60 log
  for f in crash-* timeout-* oom-* leak-*; do
    [ -e "$f" ] && { echo "input $f (base64):"; base64 -w0 "$f"; echo; }
  done
  exit 1
fi
grep -E 'number_of_executed_units|average_exec' log
