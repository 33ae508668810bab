"""One call of the host: its chunks, its one reply, its events, and what the code of a plugin sees of it."""

from __future__ import annotations

import json
import logging
import threading
import time
from concurrent.futures import Future
from contextvars import ContextVar
from typing import Any, ClassVar

from ._connection import CHUNK, EVENT, MAX_PART, REPLY, Connection
from ._values import JSON, DeploymentError, Payload, error_of

ENDLESS, MAX_MESSAGE, FORMATTER = 0xFFFFFFFF, 1 << 16, logging.Formatter()


class Call:
    """The state of a call. `changed` is notified of credit and of the reply. The number 0 means outside of a call."""

    connection: ClassVar[Connection]

    def __init__(self, number: int = 0, client: int = 0, timeout_ms: int = 0, credit: int = 0) -> None:
        self.number, self.client = number, client
        self.deadline = time.monotonic() + timeout_ms / 1000 if timeout_ms else float("inf")
        self.changed = threading.Condition(threading.Lock())
        self.is_answered, self.answered_at, self._credit = False, float("inf"), 0.0
        self.task: Future[Any] | None = None
        self.grant(credit)

    def grant(self, chunks: int) -> None:
        with self.changed:
            self._credit += float("inf") if chunks == ENDLESS else chunks
            self.changed.notify_all()

    def reply(self, payload: Payload, status: int = 0) -> bool:
        """Sends the result, or an error. Returns false if the call already has a reply."""
        with self.changed:
            if self.is_answered:
                return False
            self.connection.put(REPLY, status, self.number, _head(payload), payload.data)
            self.is_answered, self.answered_at = True, time.monotonic()
            self.changed.notify_all()
            return True

    def fail(self, error: BaseException) -> None:
        """Sends an error, unless the call already has a reply."""
        if not isinstance(error, DeploymentError) and not self.is_answered:
            self.event(logging.DEBUG, FORMATTER.formatException((type(error), error, error.__traceback__)))
        self.reply(Payload(error_of(error)), status=1)

    def stop(self, message: str, code: str = "CANCELLED") -> None:
        """Fails a call that the plugin may still run, and cancels its task. Does not block."""
        self.fail(DeploymentError(code, message))
        if self.task:
            self.task.cancel()

    def send(self, chunk: Payload, may_block: bool = True) -> bool:
        """Sends a chunk, unless the call has its reply. Returns false if that would block."""
        with self.changed:
            while not self.is_answered and (self._credit <= 0 or self.connection.is_full(len(chunk.data))):
                if not may_block:
                    return False
                self.changed.wait(0.001 if self._credit > 0 else None)
            if not self.is_answered:
                self._credit -= 1
                self.connection.put(CHUNK, 0, self.number, _head(chunk), chunk.data)
        return True

    def event(self, level: int, message: str, progress: float | None = None) -> None:
        """Sends an event with a level of the module `logging`."""
        event: dict[str, Any] = {"message": message[:MAX_MESSAGE]}
        if progress is not None:
            event["progress"] = min(max(0.0, float(progress)), 1.0)
        word = 1 if level >= logging.ERROR else 2 if level >= logging.WARNING else 3 if level >= logging.INFO else 4
        data = json.dumps(event, ensure_ascii=False).encode("utf-8", "replace")
        self.connection.put(EVENT, word, self.number, second=data)


CURRENT: ContextVar[Call] = ContextVar("call", default=Call())


def _head(payload: Payload) -> bytes:
    if len(payload.data) > MAX_PART:
        raise DeploymentError("RESOURCE_EXHAUSTED", "the result is larger than 512 MiB: return less")
    return b"" if payload.content_type == JSON else json.dumps({"content_type": payload.content_type}).encode()


class CurrentCall:
    """The call that runs the current code. Outside of a call nothing is cancelled, and progress is not sent."""

    @property
    def deadline(self) -> float:
        """The time on the clock of `time.monotonic()` at which the call ends. Infinite without a deadline."""
        return CURRENT.get().deadline

    def cancelled(self) -> bool:
        """Returns true if the call was ended by a cancel or by its deadline. A sync method then has to return."""
        return CURRENT.get().is_answered

    def wait(self, seconds: float) -> bool:
        """Waits, in a sync method. Returns false at once if the call is ended by a cancel or by its deadline."""
        with (changed := CURRENT.get().changed):
            return not changed.wait_for(self.cancelled, min(seconds, threading.TIMEOUT_MAX))

    def progress(self, fraction: float | None, message: str) -> None:
        """Reports progress, from 0 to 1 or None, to the user of the host."""
        if CURRENT.get().number:
            CURRENT.get().event(logging.INFO, message, fraction)


call = CurrentCall()


class EventHandler(logging.Handler):
    """Sends records of the module `logging` to the host, as events of the current call."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            CURRENT.get().event(record.levelno, record.getMessage())
            if record.exc_info:
                CURRENT.get().event(logging.DEBUG, FORMATTER.formatException(record.exc_info))
        except Exception:
            self.handleError(record)
