"""Finds the keys of configs in the help and in the docstrings of a plugin. Finds none in a text of another form."""

from __future__ import annotations

import inspect
import re
from typing import Any

from .environment import is_secret
from .registry import Plugin

# "- ``key``: text", "* `key` (str): text"
MARKED = re.compile(r"^\s*(?:[-*+]\s*)?`{1,2}([A-Za-z_][\w.-]*)`{1,2}\s*(?:\([^)]*\)\s*)?[:\u2013\u2014-]\s*(\S.*)?$")
# "- key: text", "* key (str): text"
LISTED = re.compile(r"^\s*[-*+]\s+([A-Za-z_]\w*)\s*(?:\([^)]*\))?\s*:\s+(\S.*)$")
# "-C key=value", "--config key=value"
OPTION = re.compile(r"(?:-C|--config)[ =]['\"]?([A-Za-z_][\w.-]*)=")
# The names of arguments, which a docstring explains in the same form.
ARGUMENTS = set("name model_uri flavor config endpoint target target_uri deployment_name inputs df".split())
WITH_CONFIG = (
    "create_deployment update_deployment delete_deployment create_endpoint update_endpoint run_local predict".split()
)


def configs(plugin: Plugin, operations: list[str], help_text: str) -> dict[str, Any]:
    """Returns the schemas of configs, by operation. Values have any type, as MLflow's own command passes text."""
    found: dict[str, Any] = {}
    of_help = keys(help_text)
    for operation in [name for name in operations if name in WITH_CONFIG]:
        function = plugin.function(operation) if operation == "run_local" else getattr(plugin.client, operation)
        described = keys(inspect.getdoc(function) or "")
        # The help of a target describes the configs of deployments.
        if not described and operation in ("create_deployment", "update_deployment"):
            described = of_help
        if described:
            found[operation] = {
                "type": "object",
                "properties": {key: schema(key, text) for key, text in described.items()},
            }
    return found


def keys(text: str) -> dict[str, str]:
    """Returns the keys that a text describes, with the first sentence of each description."""
    found: dict[str, str] = {}
    current = ""
    for line in text.splitlines():
        match = MARKED.match(line) or LISTED.match(line)
        if match:
            current = "" if match[1] in ARGUMENTS or match[1] in found else match[1]
        if current:
            words = (match[2] or "") if match else line.strip()
            found[current] = f"{found.get(current, '')} {words}".strip()
        if not line.strip():
            current = ""
    # The command lines of examples are the last resort: they may name keys that the plugin ignores.
    found = found or {key: "" for key in OPTION.findall(text) if key != "key"}
    return {key: re.split(r"\.(?:\s|$)|\s(?:-|\.\.)\s", words)[0] for key, words in found.items()}


def schema(key: str, description: str = "") -> dict[str, Any]:
    """Returns the schema of a setting. A value whose key names a secret is not shown."""
    secret = {"writeOnly": True} if is_secret(key.upper()) else {}
    return {**secret, **({"description": description} if description else {})}
