"""Turns the exceptions of plugins into errors with codes, and with the status and the body of a failed response."""

from __future__ import annotations

import http.client
import json
import logging
import re
import traceback
from contextlib import contextmanager
from typing import Any, Iterator

from mlflow_deploy_plugin import DeploymentError

from .registry import describe

LOG = logging.getLogger(__name__)
# The traceback is for `mlflow-deploy -vv` alone, whatever the level of the plugin's log is.
LOG.setLevel(logging.DEBUG)
MAX_BODY = 8192
CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    409: "RESOURCE_ALREADY_EXISTS",
    422: "INVALID_PARAMETER_VALUE",
    429: "RESOURCE_EXHAUSTED",
    501: "NOT_IMPLEMENTED",
    502: "TEMPORARILY_UNAVAILABLE",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "TEMPORARILY_UNAVAILABLE",
}
# Codes of cloud services that say more than the status.
SERVICE_CODES = {
    "AccessDenied": "PERMISSION_DENIED",
    "AccessDeniedException": "PERMISSION_DENIED",
    "NoSuchBucket": "RESOURCE_DOES_NOT_EXIST",
    "NoSuchKey": "RESOURCE_DOES_NOT_EXIST",
    "ResourceInUse": "RESOURCE_ALREADY_EXISTS",
    "ResourceNotFound": "RESOURCE_DOES_NOT_EXIST",
    "ResourceNotFoundException": "RESOURCE_DOES_NOT_EXIST",
    "Throttling": "RESOURCE_EXHAUSTED",
    "ThrottlingException": "RESOURCE_EXHAUSTED",
}


@contextmanager
def translated() -> Iterator[None]:
    """Turns each exception of the code below into an error with a code."""
    try:
        yield
    except GeneratorExit:
        raise
    except BaseException as error:
        if isinstance(error, DeploymentError) and error.__cause__ is None:
            raise
        LOG.debug("%s", "".join(traceback.format_exception(type(error), error, error.__traceback__)).rstrip())
        if isinstance(error, DeploymentError):
            raise
        raise error_of(error) from error.__cause__


def error_of(error: BaseException) -> DeploymentError:
    """Returns the error for an exception."""
    if isinstance(error, DeploymentError):
        return error
    if isinstance(error, SystemExit):
        return DeploymentError("INTERNAL_ERROR", f"the Python plugin called sys.exit({error.code!r})")
    causes = list(chain(error))
    failure = next(filter(None, map(http_failure, causes)), None)
    service = next(filter(None, map(service_code, causes)), None)
    own = getattr(error, "error_code", None)
    details: dict[str, Any] = {"exception": f"{type(error).__module__}.{type(error).__qualname__}"}
    if isinstance(error, NotImplementedError):
        code, message = "NOT_IMPLEMENTED", str(error) or "the Python plugin does not support the operation"
    elif _is_code(own) and own != "INTERNAL_ERROR":
        code, message = str(own), getattr(error, "message", None) or str(error)
    elif service in SERVICE_CODES:
        code, message = SERVICE_CODES[service], str(error)
    elif service == "ValidationException" and "could not find" in str(error).lower():  # SageMaker's missing resources
        code, message = "RESOURCE_DOES_NOT_EXIST", str(error)
    elif failure:
        code, message = CODES.get(failure["status"], "INTERNAL_ERROR"), str(error)
    elif _is_unreachable(error):
        code, message = "TEMPORARILY_UNAVAILABLE", describe(error)
    elif _is_code(own):
        code, message = str(own), getattr(error, "message", None) or str(error)
    else:
        code, message = "INTERNAL_ERROR", describe(error)
    if service:
        details["error_code"] = service
    is_retryable = failure is not None and failure["status"] in (429, 503)
    return DeploymentError(code, str(message) or describe(error), retryable=is_retryable, http=failure, details=details)


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yields an exception, and those that caused it or that were being handled."""
    current: BaseException | None = error
    for _ in range(16):
        if current is None:
            return
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def service_code(error: BaseException) -> str | None:
    """Returns the code of a service that an error of botocore holds."""
    response = getattr(error, "response", None)
    details = response.get("Error") if isinstance(response, dict) else None
    return str(details.get("Code")) if isinstance(details, dict) else None


def http_failure(error: BaseException) -> dict[str, Any] | None:
    """Returns the failed response that an exception of an HTTP client, or of an SDK on one, holds."""
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        metadata = response.get("ResponseMetadata") or {}
        failure = _failure(metadata.get("HTTPStatusCode"), _json_text(response.get("Error")))
        if failure and metadata.get("RequestId"):
            failure["request_id"] = str(metadata["RequestId"])
        return failure
    for holder in (response, error):
        for name in ("status_code", "status", "code"):
            failure = _failure(_attribute(holder, name), _body(holder))
            if failure:
                return failure
    return None


def _failure(status: Any, body: str) -> dict[str, Any] | None:
    value = getattr(status, "value", status)  # http.HTTPStatus, grpc.StatusCode
    if isinstance(value, bool) or not isinstance(value, int) or not 400 <= value <= 599:
        return None
    return {"status": int(value), "body": body[:MAX_BODY] or http.client.responses.get(value, "")}


def _attribute(holder: Any, name: str) -> Any:
    try:
        return getattr(holder, name, None)
    except Exception:  # a property that fails
        return None


def _body(holder: Any) -> str:
    for name in ("text", "body", "content", "data"):
        value = _attribute(holder, name)
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        if isinstance(value, str):
            return value
        if isinstance(value, (dict, list)):
            return _json_text(value)
    return ""


def _json_text(value: Any) -> str:
    return json.dumps(value, default=str) if value else ""


def _is_code(code: Any) -> bool:
    return isinstance(code, str) and re.fullmatch("[A-Z][A-Z0-9_]*", code) is not None


def _is_unreachable(error: BaseException) -> bool:
    names = {"ConnectionError", "ConnectError", "ConnectTimeout", "EndpointConnectionError", "ServiceUnavailable"}
    return isinstance(error, ConnectionError) or any(each.__name__ in names for each in type(error).__mro__)
