"""Inputs, results and errors, and strict JSON."""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Mapping

JSON = "application/json"


class DeploymentError(Exception):
    """The error of an operation: one of MLflow's codes or the server's own, and a message that says what to do next.

    `retry_after` is in seconds. `http` is the response of a server: `{"status": 503, "body": "..."}`.
    """

    def __init__(self, code: str, message: str, *, retryable: bool = False, retry_after: float | None = None,
                 http: Mapping[str, Any] | None = None, details: Mapping[str, Any] | None = None) -> None:  # fmt: skip
        if not re.fullmatch("[A-Z][A-Z0-9_]*", code):
            raise ValueError(f"invalid code `{code}`: expected upper-case letters, digits and `_`")
        super().__init__(message)
        self.code, self.message, self.retryable, self.retry_after = code, message, retryable, retry_after
        self.http, self.details = http, details


class Payload:
    """Inputs or a result: bytes with a media type."""

    def __init__(self, data: bytes | bytearray | memoryview = b"", content_type: str = JSON) -> None:
        self.data, self.content_type = bytes(data), content_type

    def text(self) -> str:
        """Returns the data as text. Fails if it is not UTF-8."""
        try:
            return self.data.decode()
        except UnicodeDecodeError as error:
            raise invalid(f"the inputs are not UTF-8 at byte {error.start}: send them as UTF-8") from None

    def json(self) -> Any:
        """Returns the data as a JSON value. Fails if it is not JSON."""
        return read_json(self.data, "the inputs")


def invalid(message: str) -> DeploymentError:
    return DeploymentError("INVALID_PARAMETER_VALUE", message)


def read_json(data: bytes, name: str, parse_int: Callable[[str], Any] | None = None) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(f"`{constant}` is not JSON")

    try:
        return json.loads(data.decode(), parse_constant=refuse, parse_int=parse_int)
    except (ValueError, RecursionError) as error:
        raise invalid(f"{name} are not JSON: {error}") from None


def error_of(error: BaseException) -> bytes:
    """Returns an exception as an error in JSON."""
    if not isinstance(error, DeploymentError):
        code = "NOT_IMPLEMENTED" if isinstance(error, NotImplementedError) else "INTERNAL_ERROR"
        error = DeploymentError(code, f"{type(error).__name__}: {error}")
    fields = {name: value for name, value in vars(error).items() if value is not None}
    if error.retry_after is not None:
        fields["retry_after_ms"] = max(0, int(fields.pop("retry_after") * 1000))
    if error.__cause__:
        fields["causes"] = [f"{type(error.__cause__).__name__}: {error.__cause__}"]
    lenient = json.dumps(fields, default=str, skipkeys=True)
    return json.dumps(json.loads(lenient, parse_constant=str), ensure_ascii=False).encode("utf-8", "replace")


def payload_of(value: object) -> Payload:
    """Returns a result as a payload: text as `text/plain`, bytes as they are, any other value as JSON."""
    if isinstance(value, Payload):
        return value
    if isinstance(value, str):
        return Payload(value.encode("utf-8", "replace"), "text/plain")
    if isinstance(value, (bytes, bytearray, memoryview)):
        return Payload(value, "application/octet-stream")
    try:
        return Payload(_encode(value))
    except (TypeError, ValueError, RecursionError) as error:
        path, part = ("$", "nested too deep") if isinstance(error, RecursionError) else _fault(value, "$")
        text = f"the result is not JSON: `{path}` is {part!r:.100} of type `{type(part).__name__}`"
        raise ValueError(f"{text} ({error}): convert it to JSON first") from None


def _encode(value: object) -> bytes:
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()


def _fault(value: object, path: str) -> tuple[str, object]:
    """Returns the innermost part of `value` that is not JSON, with its path."""
    for key, part in value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ()):
        try:
            _encode(part)
        except (TypeError, ValueError):
            return _fault(part, f"{path}.{key}" if isinstance(value, dict) else f"{path}[{key}]")
    return path, value
