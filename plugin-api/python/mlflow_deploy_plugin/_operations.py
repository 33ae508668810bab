"""The operations: their slots, their arguments, and the functions of a plugin that run them."""

from __future__ import annotations

import inspect
import sys
from functools import lru_cache
from typing import Any, Callable, Mapping

from ._client import DeploymentClient
from ._values import JSON, Payload, invalid, read_json

STATIC = ("target_help", "run_local")  # operations that need no client
METHODS = [name for name in vars(DeploymentClient) if name != "close" and not name.startswith("_")]
SLOTS = dict(enumerate(["open", "shutdown", *METHODS]))


def function_of(client: type[DeploymentClient], operation: str) -> Callable[..., Any] | None:
    """Returns the function of a plugin that runs an operation, or None if the plugin does not have the operation."""
    if operation in ("open", "shutdown"):
        return client
    found: Callable[..., Any] | None = getattr(client, operation, None)
    if found is not getattr(DeploymentClient, operation, None):
        return found
    return getattr(sys.modules[client.__module__], operation, None) if operation in STATIC else None


@lru_cache(maxsize=None)
def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return {name: each for name, each in inspect.signature(function).parameters.items() if name != "self"}


def read_arguments(operation: str, function: Callable[..., Any], head: bytes, body: bytes) -> dict[str, Any]:
    """Returns the arguments of a call. Fails if one is missing, has another type, or is not taken by the function."""
    # Python refuses to read long integers, because that takes long.
    given = read_json(head or b"{}", "the arguments", lambda text: int(text) if len(text) < 4000 else float(text))
    if not isinstance(given, dict):
        raise invalid("the arguments are not a JSON object")
    given = {"options": {}, **{name: value for name, value in given.items() if value is not None}}
    taken, arguments = _parameters(function), dict[str, Any]()
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values())
    interface = DeploymentClient if operation == "open" else getattr(DeploymentClient, operation)
    for argument, parameter in _parameters(interface).items():
        name = "content_type" if argument == "inputs" else argument
        value = given.get(name)
        kind: type[Any] = dict if name in ("config", "options") else str
        if value is None and parameter.default is parameter.empty:
            raise invalid(f"the argument `{name}` of `{operation}` is missing")
        if value is not None and not isinstance(value, kind):
            raise invalid(f"the argument `{name}` of `{operation}` is not {'a string' if kind is str else 'an object'}")
        if not takes_all and argument not in taken:
            if body if argument == "inputs" else value and name != "target_uri":
                raise invalid(f"`{operation}` of this target does not take `{argument}`: leave it out")
        elif argument == "inputs":
            arguments[argument] = Payload(body, value or JSON)
        elif value is not None:
            arguments[argument] = value
    if operation == "update_deployment" and "flavor" in arguments and "model_uri" not in arguments:
        raise invalid("the argument `flavor` needs a `model_uri`: give both, or neither")
    return arguments
