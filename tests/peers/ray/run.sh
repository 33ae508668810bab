#!/bin/sh
# run.sh: starts a real Ray cluster of two nodes on this machine, and runs the checks of check.py with the built command and
# the plugin `ray`. `make test-ray` calls it.
#
# The cluster has a network namespace with the loopback interface alone, so no other machine can reach it. The packages are
# installed to target/peers/ray once. Needs python3.11 with venv, `unshare` and `ip`, 6 GB of memory, and ten minutes.
set -eu
here=$(cd "$(dirname "$0")" && pwd -P)
root=$(cd "$here/../../.." && pwd -P)
peers=$root/target/peers/ray
python=$peers/venv/bin/python

if [ "${1-}" != --inside ]; then
  if ! cmp -s "$here/requirements.txt" "$peers/stamp"; then
    rm -rf "$peers"
    mkdir -p "$peers"
    python3.11 -I -m venv "$peers/venv"
    "$python" -I -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$peers/stamp"
  fi
  exec unshare --net --map-root-user "$0" --inside "$@"
fi
shift
ip link set lo up

export RAY_USAGE_STATS_ENABLED=0 RAY_DISABLE_IMPORT_WARNING=1 MLFLOW_DISABLE_TELEMETRY=true PYTHONWARNINGS=ignore
export PATH="$peers/venv/bin:$PATH"
# The names of Ray's sockets are below this folder, and the system limits their length.
RAY_TMPDIR=$(mktemp -d /tmp/ray-XXXXXX)
export RAY_TMPDIR
finish() {
  ray stop --force >"$RAY_TMPDIR/stop.log" 2>&1 || true
  rm -rf "$RAY_TMPDIR"
}
trap finish EXIT

start() { ray start --disable-usage-stats --object-store-memory 100000000 "$@" >"$RAY_TMPDIR/start.log" 2>&1 || { cat "$RAY_TMPDIR/start.log"; exit 1; }; }
start --head --node-ip-address 127.0.0.1 --port 6380 --dashboard-host 127.0.0.1 --dashboard-port 8265 --num-cpus 2
start --address 127.0.0.1:6380 --node-ip-address 127.0.0.2 --num-cpus 2 --dashboard-agent-listen-port 52366 \
  --min-worker-port 30000 --max-worker-port 30999

export MLFLOW_DEPLOY="${MLFLOW_DEPLOY:-$root/target/debug/mlflow-deploy}" MLFLOW_DEPLOY_PLUGIN_PATH="$root/target/debug"
"$python" -B "$here/check.py" "$@"
