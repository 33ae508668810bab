"""Reads and writes the messages of wire protocol 1. Never runs code of a plugin."""

from __future__ import annotations

import os
import socket
import struct
import threading
from queue import SimpleQueue
from typing import Any

CANCEL, CLOSE, CREDIT, PING, VERSION = range(1, 6)
HELLO, LOADED, LOAD_FAILED, REPLY, CHUNK, EVENT, PONG = range(16, 23)
CALL, MAX_PART = 256, 1 << 29
HEAD = struct.Struct("<IIQQQII")
# The places in a message that a kind uses, among: kind, word, call, client, long, first part, second part.
USED = {CANCEL: {2}, CLOSE: {3}, CREDIT: {1, 2}, PING: set[int](), VERSION: {1}}
COPIED, TOGETHER, FULL = 1 << 16, 2048, 1 << 20  # largest part that is copied; parts sent together; waiting bytes


class Connection:
    """The connection to the host. Any thread may send; one thread receives, another one writes."""

    def __init__(self, fd: int) -> None:
        self._socket, self._reader = socket.socket(fileno=fd), open(fd, "rb", 1 << 16, closefd=False)
        self._waiting: SimpleQueue[tuple[bytes, bytes]] = SimpleQueue()
        self.is_closed = False
        threading.Thread(target=self._write, daemon=True).start()
        os.register_at_fork(after_in_child=self._abandon)

    def _abandon(self) -> None:
        """Closes the connection in a forked process, which must not use it."""
        self.is_closed = True
        self._socket.close()

    def receive(self) -> tuple[Any, ...] | None:
        """Waits for a message. Returns None at the end of the connection, or if a message is not valid."""
        try:
            kind, *fields, first, second = HEAD.unpack(self._reader.read(HEAD.size))
            parts = [self._reader.read(size) for size in (first, second) if size <= MAX_PART]
        except (OSError, struct.error):
            return None
        message = (kind, *fields, *parts)
        used = {place for place in range(1, len(message)) if message[place]}
        is_valid = kind >= CALL or (kind in USED and used <= USED[kind])
        return message if is_valid and [len(part) for part in parts] == [first, second] else None

    def put(self, kind: int, word: int, call: int, first: bytes = b"", second: bytes = b"", long: int = 0) -> None:
        """Adds a message to those that the writer sends. Does not block."""
        if not self.is_closed:
            self._waiting.put((HEAD.pack(kind, word, call, 0, long, len(first), len(second)) + first, second))

    def is_full(self, size: int) -> bool:
        """Returns true if so many messages of a size wait that their sender should wait too."""
        return self._waiting.qsize() * max(size, 1 << 12) > FULL

    def _write(self) -> None:
        """Sends the messages, and those together that come at the same time. Blocks while the host does not read."""
        while True:
            parts = [*self._waiting.get()]
            while len(parts) < TOGETHER and not self._waiting.empty():
                parts += self._waiting.get()
            try:
                for part in parts if max(map(len, parts)) > COPIED else [b"".join(parts)]:
                    self._socket.sendall(part)
            except OSError:
                self.is_closed = True
