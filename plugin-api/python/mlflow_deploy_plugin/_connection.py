"""Reads and writes the messages of wire protocol 1. Never runs code of a plugin."""

from __future__ import annotations

import os
import socket
import struct
import threading
from typing import NamedTuple

CANCEL, CLOSE, CREDIT, PING, VERSION = range(1, 6)
HELLO, LOADED, LOAD_FAILED, REPLY, CHUNK, EVENT, PONG = range(16, 23)
CALL, MAX_PART = 256, 1 << 29
HEAD = struct.Struct("<IIQQQII")
USED = {CANCEL: "kind call", CLOSE: "kind client", CREDIT: "kind word call", PING: "kind", VERSION: "kind word"}
COPIED, FULL = 1 << 16, 1 << 18  # the largest part that is copied; the waiting bytes that a plugin has to send itself


class Message(NamedTuple):
    kind: int
    word: int
    call: int
    client: int
    long: int
    first: bytes
    second: bytes


class Connection:
    """The connection to the host. Any thread may send; one thread receives."""

    def __init__(self, fd: int) -> None:
        self._socket, self._reader = socket.socket(fileno=fd), open(fd, "rb", 1 << 16, closefd=False)
        self._lock, self._sending, self._due = threading.Lock(), threading.Lock(), threading.Event()
        self._tail, self._size, self._is_due, self.is_closed = bytearray(), 0, False, False
        self._parts: list[bytes | bytearray] = [self._tail]
        threading.Thread(target=self._send_due, daemon=True).start()
        os.register_at_fork(after_in_child=self._abandon)

    def _abandon(self) -> None:
        """Closes the connection in a forked process, which must not use it."""
        self.is_closed = True
        self._socket.close()

    def receive(self) -> Message | None:
        """Waits for a message. Returns None at the end of the connection, or if a message is not valid."""
        try:
            head = self._reader.read(HEAD.size)
            if len(head) < HEAD.size or max(HEAD.unpack(head)[5:]) > MAX_PART:
                return None
            kind, word, call, client, long, *sizes = HEAD.unpack(head)
            message = Message(kind, word, call, client, long, *map(self._reader.read, sizes))
        except OSError:
            return None
        used = list(Message._fields) if kind >= CALL else USED.get(kind, "").split()
        is_valid = all(name in used or not part for name, part in message._asdict().items())
        return message if is_valid and [len(message.first), len(message.second)] == sizes else None

    def put(self, kind: int, word: int = 0, call: int = 0, first: bytes = b"", second: bytes = b"", long: int = 0
            ) -> None:  # fmt: skip
        """Adds a message to those that are sent soon. Does not block."""
        if self.is_closed:
            return
        with self._lock:
            self._tail += HEAD.pack(kind, word, call, 0, long, len(first), len(second)) + first
            if len(second) > COPIED:
                self._tail = bytearray()
                self._parts += [second, self._tail]
            else:
                self._tail += second
            self._size += HEAD.size + len(first) + len(second)
            is_due, self._is_due = self._is_due, True
        if not is_due:
            self._due.set()

    def is_full(self) -> bool:
        return self._size > FULL

    def flush(self) -> None:
        """Sends the waiting messages. Blocks while the host does not read."""
        with self._sending:
            with self._lock:
                parts, self._tail, self._size, self._is_due = self._parts, bytearray(), 0, False
                self._parts = [self._tail]
            try:
                for part in parts:
                    self._socket.sendall(part)
            except OSError:
                self.is_closed = True

    def _send_due(self) -> None:
        """Sends what no other thread sends. The messages that came in the meantime are sent together."""
        while self._due.wait():
            self._due.clear()
            self.flush()
