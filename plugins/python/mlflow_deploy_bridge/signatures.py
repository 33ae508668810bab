"""Calls the methods of Python plugins, whose signatures differ from MLflow's."""

from __future__ import annotations

import inspect
import logging
from dataclasses import dataclass
from typing import Any, Callable

from mlflow_deploy_plugin import DeploymentError

LOG = logging.getLogger(__name__)
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
# Other names of MLflow's parameters, in its earlier versions and in plugins.
ALIASES = {
    "inputs": ("df", "input", "data", "input_data", "inputs_df"),
    "deployment_name": ("name", "deployment", "deployment_id"),
    "name": ("deployment_name", "deployment_id", "deployment", "endpoint_name", "endpoint"),
    "endpoint": ("endpoint_name", "name"),
    "target": ("target_uri",),
}
OTHERS = {"model_uri", "flavor", "config", "params"}
KNOWN = {*ALIASES, *(alias for aliases in ALIASES.values() for alias in aliases), *OTHERS}


@dataclass
class Argument:
    """An argument of MLflow's interface. `position` is its place there, if it has to have one.

    A value that is not None and cannot be passed is an error, or a warning if `may_drop` is true.
    """

    name: str
    value: Any
    position: int | None = None
    may_drop: bool = False


def invoke(function: Callable[..., Any], arguments: list[Argument]) -> Any:
    """Calls a function with the arguments that its signature takes."""
    positional, named = arrange(function, arguments)
    return function(*positional, **named)


def arrange(function: Callable[..., Any], arguments: list[Argument]) -> tuple[list[Any], dict[str, Any]]:
    """Returns the positional and the named arguments of a call."""
    try:
        parameters = dict(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # a function in C
        return [argument.value for argument in arguments if argument.position is not None], {}
    kinds = {parameter.kind for parameter in parameters.values()}
    by_position = [name for name, parameter in parameters.items() if parameter.kind in POSITIONAL]
    values: dict[str, Any] = {}
    extra: list[Any] = []
    rest: dict[str, Any] = {}
    for argument in sorted(arguments, key=lambda each: each.position is None):
        names = (argument.name, *ALIASES.get(argument.name, ()))
        candidates = [name for name in names if _is_named(parameters.get(name)) and name not in values]
        # The alias of one argument may be the name of another one that is passed too.
        others = {each.name for each in arguments if each is not argument}
        candidates = [name for name in candidates if name == argument.name or name not in others]
        index = argument.position
        if candidates:
            values[candidates[0]] = argument.value
        elif index is not None and index < len(by_position) and _is_free(by_position[index], values):
            values[by_position[index]] = argument.value
        elif inspect.Parameter.VAR_KEYWORD in kinds and (argument.value is not None or index is not None):
            rest[argument.name] = argument.value
        elif inspect.Parameter.VAR_POSITIONAL in kinds and index is not None:
            extra.append(argument.value)
        elif argument.name == "config" and argument.value:
            _spread(function, argument.value, parameters, values)
        elif argument.value is not None and argument.value != {}:
            _drop(function, argument)
    _remove_absent(parameters, values)
    _check_missing(function, parameters, values)
    # Arguments that cannot be named, and those before a variable number of arguments, go by position.
    unnamed = [name for name in by_position if extra or parameters[name].kind is POSITIONAL[0]]
    first = [values.pop(name) for name in unnamed if name in values]
    return first + extra, {**values, **rest}


def _is_named(parameter: inspect.Parameter | None) -> bool:
    return parameter is not None and parameter.kind in (POSITIONAL[1], inspect.Parameter.KEYWORD_ONLY)


def _is_free(name: str, values: dict[str, Any]) -> bool:
    """Returns true if the parameter at the place of an argument has a name of the plugin's own."""
    return name not in values and name not in KNOWN


def _spread(
    function: Callable[..., Any],
    config: dict[str, Any],
    parameters: dict[str, inspect.Parameter],
    values: dict[str, Any],
) -> None:
    """Passes the members of a config to parameters of their names, for a method without the parameter `config`."""
    for key, value in config.items():
        if _is_named(parameters.get(key)) and key not in values and key not in KNOWN:
            values[key] = value
        else:
            LOG.warning("the config `%s` has no effect: `%s` of the plugin takes no config", key, function.__name__)


def _drop(function: Callable[..., Any], argument: Argument) -> None:
    message = f"`{function.__name__}` of the Python plugin takes no `{argument.name}`"
    if not argument.may_drop:
        raise DeploymentError("INVALID_PARAMETER_VALUE", f"{message}: leave it out")
    LOG.warning("%s: it has no effect", message)


def _remove_absent(parameters: dict[str, inspect.Parameter], values: dict[str, Any]) -> None:
    """Leaves the defaults of the plugin in the place of absent arguments."""
    for name in [name for name, value in values.items() if value is None]:
        if parameters[name].default is not inspect.Parameter.empty:
            del values[name]


def _check_missing(
    function: Callable[..., Any], parameters: dict[str, inspect.Parameter], values: dict[str, Any]
) -> None:
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    missing = [
        name
        for name, parameter in parameters.items()
        if parameter.default is inspect.Parameter.empty and parameter.kind not in variable and name not in values
    ]
    # MLflow's own command passes these as None or as an empty dictionary.
    for name in missing:
        if name == "config":
            values[name] = {}
        elif name in ("flavor", "endpoint", "deployment_name", "model_uri"):
            values[name] = None
        else:
            message = (
                f"`{function.__name__}` of the Python plugin needs `{name}`, which MLflow's interface does not have"
            )
            raise DeploymentError(
                "INVALID_PARAMETER_VALUE", f"{message}: give it as a config, if the operation has one"
            )
