"""Tells which operations a plugin has. A method that only says that it is not supported is not an operation."""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import Any, Callable

from .registry import Plugin

METHODS = (
    "create_deployment update_deployment delete_deployment get_deployment list_deployments create_endpoint"
    " update_endpoint delete_endpoint get_endpoint list_endpoints predict predict_stream explain"
).split()
FUNCTIONS = ("target_help", "run_local")


def has_method(client: type[Any], name: str) -> bool:
    """Returns true if the class defines a method of MLflow's interface with some effect."""
    from mlflow.deployments import BaseDeploymentClient

    method = getattr(client, name, None)
    return callable(method) and method is not getattr(BaseDeploymentClient, name, None) and not is_stub(method)


def operations(plugin: Plugin) -> list[str]:
    functions = [(name, plugin.function(name)) for name in FUNCTIONS]
    found = [name for name, function in functions if function and not is_stub(function)]
    return found + [name for name in METHODS if has_method(plugin.client, name)]


def is_stub(function: Callable[..., Any]) -> bool:
    """Returns true if the body of a function only raises NotImplementedError, or does nothing."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return False
    definition = tree.body[0] if tree.body else None
    if not isinstance(definition, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return False
    body = definition.body
    has_text = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    body = body[1:] if has_text else body
    return not body or (len(body) == 1 and _does_nothing(body[0]))


def _does_nothing(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Raise):
        raised = statement.exc.func if isinstance(statement.exc, ast.Call) else statement.exc
        return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"
    is_ellipsis = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.Pass) or is_ellipsis
