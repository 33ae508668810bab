"""Writes the project of a new plugin: `python3 -m mlflow_deploy_plugin new my-target`."""

from __future__ import annotations

import argparse
import keyword
import re
import shutil
import sys
from pathlib import Path

SDK = Path(__file__).resolve().parent


def new(name: str, scheme: str, module: str) -> None:
    """Writes the project into a new folder. The SDK is copied, so that the plugin needs no installed package."""
    folder = Path(name)
    names = {"plugin.py.in": f"{module}.py", "plugin.json": f"{module}.plugin.json", "test.py.in": f"test_{module}.py"}
    folder.mkdir()
    for template in (SDK / "template").iterdir():
        text = template.read_text()
        for key, value in {"name": name, "scheme": scheme, "module": module}.items():
            text = text.replace("{{%s}}" % key, value)
        (folder / names.get(template.name, template.name)).write_text(text)
    shutil.copytree(SDK, folder / SDK.name, ignore=shutil.ignore_patterns("__pycache__", "template", "__main__.py"))


parser = argparse.ArgumentParser(prog="mlflow_deploy_plugin", description=__doc__)
parser.add_argument("command", choices=["new"])
parser.add_argument("name", help="the name of the plugin and of the new folder")
parser.add_argument("--scheme", help="the scheme of its target URIs; the name if not given")
given = parser.parse_args()
scheme = given.scheme or given.name
module = re.sub("[^a-z0-9]", "_", given.name)
for text in (given.name, scheme):
    if not re.fullmatch("[a-z][a-z0-9+.-]*", text):
        parser.error(f"invalid name `{text}`: expected a-z, 0-9, `+`, `-` and `.`, and a letter first")
if module in {*keyword.kwlist, *getattr(sys, "stdlib_module_names", ()), SDK.name}:
    parser.error(f"the name `{given.name}` belongs to Python or to the SDK: choose another one")
if Path(given.name).exists():
    parser.error(f"the folder `{given.name}` exists: choose another name, or remove it")
new(given.name, scheme, module)
print(f"wrote {given.name}/; {given.name}/README.md has the next commands")
