"""Writes the project of a new plugin: `python3 -m mlflow_deploy_plugin new my-target`."""

import argparse
import keyword
import re
import shutil
import sys
from pathlib import Path

SDK = Path(__file__).resolve().parent

parser = argparse.ArgumentParser(prog="mlflow_deploy_plugin", description=__doc__)
parser.add_argument("command", choices=["new"])
parser.add_argument("name", help="the name of the plugin and of the new folder")
parser.add_argument("--scheme", help="the scheme of its target URIs; the name if not given")
given = parser.parse_args()
values = {"name": given.name, "scheme": given.scheme or given.name, "module": re.sub("[^a-z0-9]", "_", given.name)}
for text in (values["name"], values["scheme"]):
    if not re.fullmatch("[a-z][a-z0-9+.-]*", text):
        parser.error(f"invalid name `{text}`: expected a-z, 0-9, `+`, `-` and `.`, and a letter first")
if values["module"] in {*keyword.kwlist, *getattr(sys, "stdlib_module_names", ()), SDK.name}:
    parser.error(f"the name `{given.name}` belongs to Python or to the SDK: choose another one")
folder = Path(given.name)
if folder.exists():
    parser.error(f"the folder `{folder}` exists: choose another name, or remove it")


def fill(text: str) -> str:
    """Returns the text or the file name of a template with the values of the new plugin."""
    return re.sub("{{(.*?)}}", lambda key: values[key[1]], text)


folder.mkdir()
for template in (SDK / "template").iterdir():
    (folder / fill(template.stem)).write_text(fill(template.read_text()))
# The SDK is copied, so that the plugin needs no installed package.
shutil.copytree(SDK, folder / SDK.name, ignore=shutil.ignore_patterns("__pycache__", "template", "__main__.py"))
print(f"wrote {folder}/; {folder}/README.md has the next commands")
