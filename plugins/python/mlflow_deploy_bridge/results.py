"""Turns the results of plugins into strict JSON."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import decimal
import enum
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from mlflow_deploy_plugin import Payload

# Values below this depth, such as those of an object that contains itself, become text.
MAX_DEPTH = 60
# Methods of the objects of SDKs, which return what the object holds.
EXPORTS = ("as_dict", "to_dict", "serialize", "asdict", "to_json_dict")


def prediction(value: Any, as_records: bool = False) -> Any:
    """Returns a prediction or an explanation. A table or an array becomes `{"predictions": ...}`, or its rows alone."""
    if isinstance(value, Payload):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, str):
        return _text(value)
    own = _own_json(value)
    if own is not None:
        return own
    is_table = _is_frame(value) or _is_series(value) or _is_array(value)
    converted = plain(value)
    return {"predictions": converted} if is_table and not as_records else converted


def chunk(value: Any) -> Any:
    """Returns one chunk of a stream."""
    return value if isinstance(value, (Payload, bytes, str)) else prediction(value)


def plain(value: Any, depth: int = 0) -> Any:
    """Returns a value as JSON: NaN and infinities are null, dates are ISO text, objects are what they hold."""
    if value is None or isinstance(value, (bool, int)) and type(value) in (bool, int):
        return value
    if isinstance(value, enum.Enum):
        return plain(value.value, depth + 1)
    if isinstance(value, str):
        return str(value).encode("utf-8", "replace").decode()
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, int):
        return int(value)
    if depth > MAX_DEPTH:
        return "..."
    if isinstance(value, decimal.Decimal):
        return (int(value) if value == value.to_integral_value() else float(value)) if value.is_finite() else None
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat() if value == value else None  # NaT is a datetime that is not equal to itself
    if isinstance(value, datetime.timedelta):
        return value.total_seconds() if value == value else None
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(bytes(value)).decode()
    if _is_frame(value):
        names = [str(name) for name in value.columns]
        rows = value.itertuples(index=False, name=None)
        return [{name: plain(each, depth + 2) for name, each in zip(names, row)} for row in rows]
    if _is_series(value) or _is_array(value):
        return plain(value.tolist(), depth + 1)
    if _is_numpy_scalar(value):
        return _numpy_scalar(value, depth)
    if isinstance(value, Mapping):
        return {_key(key): plain(member, depth + 1) for key, member in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(each, depth + 1) for each in value]
    return _object(value, depth)


def _object(value: Any, depth: int) -> Any:
    if callable(getattr(type(value), "model_dump", None)):  # Pydantic 2
        return plain(value.model_dump(), depth + 1)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        members = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return plain(members, depth + 1)
    for name in EXPORTS:
        if callable(getattr(type(value), name, None)):
            return _exported(value, name, depth)
    if callable(getattr(type(value), "json", None)) and hasattr(type(value), "__fields__"):  # Pydantic 1
        return plain(value.dict(), depth + 1)
    if isinstance(value, Iterable) and not isinstance(value, type):
        return [plain(each, depth + 1) for each in value]
    if str(value) in ("NaT", "<NA>"):
        return None
    if hasattr(value, "__dict__") and not isinstance(value, type) and not callable(value):
        members = {key: member for key, member in vars(value).items() if not key.startswith("_")}
        if members:
            return plain(members, depth + 1)
    return str(value).encode("utf-8", "replace").decode()


def _exported(value: Any, name: str, depth: int) -> Any:
    try:
        exported = getattr(value, name)()
    except TypeError:  # the method needs arguments
        return str(value)
    return str(value) if exported is value else plain(exported, depth + 1)


def _own_json(value: Any) -> Any:
    """Returns the JSON of an object whose class defines `to_json` itself, such as a subclass of PredictionsResponse."""
    method = getattr(type(value), "to_json", None)
    module = getattr(method, "__module__", "") or ""
    if not callable(method) or module.split(".")[0] in ("pandas", "mlflow"):
        return None
    try:
        text = value.to_json()
        return plain(json.loads(text)) if isinstance(text, (str, bytes)) else None
    except (TypeError, ValueError):
        return None


def _text(value: str) -> Any:
    """Returns text. Text that is a JSON object or list is JSON."""
    if value.lstrip()[:1] in ("{", "["):
        try:
            return plain(json.loads(value))
        except (ValueError, RecursionError):
            pass
    return str(value)


def _key(key: Any) -> str:
    value = plain(key)
    return value if isinstance(value, str) else json.dumps(value)


def _is_frame(value: Any) -> bool:
    return _comes_from(value, "pandas") and hasattr(value, "itertuples") and hasattr(value, "columns")


def _is_series(value: Any) -> bool:
    return _comes_from(value, "pandas") and hasattr(value, "tolist") and hasattr(value, "dtype")


def _is_array(value: Any) -> bool:
    """Returns true for an array of numpy, or a tensor of another package with the same interface."""
    return hasattr(value, "tolist") and hasattr(value, "shape") and tuple(value.shape) != ()


def _is_numpy_scalar(value: Any) -> bool:
    return hasattr(value, "item") and hasattr(value, "dtype")


def _numpy_scalar(value: Any, depth: int) -> Any:
    if getattr(value.dtype, "kind", "") in ("m", "M"):  # as text, because the item of a nanosecond is an integer
        return None if str(value) == "NaT" else str(value)
    item = value.item()
    return str(value) if item is value or type(item) is type(value) else plain(item, depth + 1)


def _comes_from(value: Any, package: str) -> bool:
    return any(each.__module__.split(".")[0] == package for each in type(value).__mro__)
