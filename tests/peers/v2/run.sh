#!/bin/sh
# run.sh: asks real servers of the Open Inference Protocol with the built command and the plugin `v2`.
#
# Starts MLServer, Triton and KServe's server on free ports of 127.0.0.1, and stops them at the end. The first run installs
# them, which takes some minutes.
set -eu
here=$(cd "$(dirname "$0")" && pwd -P)
cd "$here/../../.."
sh "$here/install.sh"
peers=$(pwd -P)/target/peers/v2
work=$(mktemp -d "$peers/run-XXXXXX")
# The servers end with the script.
servers=
trap 'kill $servers 2>/dev/null; wait; rm -rf "$work"' EXIT
free() { python3.11 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
# start NAME PORT COMMAND…: starts a server and waits until it answers.
start() {
  name=$1 port=$2
  shift 2
  "$@" >"$peers/$name.log" 2>&1 &
  servers="$servers $!"
  until python3.11 -c "import urllib.request as r; r.urlopen('http://127.0.0.1:$port/v2')" 2>/dev/null; do
    kill -0 $! 2>/dev/null || { tail -n 20 "$peers/$name.log" >&2; exit 1; }
    sleep 0.2
  done
}

export MLFLOW_DISABLE_TELEMETRY=true
"$peers/mlserver/bin/python" -W ignore "$here/models.py" "$work/models" >"$peers/models.log" 2>&1 ||
  { tail -n 20 "$peers/models.log" >&2; exit 1; }

mkdir "$work/mlserver"
for model in "$work"/models/*; do
  name=$(basename "$model")
  mkdir "$work/mlserver/$name"
  printf '{"name": "%s", "implementation": "mlserver_mlflow.MLflowRuntime", "parameters": {"uri": "%s"}}' \
    "$name" "$model" >"$work/mlserver/$name/model-settings.json"
done
mlserver=$(free) grpc=$(free) metrics=$(free)
printf '{"host": "127.0.0.1", "http_port": %s, "grpc_port": %s, "metrics_port": %s, "parallel_workers": 0, "load_models_at_startup": false}' \
  "$mlserver" "$grpc" "$metrics" >"$work/mlserver/settings.json"
start mlserver "$mlserver" "$peers/mlserver/bin/mlserver" start "$work/mlserver"

triton=$(free)
packages=$peers/triton/lib/python3.11/site-packages
root=$packages/pytriton/tritonserver
mkdir -p "$work/backends/python"
cp -r "$root/backends/python/." "$work/backends/python"
cp "$root/python_backend_stubs/3.11/triton_python_backend_stub" "$work/backends/python"
cp -r "$here/triton" "$work/triton"
start triton "$triton" env \
  PATH="$peers/triton/bin:$PATH" PYTHONPATH="$packages" \
  LD_LIBRARY_PATH="$packages/nvidia_pytriton.libs:$(python3.11 -c 'import sysconfig; print(sysconfig.get_config_var("LIBDIR"))')" \
  "$root/bin/tritonserver" --model-repository="$work/triton" --backend-directory="$work/backends" \
  --model-control-mode=explicit --http-address=127.0.0.1 --http-port="$triton" --allow-grpc=false --allow-metrics=false

kserve=$(free)
start kserve "$kserve" "$peers/kserve/bin/python" -W ignore "$here/kserve_server.py" "$kserve"

python3.11 -B "$here/check.py" "$work/models" "$mlserver" "$triton" "$kserve"
