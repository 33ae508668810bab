"""The process of a plugin: runs the calls of its host, and ends with it."""

from __future__ import annotations

import asyncio
import faulthandler
import inspect
import logging
import os
import signal
import stat
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from typing import Any, Callable, NoReturn

from . import _connection as wire
from ._call import CURRENT, Call, EventHandler
from ._client import DeploymentClient
from ._operations import SLOTS, function_of, read_arguments
from ._values import DeploymentError, Payload, invalid, payload_of

EARLY_CANCELS, MAX_STUCK = 1024, 64  # early cancels to remember; calls that may run on after their replies
GRACE, TICK, FROZEN = 1.0, 2.0, 60.0  # seconds: to end calls; between ticks; without a tick until the process ends


class Pool:
    """Runs each job on a free thread. A process forked on a thread of `concurrent.futures` would end with an error."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], Any]] = SimpleQueue()
        self._idle = threading.Semaphore(0)

    def run(self, job: Callable[..., Any], *arguments: Any) -> None:
        self._jobs.put(partial(job, *arguments))
        if not self._idle.acquire(blocking=False):
            threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            self._jobs.get()()
            CURRENT.set(None)
            self._idle.release()


class Process:
    """The calls and the clients of a process. One thread reads the connection, and never runs code of the plugin."""

    def __init__(self, client: type[DeploymentClient], connection: wire.Connection) -> None:
        self.client, self.connection, self.pool = client, connection, Pool()
        self.calls: dict[int, Call] = {}  # the calls that run, also those that already have a reply
        self.clients: dict[int, DeploymentClient] = {}
        self.closing: set[int] = set()
        self.early: dict[int, None] = {}
        self.is_due, self.next_deadline = threading.Event(), 0.0
        self.loop, self.is_shut_down = asyncio.new_event_loop(), False
        self.loop.set_default_executor(ThreadPoolExecutor(1024))

    def serve(self) -> None:
        """Serves the host until the end of the connection."""
        self.connection.put(wire.HELLO, 1, 1)
        version = self.connection.receive()
        if not version or version[:2] != (wire.VERSION, 1):
            return
        self.pool.run(self._keep)
        self.pool.run(self._run_loop)
        slots = sum(1 << slot for slot, name in SLOTS.items() if name == "shutdown" or function_of(self.client, name))
        if slots == 0b11:
            self.connection.put(wire.LOAD_FAILED, 0, 0, second=b'{"init": "the class defines no operation"}')
        else:
            self.connection.put(wire.LOADED, 0, 0, long=slots)
        while message := self.connection.receive():
            self._take(*message)
        self.connection.is_closed = True
        self._stop_all("the host has ended")

    def _take(self, kind: int, word: int, number: int, client: int, long: int, first: bytes, second: bytes) -> None:
        call = self.calls.get(number)
        if kind >= wire.CALL:
            self._begin(Call(self.connection, number, client, long, word), kind - wire.CALL, first, second)
        elif kind == wire.PING:
            self.connection.put(wire.PONG, 0, 0)
        elif kind == wire.CREDIT and call:
            call.grant(word)
        elif kind == wire.CANCEL and call:
            call.stop("the call was cancelled")
        elif kind == wire.CANCEL:
            self.early[number] = None
            if len(self.early) > EARLY_CANCELS:
                del self.early[next(iter(self.early))]
        elif kind == wire.CLOSE:
            for call in [call for call in list(self.calls.values()) if call.client == client]:
                call.stop("the client was closed")
            self._close(client)

    def _begin(self, call: Call, *message: Any) -> None:
        self.calls[call.number] = call
        if call.deadline < self.next_deadline:
            self.is_due.set()
        if self.early.pop(call.number, self) is not self:
            call.stop("the call was cancelled")
        self.pool.run(self._run, call, *message)

    def _run(self, call: Call, slot: int, first: bytes, second: bytes) -> None:
        CURRENT.set(call)
        try:
            if not call.is_answered:
                operation = SLOTS.get(slot, "")
                result = self._invoke(operation, call, slot, first, second)
                self._deliver(call, operation, self._wait(result, call))
        except BaseException as error:
            call.fail(error)
        self.calls.pop(call.number, None)

    def _invoke(self, operation: str, call: Call, slot: int, first: bytes, second: bytes) -> Any:
        if self.is_shut_down:
            raise invalid("the plugin was shut down")
        if operation == "shutdown":
            self.is_shut_down = True
            return self._stop_all("the plugin was shut down", call)
        function = function_of(self.client, operation)
        if function is None:
            raise DeploymentError("NOT_IMPLEMENTED", f"the target has no operation in slot {slot}")
        arguments = read_arguments(operation, function, first, second)
        if operation not in ("open", "target_help", "run_local"):
            if call.client not in self.clients:
                raise invalid(f"the client {call.client} is not open")
            function = getattr(self.clients[call.client], operation)
        return function(**arguments)

    def _deliver(self, call: Call, operation: str, result: Any) -> None:
        if operation == "open":
            self.clients[call.client] = result
            if not call.answer(Payload()):
                self._close(call.client)
        elif operation in ("run_local", "predict_stream"):
            if hasattr(result, "__aiter__"):
                self._wait(self._stream(call, result), call)
            else:
                is_chunk = isinstance(result, (str, bytes, dict, Payload))
                chunks = iter([result] if is_chunk else () if result is None else result)
                try:
                    for chunk in chunks:
                        call.send(payload_of(chunk))
                        if call.is_answered:
                            break
                finally:
                    getattr(chunks, "close", bool)()
            call.answer(Payload())
        else:
            is_json = result is not None or operation in ("predict", "explain", "invoke")
            call.answer(payload_of(result) if is_json else Payload())

    async def _stream(self, call: Call, chunks: Any) -> None:
        try:
            async for chunk in chunks:
                payload = payload_of(chunk)
                if not call.send(payload, may_block=False):
                    await self.loop.run_in_executor(None, call.send, payload)
                if call.is_answered:
                    break
        finally:
            await chunks.aclose()

    def _wait(self, result: Any, call: Call | None = None) -> Any:
        """Returns a result. If it is a coroutine, runs it on the event loop, and waits for it."""
        if not inspect.iscoroutine(result):
            return result
        task = asyncio.run_coroutine_threadsafe(result, self.loop)
        if call:
            call.task = task
            if call.is_answered:
                task.cancel()
        return task.result()

    def _run_loop(self) -> None:
        while True:
            try:
                self.loop.run_forever()
            except BaseException as error:  # such as the SystemExit of a task that the plugin has started
                logging.error("a task failed: %r", error)

    def _close(self, number: int) -> None:
        client = self.clients.pop(number, None)
        if client is not None:
            self.closing.add(number)
            self.pool.run(self._close_client, number, client)

    def _close_client(self, number: int, client: DeploymentClient) -> None:
        try:
            self._wait(client.close())
        except BaseException as error:
            logging.error("a client failed to close: %r", error)
        self.closing.discard(number)

    def _stop_all(self, reason: str, kept: Call | None = None) -> None:
        """Stops the calls except one, and closes the clients. Waits for them, but not long."""
        for call in list(self.calls.values()):
            if call is not kept:
                call.stop(reason)
        for number in list(self.clients):
            self._close(number)
        end_at = time.monotonic() + GRACE
        while (self.closing or len(self.calls) > (kept is not None)) and time.monotonic() < end_at:
            time.sleep(0.01)

    def _keep(self) -> None:
        """Replies to calls at their deadlines, and sets the watchdog again."""
        while True:
            # A thread of C code, which ends the process if Python cannot run: below a C function that keeps the GIL.
            faulthandler.dump_traceback_later(FROZEN, exit=True, file=2)
            now = time.monotonic()
            self.next_deadline = float("inf")  # a call that comes from here on sets the event
            calls = list(self.calls.values())
            stuck = sum(call.answered_at < now - TICK for call in calls)
            if stuck > MAX_STUCK:
                print(f"the process ends because {stuck} cancelled calls still run", file=sys.stderr)
                end()
            for call in calls:
                if call.deadline <= now and not call.is_answered:
                    call.stop("the target did not reply before the deadline: allow more time", "DEADLINE_EXCEEDED")
            self.next_deadline = min([now + TICK, *(call.deadline for call in calls if not call.is_answered)])
            self.is_due.wait(self.next_deadline - now)
            self.is_due.clear()


def end() -> NoReturn:
    """Ends the process, together with the programs that it has started."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def serve(client: type[DeploymentClient]) -> NoReturn:
    """Runs the calls that a host makes, until the host ends. The last line of a plugin's file."""
    if not stat.S_ISSOCK(os.fstat(0).st_mode):
        manifest = os.path.splitext(sys.argv[0])[0] + ".plugin.json"
        sys.exit(f"error: mlflow-deploy starts this program: use `mlflow-deploy predict --plugin {manifest} ...`")
    fd = os.dup(0)  # not inherited by other programs
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    faulthandler.enable(2, all_threads=False)
    sys.stdout = open(1, "w", buffering=1, closefd=False)
    try:
        connection = wire.Connection(fd)
        EventHandler.connection = connection
        logging.basicConfig(level=logging.INFO, handlers=[EventHandler()])
        Process(client, connection).serve()
    except BaseException:
        traceback.print_exc()
    end()
