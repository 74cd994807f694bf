#!/usr/bin/env bash
# Nine daemons of three farms and a gateway without nodes of its own, all on this machine, over TLS. Data goes under the directory that is
# given, ./threefarms otherwise; Ctrl-C stops everything, and the next start finds it again.
#
#   examples/threefarms.sh [DIRECTORY]
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
data=$(mkdir -p "${1:-threefarms}" && cd "${1:-threefarms}" && pwd)
export PATH="$here/node_modules/.bin:$PATH"
holdfast() { node "$here/bin/holdfast.js" "$@"; }
trap 'trap - EXIT; kill 0' EXIT INT TERM

farms=(ghent cairo quito)
for i in 1 2 3 4 5 6 7 8 9; do
  holdfast node --data "$data/node-$i" --listen off --tls-listen "127.0.0.1:$((9910 + i))" 2>"$data/node-$i.log" &
done
HOLDFAST_GRID_NODES=0 holdfast serve --data "$data/gateway" &

until holdfast status --data "$data/gateway" >/dev/null 2>&1 || [ $? = 3 ]; do sleep 0.5; done
for i in 1 2 3 4 5 6 7 8 9; do
  until grep -q "its identity is" "$data/node-$i.log"; do sleep 0.2; done
  token=$(sed -n 's/.*join token[^:]*: //p' "$data/node-$i.log")
  # A node that was started before knows this grid, and prints no token.
  if [ -n "$token" ]; then
    holdfast nodes add "tls://127.0.0.1:$((9910 + i))" --join "$token" --farm "${farms[$(((i - 1) % 3))]}" --data "$data/gateway"
  fi
done
echo "The grid is complete: npx holdfast nodes list --data $data/gateway"
wait
