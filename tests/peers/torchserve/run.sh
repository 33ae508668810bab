#!/bin/sh
# run.sh: runs MLflow's plugin `torchserve` through the bridge, against a real TorchServe on this machine, beside Python's own
# client. `make test-torchserve` calls it.
#
# TorchServe runs in a network namespace with the loopback interface alone, so no other machine can reach it, and in a namespace
# of processes, which all end with the script. The packages are installed to target/peers/torchserve once, and take 5.5 GB.
# Needs python3.11 with venv, Java 11 or newer, `unshare` and `ip`, and 2 GB of memory.
set -eu
here=$(cd "$(dirname "$0")" && pwd -P)
root=$(cd "$here/../../.." && pwd -P)
peers=$root/target/peers/torchserve
if [ "${1-}" != --inside ]; then
  if ! cmp -s "$here/requirements.txt" "$peers/stamp"; then
    rm -rf "$peers"
    mkdir -p "$peers"
    python3.11 -I -m venv "$peers/venv"
    "$peers/venv/bin/python" -I -m pip install --quiet --disable-pip-version-check --no-cache-dir -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$peers/stamp"
  fi
  exec unshare --net --pid --fork --mount-proc --kill-child --map-root-user "$0" --inside
fi
ip link set lo up
export MLFLOW_DISABLE_TELEMETRY=true MLFLOW_LOGGING_LEVEL=ERROR PYTHONWARNINGS=ignore PATH="$peers/venv/bin:$PATH"
exec "$peers/venv/bin/python" -B -u "$here/check.py" "${MLFLOW_DEPLOY:-$root/target/debug/mlflow-deploy}" "$root/plugins"
