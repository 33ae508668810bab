"""Collects what a function prints, such as the help of plugins that print it and return nothing."""

from __future__ import annotations

import io
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Iterator

_COLLECTOR: ContextVar[io.StringIO | None] = ContextVar("printed", default=None)


class _Output(io.TextIOBase):
    """Writes to the standard output, or to the collector of the current call. Other threads are not affected."""

    def __init__(self, output: Any) -> None:
        self._output = output

    def write(self, text: str) -> int:
        collector = _COLLECTOR.get()
        return int((self._output if collector is None else collector).write(text))

    def flush(self) -> None:
        self._output.flush()

    def fileno(self) -> int:
        return int(self._output.fileno())

    def isatty(self) -> bool:
        return False


@contextmanager
def collected() -> Iterator[io.StringIO]:
    if not isinstance(sys.stdout, _Output):
        sys.stdout = _Output(sys.stdout)
    token = _COLLECTOR.set(io.StringIO())
    try:
        yield _COLLECTOR.get() or io.StringIO()
    finally:
        _COLLECTOR.reset(token)
