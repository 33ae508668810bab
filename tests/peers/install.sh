#!/bin/sh
# install.sh: installs the real servers and clients that tests and the demo use into target/peers of this repository.
#
# Does nothing if the installed versions match the pinned files, prints only errors, and may run in several processes
# at once. Needs python3.11 with venv, node 20 with npm, and flock.
set -eu
here=$(cd "$(dirname "$0")" && pwd -P)
peers=$(cd "$here/../.." && pwd -P)/target/peers
mkdir -p "$peers/logs"

# The folder is part of the stamp because a virtual environment does not survive being moved.
wanted() { echo "$peers" && cat "$here/install.sh" "$here"/requirements*.txt "$here/package-lock.json"; }
installed() { wanted | cmp -s - "$peers/stamp"; }

quietly() {
  "$@" >"$peers/logs/install" 2>&1 || {
    tail -n 40 "$peers/logs/install" >&2
    echo "install.sh: \`$*\` failed; its output is in $peers/logs/install" >&2
    exit 1
  }
}

if installed; then exit 0; fi
exec 9>"$peers/lock"
flock 9
if installed; then exit 0; fi
rm -rf "$peers/stamp" "$peers/venv" "$peers/venv-3.18" "$peers/node_modules" "$peers/databases"

cp "$here/package.json" "$here/package-lock.json" "$peers/"
quietly npm ci --prefix "$peers" --ignore-scripts --no-audit --no-fund

# The runs below compile only the imported modules, not every file of every package. `-I` ignores the caller's PYTHON
# variables; PYTHONDONTWRITEBYTECODE would double the time of every start.
python=$peers/venv/bin/python
quietly python3.11 -I -m venv "$peers/venv"
quietly "$python" -I -m pip install --disable-pip-version-check --no-compile -r "$here/requirements.txt"
quietly "$python" -I -W ignore -c 'import mlflow.gateway.app, openai, uvicorn'

# MLflow 3.18 shadows the other MLflow, and shares its dependencies.
newer=$peers/venv-3.18/bin/python
quietly python3.11 -I -m venv "$peers/venv-3.18"
(cd "$peers" && echo "$peers"/venv/lib/python*/site-packages >"$(echo venv-3.18/lib/python*/site-packages)/peers.pth")
quietly "$newer" -I -m pip install --disable-pip-version-check --no-compile --no-deps -r "$here/requirements-3.18.txt"

# An empty tracking database takes longer to create than a server takes to start: every server gets a copy.
mkdir "$peers/databases"
cd "$peers/databases"
export MLFLOW_DISABLE_TELEMETRY=true
quietly "$python" -I -m mlflow db upgrade sqlite:///tracking.db
quietly "$newer" -I -m mlflow db upgrade sqlite:///tracking-3.18.db
quietly env _MLFLOW_SERVER_FILE_STORE=sqlite:///tracking.db MLFLOW_FLASK_SERVER_SECRET_KEY=unused \
  MLFLOW_AUTH_ADMIN_USERNAME=admin MLFLOW_AUTH_ADMIN_PASSWORD=a-password-for-tests \
  "$python" -I -W ignore -c 'import mlflow.server.auth as auth; auth.create_app()'

wanted >"$peers/stamp.new"
mv "$peers/stamp.new" "$peers/stamp"
