"""The process of a plugin: runs the calls of its host, and ends with it."""

from __future__ import annotations

import asyncio
import faulthandler
import inspect
import logging
import os
import signal
import sys
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from queue import SimpleQueue
from typing import Any, Callable, NoReturn

from . import _connection as wire
from ._call import CURRENT, Call, EventHandler
from ._client import DeploymentClient
from ._operations import SLOTS, STATIC, function_of, read_arguments
from ._values import DeploymentError, Payload, invalid, payload_of

EARLY_CANCELS, MAX_STUCK = 1024, 64  # cancels to remember; calls that may run on after their replies
GRACE, TICK, FROZEN = 1.0, 2.0, 60.0  # seconds: to end calls; between ticks; without a tick until the process ends


class Process:
    """The calls and the clients of a process. One thread reads the connection, and never runs code of the plugin."""

    def __init__(self, client: type[DeploymentClient], connection: wire.Connection) -> None:
        self.client, self.connection = client, connection
        self.calls: dict[int, Call] = {}  # the calls that run, also those that already have a reply
        self.clients: dict[int, DeploymentClient] = {}
        self.closing, self.cancels = set[int](), deque[int](maxlen=EARLY_CANCELS)
        self.is_due, self.next_deadline, self.is_shut_down = threading.Event(), 0.0, False
        self.jobs: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
        self.idle, self.loop = threading.Semaphore(0), asyncio.new_event_loop()
        self.loop.set_default_executor(ThreadPoolExecutor(1024))

    def serve(self) -> None:
        """Serves the host until the end of the connection."""
        self.connection.put(wire.HELLO, 1, 1)
        if (self.connection.receive() or ())[:2] != (wire.VERSION, 1):
            return
        self._start(self._keep)
        self._start(self._run_loop)
        slots = sum(1 << slot for slot, operation in SLOTS.items() if function_of(self.client, operation))
        if slots == 0b11:
            self.connection.put(wire.LOAD_FAILED, 0, 0, second=b'{"init": "the class defines no operation"}')
        else:
            self.connection.put(wire.LOADED, 0, 0, long=slots)
        while message := self.connection.receive():
            self._take(*message)
        self.connection.is_closed = True
        self._shut_down()

    def _start(self, job: Callable[..., Any], *arguments: Any) -> None:
        """Runs a job on a free thread. A process forked on a thread of `concurrent.futures` would end with an error."""
        self.jobs.put((job, *arguments))
        if not self.idle.acquire(blocking=False):
            threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            Context().run(*self.jobs.get())
            self.idle.release()

    def _take(self, kind: int, word: int, number: int, client: int, long: int, first: bytes, second: bytes) -> None:
        call = self.calls.get(number)
        if kind >= wire.CALL:
            call = self.calls[number] = Call(number, client, long, word)
            if call.deadline < self.next_deadline:
                self.is_due.set()
            if number in self.cancels:
                call.stop("the call was cancelled")
            self._start(self._run, call, SLOTS.get(kind - wire.CALL, ""), first, second)
        elif kind == wire.PING:
            self.connection.put(wire.PONG, 0, 0)
        elif kind == wire.CREDIT and call:
            call.grant(word)
        elif kind == wire.CANCEL and call:
            call.stop("the call was cancelled")
        elif kind == wire.CANCEL:
            self.cancels.append(number)
        elif kind == wire.CLOSE:
            self._close({client}, "the client was closed")

    def _run(self, call: Call, operation: str, first: bytes, second: bytes) -> None:
        CURRENT.set(call)
        try:
            if not call.is_answered:
                self._deliver(call, operation, self._invoke(call, operation, first, second))
        except BaseException as error:
            call.fail(error)
        self.calls.pop(call.number, None)

    def _invoke(self, call: Call, operation: str, first: bytes, second: bytes) -> Any:
        if self.is_shut_down:
            raise invalid("the plugin was shut down")
        if operation == "shutdown":
            del self.calls[call.number]
            return self._shut_down()
        function = function_of(self.client, operation)
        if function is None:
            raise DeploymentError("NOT_IMPLEMENTED", "the target does not have this operation")
        arguments = read_arguments(operation, function, first, second)
        if operation not in ("open", *STATIC):
            if call.client not in self.clients:
                raise invalid(f"the client {call.client} is not open")
            function = getattr(self.clients[call.client], operation)
        return self._wait(call, function(**arguments))

    def _wait(self, call: Call, result: Any) -> Any:
        """Returns the result of a method. Runs a coroutine on the event loop, and waits for it."""
        if not inspect.iscoroutine(result):
            return result
        call.task = asyncio.run_coroutine_threadsafe(result, self.loop)
        if call.is_answered:
            call.task.cancel()
        return call.task.result()

    def _deliver(self, call: Call, operation: str, result: Any) -> None:
        if operation == "open":
            self.clients[call.client], result = result, Payload()
        elif result is None and operation not in ("predict", "explain", "invoke"):
            result = Payload()
        elif operation in ("run_local", "predict_stream"):
            send = self._send_async if hasattr(result, "__aiter__") else self._send
            self._wait(call, send(call, result))
            result = Payload()
        if not call.reply(payload_of(result)) and operation == "open":
            self._close({call.client}, "the call was cancelled")

    def _send(self, call: Call, result: Any) -> None:
        """Sends the chunks of a stream, until the call has its reply."""
        chunks = [result] if isinstance(result, (str, bytes, dict, Payload)) else result
        try:
            for chunk in chunks:
                call.send(payload_of(chunk))
                if call.is_answered:
                    break
        finally:
            getattr(chunks, "close", bool)()

    async def _send_async(self, call: Call, chunks: Any) -> None:
        try:
            async for chunk in chunks:
                payload = payload_of(chunk)
                if not call.send(payload, may_block=False):
                    await self.loop.run_in_executor(None, call.send, payload)
                if call.is_answered:
                    break
        finally:
            await chunks.aclose()

    def _run_loop(self) -> None:
        while True:
            try:
                self.loop.run_forever()
            except BaseException as error:  # such as the SystemExit of a task that the plugin has started
                logging.error("a task failed: %r", error)

    def _close(self, clients: set[int], why: str) -> None:
        """Stops the calls of clients, and closes the clients. Does not wait for them."""
        for call in list(self.calls.values()):
            if call.client in clients:
                call.stop(why)
        for number in clients:
            client = self.clients.pop(number, None)
            if client is not None:
                self.closing.add(number)
                self._start(self._close_client, number, client)

    def _close_client(self, number: int, client: DeploymentClient) -> None:
        try:
            self._wait(Call(), client.close())
        except BaseException as error:
            logging.error("a client failed to close: %r", error)
        self.closing.discard(number)

    def _shut_down(self) -> None:
        """Stops the calls, and closes the clients. Waits for them, but not long."""
        self.is_shut_down = True
        self._close({*self.clients, *(call.client for call in list(self.calls.values()))}, "the plugin was shut down")
        end_at = min(time.monotonic() + GRACE, CURRENT.get().deadline)
        while (self.calls or self.closing) and time.monotonic() < end_at:
            time.sleep(0.01)

    def _keep(self) -> None:
        """Replies to calls at their deadlines, and sets the watchdog again."""
        while True:
            # A thread of C code, which ends the process if Python cannot run: below a C function that keeps the GIL.
            faulthandler.dump_traceback_later(FROZEN, exit=True, file=2)
            now, self.next_deadline = time.monotonic(), float("inf")  # a call that comes from here on sets the event
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
    try:
        Call.connection = wire.Connection(os.dup(0))  # other programs do not inherit the duplicate
    except OSError:
        manifest = os.path.splitext(sys.argv[0])[0] + ".plugin.json"
        sys.exit(f"error: mlflow-deploy starts this program: use `mlflow-deploy predict --plugin {manifest} ...`")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    faulthandler.enable(2, all_threads=False)
    sys.stdout = open(1, "w", buffering=1, closefd=False)
    logging.basicConfig(level=logging.INFO, handlers=[EventHandler()])
    try:
        Process(client, Call.connection).serve()
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
    end()
