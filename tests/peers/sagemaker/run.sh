#!/bin/sh
# run.sh: compares MLflow's target `sagemaker` in Python with the same target through the bridge, or with the plugin `sagemaker`
# if its library is given, on a fake AWS on this machine whose endpoints run the uploaded models. `make test-python` and
# `make test-sagemaker` call it.
#
# The packages are installed to target/peers/sagemaker once. Needs python3.11 with venv.
set -eu
here=$(cd "$(dirname "$0")" && pwd -P)
root=$(cd "$here/../../.." && pwd -P)
peers=$root/target/peers/sagemaker
python=$peers/venv/bin/python
if ! cat "$here/../requirements.txt" "$here/requirements.txt" | cmp -s - "$peers/stamp"; then
  rm -rf "$peers"
  mkdir -p "$peers"
  python3.11 -I -m venv "$peers/venv"
  "$python" -I -m pip install --quiet --disable-pip-version-check -r "$here/../requirements.txt"
  "$python" -I -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
  cat "$here/../requirements.txt" "$here/requirements.txt" >"$peers/stamp"
fi
if [ $# -gt 0 ]; then
  exec "$python" -B "$here/check_plugin.py" "$root/target/debug/mlflow-deploy" "$1"
fi
exec "$python" -B "$here/check.py" "$root/target/debug/mlflow-deploy" "$root/plugins"
