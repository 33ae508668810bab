"""Runs `run_local` of a plugin in a process of its own, which a cancel interrupts, as Ctrl-C does MLflow's command."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Iterator

from mlflow_deploy_plugin import DeploymentError, call

BRIDGE = Path(__file__).resolve().parents[1]
URL = re.compile(r"https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1?\])(?::\d+)?[^\s'\"<>)\]},]*")
# Seconds that interrupted processes have to end. If the host ends, they have as long as the bridge itself.
GRACE = 30.0


def serve(arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields the event `ready`, and serves the model until the call is cancelled or the plugin ends.

    The model is ready if the plugin prints an address of this machine, or if `run_local` returns.
    """
    reading, writing = os.pipe()
    command = [sys.executable, "-B", "-u", str(BRIDGE), "--run-local"]
    environment = {**os.environ, "MLFLOW_DEPLOY_RESULT_FD": str(writing)}
    child = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        pass_fds=[writing],
    )
    os.close(writing)
    try:
        yield from _serve(child, reading, arguments)
    finally:
        _interrupt(child)


def _serve(child: subprocess.Popen[bytes], reading: int, arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
    events: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_read_output, args=[child, events], daemon=True).start()
    threading.Thread(target=_read_result, args=[reading, events], daemon=True).start()
    assert child.stdin is not None
    child.stdin.write(json.dumps(arguments).encode())
    child.stdin.close()
    is_ready = False
    while not call.cancelled():
        try:
            kind, value = events.get(timeout=0.1)
        except queue.Empty:
            continue
        if kind == "url" and not is_ready:
            is_ready = True
            yield {"event": "ready", "url": value}
        elif kind == "result":
            if not value:
                status = child.wait()
                message = f"`run_local` of the Python plugin ended its process with status {status}"
                raise DeploymentError("INTERNAL_ERROR", message)
            outcome = json.loads(value)
            if "error" in outcome:
                error = outcome["error"]
                raise DeploymentError(error["code"], error["message"], details=error["details"])
            if not is_ready:
                yield {"event": "ready", "url": None}
            # What the plugin has started serves the model from here on.
            while not call.cancelled() and descendants(os.getpid()):
                call.wait(0.2)
            return


def _read_output(child: subprocess.Popen[bytes], events: queue.SimpleQueue[tuple[str, Any]]) -> None:
    assert child.stdout is not None
    for line in child.stdout:
        text = line.decode(errors="replace")
        print(text, end="", flush=True)
        found = URL.search(text)
        if found:
            events.put(("url", found[0].rstrip(".")))


def _read_result(reading: int, events: queue.SimpleQueue[tuple[str, Any]]) -> None:
    with open(reading, "rb") as pipe:
        events.put(("result", pipe.read()))


def descendants(root: int) -> list[int]:
    """Returns the processes that a process and its children have started, from /proc, or from `ps`."""
    parents: dict[int, int] = {}
    try:
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    fields = Path("/proc", entry, "stat").read_text().rsplit(")", 1)[1].split()
                except OSError:
                    continue
                if fields[0] != "Z":
                    parents[int(entry)] = int(fields[1])
    except OSError:
        listed = subprocess.run(["ps", "-Ao", "pid=,ppid="], stdout=subprocess.PIPE, text=True).stdout
        parents = {int(pid): int(parent) for pid, parent in (line.split() for line in listed.splitlines())}
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found[1:]


def _interrupt(child: subprocess.Popen[bytes]) -> None:
    """Ends the processes of a local model: with the signal of Ctrl-C, and then by force."""
    processes = [child.pid, *descendants(child.pid)]
    _signal(processes, signal.SIGINT)
    end = time.monotonic() + GRACE
    while child.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    _signal([*processes, *descendants(child.pid)], signal.SIGKILL)
    child.wait()


def _signal(processes: list[int], number: signal.Signals) -> None:
    for pid in processes:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass
