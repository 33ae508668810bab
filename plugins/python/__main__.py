"""Runs the bridge: `python plugins/python [--name NAME] [--describe]`.

| arguments | effect |
|---|---|
| none | serves the targets `python:NAME:/...` of a host |
| `--name NAME` | serves the targets of one Python plugin, such as `NAME:/...` |
| `--describe`, also with `--name NAME` | prints members of the manifest as a JSON object, and ends |
| `--run-local` | serves one model; the bridge starts it |
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# An installed bridge has the SDK beside it, in the folder that Python searches first.
if not (HERE / "mlflow_deploy_plugin").is_dir():
    sys.path.insert(1, str(HERE.parents[1] / "plugin-api" / "python"))

from mlflow_deploy_bridge import bridge, describe, local_child  # noqa: E402

parser = argparse.ArgumentParser(prog="mlflow-deploy-bridge", description=__doc__.splitlines()[0])
parser.add_argument("--name", help="the name of the plugin's entry point")
parser.add_argument("--describe", action="store_true", help="print members of the manifest, and end")
parser.add_argument("--run-local", action="store_true", help="serve one model; the bridge starts this")
arguments = parser.parse_args()
# The name of the scheme of all plugins.
name = None if arguments.name == "python" else arguments.name

if arguments.run_local:
    local_child.main()
elif arguments.describe:
    sys.exit(describe.main(name))
else:
    bridge.main(name)
