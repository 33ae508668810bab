#!/bin/sh
# run.sh: fetches one model from object stores on this machine with the built command and the target `local`: moto (S3),
# Azurite, fake-gcs-server, and an MLflow server whose artifacts are in S3. `make test-stores` calls it.
#
# The packages are installed to target/peers/stores once, which takes some minutes and 1.6 GB. Needs python3.11 with venv, and
# node 20 with npm.
set -eu
here=$(cd "$(dirname "$0")" && pwd -P)
root=$(cd "$here/../../.." && pwd -P)
peers=$root/target/peers/stores
python=$peers/venv/bin/python
azurite=3.35.0
# The folder is part of the stamp because a virtual environment does not survive being moved.
pinned() { echo "$peers azurite $azurite" && cat "$here/../requirements.txt" "$here/requirements.txt"; }
if ! pinned | cmp -s - "$peers/stamp"; then
  rm -rf "$peers"
  mkdir -p "$peers"
  python3.11 -I -m venv "$peers/venv"
  "$python" -I -m pip install --quiet --disable-pip-version-check --no-compile -r "$here/../requirements.txt"
  "$python" -I -m pip install --quiet --disable-pip-version-check --no-compile -r "$here/requirements.txt"
  npm install --silent --prefix "$peers" --ignore-scripts --no-audit --no-fund "azurite@$azurite"
  pinned >"$peers/stamp"
fi
exec "$python" -W ignore "$here/check.py" "$root/target/debug/mlflow-deploy" "$peers" "$root/examples/iris/model"
