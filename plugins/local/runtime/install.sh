#!/bin/sh
# install.sh FOLDER: installs ONNX Runtime's library into a folder, from the wheel that requirements.txt pins by its hash.
#
# Does nothing if the library exists, prints nothing unless it fails, and may be run by several processes at once. Needs
# python3 of any version with pip or venv: only the library of the wheel is used.
set -eu
here=$(cd "$(dirname "$0")" && pwd -P)
folder=${1:?usage: install.sh FOLDER}
version=1.31.1

case "$(uname -s) $(uname -m)" in
"Linux x86_64") platform=manylinux_2_28_x86_64 library=libonnxruntime.so.$version ;;
"Linux aarch64") platform=manylinux_2_28_aarch64 library=libonnxruntime.so.$version ;;
"Darwin arm64") platform=macosx_14_0_arm64 library=libonnxruntime.$version.dylib ;;
*)
  echo "install.sh: no ONNX Runtime is pinned for $(uname -s) on $(uname -m); set ORT_DYLIB_PATH to your own library" >&2
  exit 1
  ;;
esac

if [ -f "$folder/$library" ]; then exit 0; fi
mkdir -p "$folder"
work=$(mktemp -d "$folder/.onnxruntime-XXXXXX")
trap 'rm -rf "$work"' EXIT

quietly() {
  "$@" >"$work/log" 2>&1 || {
    tail -n 20 "$work/log" >&2
    echo "install.sh: \`$*\` failed" >&2
    exit 1
  }
}

python=python3
if ! "$python" -m pip --version >/dev/null 2>&1; then
  quietly python3 -m venv "$work/venv"
  python=$work/venv/bin/python
fi
quietly "$python" -m pip download --disable-pip-version-check --no-deps --only-binary=:all: --implementation cp \
  --python-version 3.11 --platform "$platform" --require-hashes -r "$here/requirements.txt" -d "$work"
quietly "$python" - "$work" "$library" <<'PYTHON'
import pathlib, sys, zipfile
work, library = pathlib.Path(sys.argv[1]), sys.argv[2]
(wheel,) = work.glob("*.whl")
with zipfile.ZipFile(wheel) as files:
    (work / library).write_bytes(files.read(f"onnxruntime/capi/{library}"))
PYTHON
chmod 644 "$work/$library"
mv "$work/$library" "$folder/$library"
