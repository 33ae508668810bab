"""Plays a host's half of wire protocol 1 over a socket pair, message by message.

It shares no code with the SDK, so that a fault of one is not hidden by the other.
"""

import json
import os
import queue
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections import namedtuple

HEAD = struct.Struct("<IIQQQII")
SLOTS = (
    "open shutdown target_help run_local create_deployment update_deployment delete_deployment get_deployment"
    " list_deployments create_endpoint update_endpoint delete_endpoint get_endpoint list_endpoints predict predict_stream"
    " explain invoke"
).split()
CANCEL, CLOSE, CREDIT, PING, VERSION = 1, 2, 3, 4, 5
HELLO, LOADED, LOAD_FAILED, REPLY, CHUNK, EVENT, PONG = 16, 17, 18, 19, 20, 21, 22
ENDLESS = 0xFFFFFFFF
# The limit of every wait: a test that reaches it has failed.
LIMIT = 600

Message = namedtuple("Message", "kind word call client long first second")


class Failed(Exception):
    """The error that a plugin replied with."""

    def __init__(self, fields):
        super().__init__(f"{fields['code']}: {fields['message']}")
        self.fields, self.code, self.message = fields, fields["code"], fields["message"]


class Host:
    """A process of a plugin, and this end of its connection."""

    def __init__(self, argv, env=None, cwd=None, handshake=True):
        ours, theirs = socket.socketpair()
        self.socket, self.reader = ours, ours.makefile("rb", 1 << 16)
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **(env or {})}
        self.process = subprocess.Popen(
            argv, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, cwd=cwd,
            start_new_session=True,
        )
        theirs.close()
        self.log, self.events, self.pongs = [], [], queue.Queue()
        self.replies, self.chunks, self.order = {}, {}, []
        self.next_id, self.changed = 1, threading.Condition()
        self.is_ended = False
        self.logger = threading.Thread(target=self._read_log, daemon=True)
        self.logger.start()
        if handshake:
            self.hello = self.receive()
            assert (self.hello.kind, self.hello.word, self.hello.call) == (HELLO, 1, 1), self.hello
            self.send(VERSION, word=1)
            while (message := self.receive()).kind == EVENT:
                self.events.append(message)
            self.loaded = message
            self.slots = [name for slot, name in enumerate(SLOTS) if message.long >> slot & 1]
            threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Closes the connection, and returns the seconds that the process needs to end."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        try:
            self.process.wait(LIMIT)
        finally:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.reader.close()
        self.socket.close()
        self.logger.join(LIMIT)
        self.process.stdout.close()

    def _read_log(self):
        for line in self.process.stdout:
            self.log.append(line.decode(errors="replace").rstrip("\n"))

    def send(self, kind, word=0, call=0, client=0, long=0, first=b"", second=b""):
        self.socket.sendall(HEAD.pack(kind, word, call, client, long, len(first), len(second)) + first + second)

    def receive(self):
        head = self.reader.read(HEAD.size)
        if len(head) < HEAD.size:
            raise EOFError("the process closed the connection; its log:\n" + "\n".join(self.log))
        *fields, first, second = HEAD.unpack(head)
        return Message(*fields, self.reader.read(first), self.reader.read(second))

    def _read(self):
        try:
            while True:
                message = self.receive()
                with self.changed:
                    self._take(message)
                    self.changed.notify_all()
        except (EOFError, OSError, ValueError):
            with self.changed:
                self.is_ended = True
                self.changed.notify_all()

    def _take(self, message):
        if message.kind == REPLY:
            assert message.call not in self.replies, f"a second reply to {message.call}"
            assert message.word in (0, 1), message
            self.replies[message.call] = message
            self.order.append(message.call)
        elif message.kind == CHUNK:
            assert message.call not in self.replies, f"a chunk after the reply to {message.call}"
            self.chunks.setdefault(message.call, []).append(message)
        elif message.kind == EVENT:
            self.events.append(message)
        elif message.kind == PONG:
            self.pongs.put(message)
        else:
            raise AssertionError(f"a message of kind {message.kind}")

    def wait(self, condition, what):
        with self.changed:
            if not self.changed.wait_for(lambda: condition() or self.is_ended, LIMIT) or not condition():
                raise AssertionError(f"{what} did not happen; the log:\n" + "\n".join(self.log))

    def start(self, slot, client=0, body=b"", credit=0, timeout_ms=0, head=None, number=None, **arguments):
        """Sends a call, and returns its id."""
        slot = SLOTS.index(slot) if isinstance(slot, str) else slot
        if number is None:
            number, self.next_id = self.next_id, self.next_id + 1
        first = json.dumps(arguments).encode() if head is None else head
        self.send(256 + slot, credit, number, client, timeout_ms, first, body)
        return number

    def reply(self, number):
        """Waits for the reply to a call. Returns its result, or raises `Failed`."""
        self.wait(lambda: number in self.replies, f"the reply to {number}")
        message = self.replies[number]
        if message.word:
            assert message.first == b"", message
            error = json.loads(message.second, parse_constant=_refuse)
            assert error["code"].replace("_", "").isalnum() and error["code"].isupper() and error["message"], error
            raise Failed(error)
        return value_of(message)

    def call(self, slot, client=0, **arguments):
        return self.reply(self.start(slot, client, **arguments))

    def stream(self, slot, client=0, credit=ENDLESS, **arguments):
        number = self.start(slot, client, credit=credit, **arguments)
        self.reply(number)
        return [value_of(chunk) for chunk in self.chunks.get(number, [])]

    def open(self, target_uri, client=1, **options):
        arguments = {"options": options} if options else {}
        self.call("open", client, target_uri=target_uri, **arguments)
        return client

    def cancel(self, number):
        self.send(CANCEL, call=number)

    def credit(self, number, chunks):
        self.send(CREDIT, word=chunks, call=number)

    def events_of(self, number):
        return [(event.word, json.loads(event.second)) for event in self.events if event.call == number]


def _refuse(name):
    raise AssertionError(f"{name} is not JSON")


def value_of(message):
    """Returns a result: the JSON value, or the bytes and their media type."""
    head = json.loads(message.first) if message.first else {}
    content_type = head.get("content_type", "application/json")
    if content_type == "application/json":
        return json.loads(message.second, parse_constant=_refuse) if message.second else None
    return content_type, message.second


def plugin(*arguments):
    """Returns the arguments that start a plugin with this interpreter."""
    return [sys.executable, "-B", *map(str, arguments)]
