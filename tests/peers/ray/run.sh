#!/bin/sh
# run.sh: runs the checks of check.py with the built command and the plugin `ray`, on real Ray clusters on this machine: one of
# two nodes, one that requires a token, and one without Serve. `make test-ray` calls it.
#
# The clusters have a network namespace with the loopback interface alone, so no other machine can reach them, and a namespace
# of processes, which all end with the script. The packages are installed to target/peers/ray once, and take 1.5 GB. Needs
# python3.11 with venv, `unshare` and `ip`, 6 GB of memory, and twenty minutes. Names of checks as arguments run only these.
set -eu
here=$(cd "$(dirname "$0")" && pwd -P)
root=$(cd "$here/../../.." && pwd -P)
peers=$root/target/peers/ray

# install NAME FILE: installs the packages that a file lists to an environment, unless it has them.
install() {
  cmp -s "$here/$2" "$peers/$1.stamp" && return
  rm -rf "$peers/$1"
  mkdir -p "$peers"
  python3.11 -I -m venv "$peers/$1"
  "$peers/$1/bin/python" -I -m pip install --quiet --disable-pip-version-check -r "$here/$2"
  cp "$here/$2" "$peers/$1.stamp"
}

if [ "${1-}" != --inside ]; then
  install venv requirements.txt
  install without-serve requirements-without-serve.txt
  exec unshare --net --pid --fork --mount-proc --kill-child --map-root-user "$0" --inside "$@"
fi
shift
ip link set lo up

export RAY_USAGE_STATS_ENABLED=0 RAY_DISABLE_IMPORT_WARNING=1 MLFLOW_DISABLE_TELEMETRY=true PYTHONWARNINGS=ignore
export PATH="$peers/venv/bin:$PATH"
# The names of Ray's sockets are below this folder, and the system limits their length.
RAY_TMPDIR=$(mktemp -d /tmp/ray-XXXXXX)
export RAY_TMPDIR
trap 'rm -rf "$RAY_TMPDIR"' EXIT
export MLFLOW_DEPLOY="${MLFLOW_DEPLOY:-$root/target/debug/mlflow-deploy}" MLFLOW_DEPLOY_PLUGIN_PATH="$root/target/debug"
"$peers/venv/bin/python" -B -u "$here/check.py" "$@"
