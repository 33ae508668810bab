"""Turns inputs into the Python values that plugins expect: data frames, arrays, JSON or text."""

from __future__ import annotations

import io
from typing import Any

from mlflow_deploy_plugin import DeploymentError, Payload

# The values of the option `inputs`.
FORMS = ("auto", "dataframe", "array", "json", "text", "bytes")


def read(inputs: Payload, form: str) -> tuple[Any, Any]:
    """Returns the inputs in a form, and their parameters, which are the member `params` of a request for a model."""
    media = inputs.content_type.split(";")[0].strip().lower()
    if form == "text":
        return inputs.text(), None
    if form == "bytes":
        return inputs.data, None
    if media == "text/csv" and form in ("auto", "dataframe", "array"):
        frame = _csv(inputs)
        return (frame.to_numpy() if form == "array" else frame), None
    if not _is_json(media):
        if form == "auto":
            return (inputs.text() if media.startswith("text/") else inputs.data), None
        raise invalid(f"inputs of the type `{media}` are not {form}: expected application/json or text/csv")
    value = inputs.json() if inputs.data.strip() else None
    if form == "json":
        return value, None
    return _tabular(value, form)


def invalid(message: str) -> DeploymentError:
    return DeploymentError("INVALID_PARAMETER_VALUE", message)


def _is_json(media: str) -> bool:
    return media in ("application/json", "") or media.endswith("+json")


def _csv(inputs: Payload) -> Any:
    pandas = _pandas()
    try:
        return pandas.read_csv(io.BytesIO(inputs.data))
    except Exception as error:
        raise invalid(f"the inputs are not CSV: {error}") from None


def _tabular(value: Any, form: str) -> tuple[Any, Any]:
    """Reads the forms of requests that MLflow's scoring server knows, and lists of records."""
    params = None
    if isinstance(value, dict):
        keys = [key for key in ("dataframe_split", "dataframe_records", "instances", "inputs") if key in value]
        if len(keys) == 1 and not value.keys() - {keys[0], "params"}:
            params = value.get("params")
            return _as(form, _convert(keys[0], value[keys[0]])), params
    if form == "auto":
        is_records = isinstance(value, list) and value and all(isinstance(each, dict) for each in value)
        return (_frame(value) if is_records else value), None
    if form == "array":
        return _as(form, _array(value)), None
    if isinstance(value, dict) and {"columns", "data"} <= value.keys():
        return _convert("dataframe_split", value), None
    return _frame(value), None


def _as(form: str, value: Any) -> Any:
    is_frame = hasattr(value, "to_numpy")
    if form == "array" and is_frame:
        return value.to_numpy()
    return _frame(value) if form == "dataframe" and not is_frame else value


def _convert(key: str, value: Any) -> Any:
    if key == "dataframe_split":
        if not isinstance(value, dict) or "data" not in value:
            raise invalid("`dataframe_split` is not valid: expected an object with `columns` and `data`")
        known = {name: value[name] for name in ("data", "columns", "index") if value.get(name) is not None}
        return _frame(**known)
    if key == "dataframe_records":
        return _frame(value)
    if key == "inputs" and isinstance(value, dict):
        return {name: _array(column) for name, column in value.items()}
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        if key == "inputs":
            return value
        names = list(dict.fromkeys(name for row in value for name in row))
        return {name: _array([row.get(name) for row in value]) for name in names}
    return _array(value)


def _frame(data: Any, **options: Any) -> Any:
    pandas = _pandas()
    try:
        return pandas.DataFrame(data, **options)
    except Exception as error:
        raise invalid(f"the inputs are not a table: {error}") from None


def _array(value: Any) -> Any:
    try:
        import numpy
    except ImportError:
        raise _missing("numpy") from None
    try:
        return numpy.array(value)
    except ValueError as error:
        raise invalid(f"the inputs are not a tensor: {error}") from None


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise _missing("pandas") from None
    return pandas


def _missing(package: str) -> DeploymentError:
    hint = "install it in the plugin's Python, or give the option `inputs=json`"
    return DeploymentError("INVALID_PARAMETER_VALUE", f"these inputs need the package {package}: {hint}")
