"""One call of the host: its chunks, its one reply, its events, and what the code of a plugin sees of it."""

from __future__ import annotations

import json
import logging
import threading
import time
import traceback
from concurrent.futures import Future
from contextvars import ContextVar
from typing import Any

from ._connection import CHUNK, EVENT, MAX_PART, REPLY, Connection
from ._values import JSON, DeploymentError, Payload, error_of

ENDLESS, MAX_MESSAGE = 0xFFFFFFFF, 1 << 16
CURRENT: ContextVar[Call | None] = ContextVar("call", default=None)


class Call:
    """The state of a call. `changed` is notified of credit and of the reply."""

    def __init__(self, connection: Connection, number: int, client: int, timeout_ms: int, credit: int) -> None:
        self.connection, self.number, self.client = connection, number, client
        self.deadline = time.monotonic() + timeout_ms / 1000 if timeout_ms else float("inf")
        self.changed = threading.Condition(threading.Lock())
        self.is_answered, self.answered_at, self._credit = False, float("inf"), 0.0
        self.task: Future[Any] | None = None
        self.grant(credit)

    def grant(self, chunks: int) -> None:
        with self.changed:
            self._credit += float("inf") if chunks == ENDLESS else chunks
            self.changed.notify_all()

    def _reply(self, status: int, first: bytes, second: bytes) -> bool:
        with self.changed:
            is_first, self.is_answered = not self.is_answered, True
            if is_first:
                self.answered_at = time.monotonic()
                self.connection.put(REPLY, status, self.number, first, second)
            self.changed.notify_all()
        return is_first

    def answer(self, payload: Payload) -> bool:
        """Sends the result. Returns false if the call already has a reply."""
        if len(payload.data) > MAX_PART:
            raise DeploymentError("RESOURCE_EXHAUSTED", "the result is larger than 512 MiB: return less")
        return self._reply(0, _head(payload), payload.data)

    def fail(self, error: BaseException) -> None:
        """Sends an error, unless the call already has a reply."""
        if not isinstance(error, DeploymentError) and not self.is_answered:
            lines = traceback.format_exception(type(error), error, error.__traceback__)
            send_event(self.connection, self.number, logging.DEBUG, "".join(lines))
        self._reply(1, b"", error_of(error))

    def stop(self, message: str, code: str = "CANCELLED") -> None:
        """Sends an error for a call that the plugin may still run, and cancels its task. Does not block."""
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


def _head(payload: Payload) -> bytes:
    return b"" if payload.content_type == JSON else json.dumps({"content_type": payload.content_type}).encode()


def send_event(connection: Connection, number: int, level: int, message: str, progress: float | None = None) -> None:
    event: dict[str, Any] = {"message": message[:MAX_MESSAGE]}
    event.update({} if progress is None else {"progress": min(max(float(progress), 0.0), 1.0)})
    word = 1 if level >= logging.ERROR else 2 if level >= logging.WARNING else 3 if level >= logging.INFO else 4
    connection.put(EVENT, word, number, second=json.dumps(event, ensure_ascii=False).encode("utf-8", "replace"))


class CurrentCall:
    """The call that runs the current code. Outside of a call nothing is cancelled, and progress is not sent."""

    @property
    def deadline(self) -> float:
        """The time on the clock of `time.monotonic()` at which the call ends. Infinite without a deadline."""
        return float(getattr(CURRENT.get(), "deadline", "inf"))

    def cancelled(self) -> bool:
        """Returns true if the call was ended by a cancel or by its deadline. A sync method then has to return."""
        return bool(getattr(CURRENT.get(), "is_answered", False))

    def wait(self, seconds: float) -> bool:
        """Waits, in a sync method. Returns false at once if the call is ended by a cancel or by its deadline."""
        current = CURRENT.get()
        changed = current.changed if current else threading.Condition()
        with changed:
            return not changed.wait_for(self.cancelled, min(seconds, threading.TIMEOUT_MAX))

    def progress(self, fraction: float | None, message: str) -> None:
        """Reports progress, from 0 to 1 or None, to the user of the host."""
        current = CURRENT.get()
        if current:
            send_event(current.connection, current.number, logging.INFO, message, fraction)


call = CurrentCall()


class EventHandler(logging.Handler):
    """Sends records of the module `logging` to the host, as events of the current call."""

    connection: Connection

    def emit(self, record: logging.LogRecord) -> None:
        number = getattr(CURRENT.get(), "number", 0)
        try:
            send_event(self.connection, number, record.levelno, record.getMessage())
            if record.exc_info:
                text = logging.Formatter().formatException(record.exc_info)
                send_event(self.connection, number, logging.DEBUG, text)
        except Exception:
            self.handleError(record)
