"""Finds and loads Python plugins. Reading the list of installed plugins imports none of them."""

from __future__ import annotations

import importlib.metadata
import inspect
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Callable

from mlflow_deploy_plugin import DeploymentError, call

GROUP = "mlflow.deployments"
# MLflow registers this plugin without an entry point.
BUILT_IN = {"sagemaker": "mlflow.sagemaker"}


@dataclass
class Plugin:
    """A loaded plugin."""

    name: str
    package: str
    version: str
    client: type[Any]
    module: ModuleType
    warnings: list[str]

    def function(self, name: str) -> Callable[..., Any] | None:
        """Returns a function of the plugin's module, or None."""
        found = getattr(self.module, name, None)
        return found if callable(found) else None


def entry_points() -> dict[str, importlib.metadata.EntryPoint]:
    """Returns the installed plugins by their names. The first one on the path has a name, as in Python's imports."""
    every = importlib.metadata.entry_points()
    group: Any = every.select(group=GROUP) if hasattr(every, "select") else every.get(GROUP, [])
    found: dict[str, importlib.metadata.EntryPoint] = {}
    for point in group:
        found.setdefault(point.name, point)
    for name, module in BUILT_IN.items():
        found.setdefault(name, importlib.metadata.EntryPoint(name, module, GROUP))
    return found


def inner(target_uri: str) -> tuple[str, str]:
    """Returns the name of the plugin and the URI that it gets, for `python:NAME:/...` and for `NAME:/...`."""
    uri = target_uri[len("python:") :] if target_uri.startswith("python:") else target_uri
    return uri.split(":", 1)[0], uri


def load(name: str) -> Plugin:
    """Imports MLflow and a plugin, and reports the progress of both."""
    installed = entry_points()
    point = installed.get(name)
    if point is None:
        known = ", ".join(f"`{each}`" for each in sorted(installed))
        raise DeploymentError(
            "RESOURCE_DOES_NOT_EXIST",
            f"no plugin `{name}` is installed for {sys.executable}: expected one of {known}; install its package there",
        )
    package, version = _distribution(point)
    try:
        if "mlflow.deployments" not in sys.modules:
            call.progress(0.1, "imports mlflow")
        from mlflow.deployments import BaseDeploymentClient

        call.progress(0.6, f"imports {point.value} of {package} {version}")
        loaded = point.load()
    except Exception as error:
        raise DeploymentError(
            "INTERNAL_ERROR", f"the Python plugin `{name}` of {package} {version} failed to load: {describe(error)}"
        ) from error
    module = sys.modules[loaded.__module__] if inspect.isclass(loaded) else loaded
    client, warnings = _client_of(loaded, BaseDeploymentClient, point)
    return Plugin(name, package, version, client, module, warnings)


def _distribution(point: importlib.metadata.EntryPoint) -> tuple[str, str]:
    owner = getattr(point, "dist", None)
    if owner is not None:
        return owner.metadata["Name"], owner.version
    package = point.value.split(".")[0].split(":")[0]
    try:
        return package, importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return package, "of unknown version"


def _client_of(loaded: Any, base: type[Any], point: importlib.metadata.EntryPoint) -> tuple[type[Any], list[str]]:
    """Returns the class of the clients. Prefers the plugin's own classes to those that it imports."""
    if inspect.isclass(loaded):
        return loaded, []
    found = [
        each for _, each in inspect.getmembers(loaded, inspect.isclass) if issubclass(each, base) and each is not base
    ]
    package = point.value.split(":")[0].split(".")[0]
    own = [each for each in found if each.__module__.split(".")[0] == package]
    # A base class of another candidate is not the client.
    last = [each for each in own or found if not any(issubclass(other, each) and other is not each for other in found)]
    if not last:
        message = f"the Python plugin `{point.name}` has no subclass of BaseDeploymentClient in `{point.value}`"
        raise DeploymentError("INTERNAL_ERROR", message)
    names = ", ".join(each.__name__ for each in last)
    return last[0], [f"several classes are clients: {names}; the first one is used"] if len(last) > 1 else []


def describe(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
