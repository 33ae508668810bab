"""Prints members of the manifest of a bridged plugin as JSON. Imports the plugin."""

from __future__ import annotations

import inspect
import json
import os
import sys
from typing import Any

from . import inputs
from .bridge import help_of
from .configs import configs, schema
from .environment import environment
from .errors import error_of
from .operations import FUNCTIONS, METHODS, operations
from .registry import Plugin, load

DESCRIPTION = "deployments of the Python plugin"


def main(name: str | None) -> int:
    """Prints the description, or `{"error": ...}`. What the plugin prints goes to the standard error."""
    output = os.dup(1)
    os.dup2(2, 1)
    try:
        described = describe(name)
    except BaseException as error:
        described = {"error": " ".join(error_of(error).message.split())}
    sys.stdout.flush()
    with open(output, "w", encoding="utf-8") as pipe:
        pipe.write(json.dumps(described, ensure_ascii=False, default=str) + "\n")
    return 1 if "error" in described else 0


def describe(name: str | None) -> dict[str, Any]:
    """Returns the members of the manifest, and `warnings` for its user. Without a name, describes the bridge itself."""
    plugin = load(name) if name is not None else None
    available = operations(plugin) if plugin else [*FUNCTIONS, *METHODS]
    warnings, help_text = _look(plugin, available) if plugin else ([], "")
    where = f" `{plugin.name}` of {plugin.package} {plugin.version}" if plugin else "s of this Python"
    return {
        "description": DESCRIPTION + where,
        "operations": available,
        "accepts": ["application/json", "text/csv", "text/plain"],
        "options": options(plugin.client if plugin else None),
        "config": configs(plugin, available, help_text) if plugin else {},
        "environment": environment(plugin),
        "warnings": warnings,
    }


def _look(plugin: Plugin, available: list[str]) -> tuple[list[str], str]:
    """Returns warnings about a plugin, and its help."""
    warnings, help_text = list(plugin.warnings), ""
    if "target_help" in available:
        try:
            help_text = help_of(plugin)
        except Exception as error:
            warnings.append(f"target_help failed: {error}")
    for function in FUNCTIONS:
        if plugin.function(function) is None:
            warnings.append(f"the module has no `{function}`: MLflow itself refuses the plugin")
    if not set(available) & set(METHODS):
        warnings.append("the class has no operation")
    abstract = sorted(getattr(plugin.client, "__abstractmethods__", ()))
    if abstract:
        warnings.append(f"the class cannot be opened, because it lacks {', '.join(abstract)}")
    return warnings, help_text


def options(client: type[Any] | None) -> dict[str, Any]:
    """Returns the schema of the client's options: that of the bridge, and the named parameters of the constructor."""
    text = "the form in which the plugin gets inputs: by default a data frame for a table, JSON otherwise"
    properties: dict[str, Any] = {"inputs": {"type": "string", "enum": list(inputs.FORMS), "description": text}}
    try:
        parameters = list(inspect.signature(client).parameters.values())[1:] if client else []
    except (TypeError, ValueError):
        parameters = []
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    properties.update({each.name: schema(each.name) for each in parameters if each.kind in named})
    return {"type": "object", "properties": properties}
