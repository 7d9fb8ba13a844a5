#!/bin/sh
# Starts inventory, asks whether it is well, and ends it. The exit code is the verdict.
set -eu

first_line=$(mktemp)
python3 -m shop.serve inventory >"$first_line" &
service=$!
trap 'kill "$service"; rm -f "$first_line"' EXIT

tries=0
until [ -s "$first_line" ]; do
    tries=$((tries + 1))
    [ "$tries" -le 50 ] || { echo "inventory did not start within 5 seconds" >&2; exit 1; }
    sleep 0.1
done
address=$(cat "$first_line")
echo "inventory is at $address"

get() {
    python3 -c 'import sys, urllib.request as web; print(web.urlopen(sys.argv[1], timeout=5).read().decode())' "$address$1"
}

health=$(get /health)
echo "GET /health: $health"
[ "$health" = '{"service": "inventory"}' ]
