#!/bin/sh
# install.sh: installs MLServer, Triton and KServe's server in target/peers/v2 of this repository.
#
# Does nothing if the installed versions match the pinned files. Needs python3.11 with venv.
set -eu
here=$(cd "$(dirname "$0")" && pwd -P)
peers=$(cd "$here/../../.." && pwd -P)/target/peers/v2
mkdir -p "$peers"

for server in mlserver triton kserve; do
  pinned=$here/requirements-$server.txt
  if cmp -s "$pinned" "$peers/$server/installed"; then continue; fi
  rm -rf "${peers:?}/$server"
  python3.11 -I -m venv "$peers/$server"
  "$peers/$server/bin/python" -I -m pip install --quiet --disable-pip-version-check --no-compile -r "$pinned"
  cp "$pinned" "$peers/$server/installed"
done
