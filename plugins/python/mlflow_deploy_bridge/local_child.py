"""The process of one `run_local`. Its standard output is the log; its result goes to a pipe."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

from mlflow_deploy_plugin import DeploymentError

from .errors import error_of
from .operations import is_stub
from .registry import load
from .signatures import Argument, invoke


def main() -> None:
    # Python installs no handler if the process inherits an ignored signal, as from a background job of a shell.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    result = int(os.environ.pop("MLFLOW_DEPLOY_RESULT_FD"))
    os.set_inheritable(result, False)
    arguments = json.load(sys.stdin)
    outcome: dict[str, Any] = {}
    try:
        run(arguments)
    except KeyboardInterrupt:
        sys.exit(130)
    except BaseException as error:
        failure = error_of(error)
        outcome = {"error": {"code": failure.code, "message": failure.message, "details": failure.details}}
    with open(result, "wb") as pipe:
        pipe.write(json.dumps(outcome, default=str).encode())


def run(arguments: dict[str, Any]) -> None:
    """Calls `run_local`, whose parameters are `name, model_uri, ...`, `target, name, model_uri, ...` or `**kwargs`."""
    plugin = load(arguments["plugin"])
    function = plugin.function("run_local")
    if function is None or is_stub(function):
        raise DeploymentError("NOT_IMPLEMENTED", f"the Python plugin `{plugin.name}` does not have `run_local`")
    names = ("name", "model_uri", "flavor")
    given = [Argument(name, arguments[name], position) for position, name in enumerate(names)]
    target = Argument("target", arguments["target_uri"], may_drop=True)
    invoke(function, [*given, Argument("config", arguments["config"] or {}), target])
