"""A plugin on the SDK whose operations do what the tests of the SDK need. The endpoint of a prediction names the behaviour."""

import asyncio
import datetime
import decimal
import logging
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "plugin-api" / "python"))

from mlflow_deploy_plugin import DeploymentClient, DeploymentError, Payload, call, serve  # noqa: E402

RESULTS = {
    "nan": lambda: {"a": [1.0, {"b": float("nan")}]},
    "infinity": lambda: float("inf"),
    "datetime": lambda: {"made": datetime.datetime(2026, 1, 2)},
    "decimal": lambda: [decimal.Decimal(1)],
    "key": lambda: {(1, 2): 3},
    "surrogate": lambda: {"text": "\ud800"},
    "none": lambda: None,
    "text": lambda: "é",
    "bytes": lambda: b"\x00\xff",
    "payload": lambda: Payload(b"<a/>", "text/xml"),
    "deep": lambda: nested(100_000),
    "unicode": lambda: {"é": "\u2028"},
}


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def in_child(pipe):
    # Uses all that could reach the connection.
    logging.error("from a child")
    call.progress(0.5, "from a child")
    pipe.send(os.readlink("/proc/self/fd/0") if os.path.exists("/proc/self/fd/0") else "/dev/null")
    pipe.close()


class Client(DeploymentClient):
    def __init__(self, target_uri, options):
        super().__init__(target_uri, options)
        if target_uri.endswith("slow"):
            logging.warning("opens")
            call.wait(3600)
        if target_uri.endswith("refused"):
            raise DeploymentError("UNAUTHENTICATED", "the token is wrong: set another one")

    def close(self):
        logging.warning("closed %s", self.target_uri)

    def get_endpoint(self, endpoint):
        return {"name": endpoint, "options": self.options}

    def delete_endpoint(self, endpoint):
        return None

    def create_deployment(self, name, model_uri, flavor=None, config=None):
        return {"name": name, "model_uri": model_uri, "flavor": flavor, "config": config}

    def update_deployment(self, name, model_uri=None, flavor=None, config=None, endpoint=None):
        return None

    async def explain(self, deployment_name=None, endpoint=None, config=None):
        if endpoint == "slow":
            try:
                await asyncio.sleep(3600)
            finally:
                logging.warning("the task ended")
        if endpoint == "exit":
            sys.exit(3)
        if endpoint == "exit-in-a-task":
            asyncio.get_running_loop().create_task(exiting())
            await asyncio.sleep(0.01)
        await asyncio.sleep(0)
        return {"deadline": call.deadline - time.monotonic() if call.deadline < 1e300 else None}

    def predict(self, deployment_name=None, inputs=Payload(), endpoint=None, config=None):
        if endpoint in RESULTS:
            return RESULTS[endpoint]()
        if endpoint == "echo":
            return inputs
        if endpoint == "json":
            return inputs.json()
        if endpoint == "words":
            return len(inputs.text().split())
        if endpoint == "wait":
            return {"waited": call.wait(3600)}
        if endpoint == "stuck":
            time.sleep(3600)
        if endpoint == "error":
            raise DeploymentError(
                "RESOURCE_EXHAUSTED", "slow down", retryable=True, retry_after=1.5,
                http={"status": 429, "body": "busy"}, details={"when": datetime.date(2026, 1, 2), "nan": float("nan")},
            ) from KeyError("x")
        if endpoint == "fault":
            return 1 // 0
        if endpoint == "exit":
            sys.exit("bye")
        if endpoint == "interrupt":
            raise KeyboardInterrupt
        if endpoint == "unimplemented":
            raise NotImplementedError("not here")
        if endpoint == "log":
            print("to stdout")
            os.write(1, b"to fd 1\n")
            logging.debug("debug")
            logging.info("info %s", 1)
            logging.warning("warning")
            try:
                1 // 0
            except ZeroDivisionError:
                logging.exception("failed")
            call.progress(0.25, "a quarter")
            call.progress(7, "more than all")
            call.progress(float("nan"), "unknown")
            return None
        if endpoint == "fork":
            ours, theirs = multiprocessing.Pipe(False)
            child = multiprocessing.get_context("fork").Process(target=in_child, args=[theirs])
            child.start()
            theirs.close()
            stdin = ours.recv()
            child.join()
            return {"stdin": stdin, "exit": child.exitcode}
        if endpoint == "programs":
            script = "ls -l /proc/self/fd 2>/dev/null | grep -c socket || true"
            return int(subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE).stdout or 0)
        if endpoint == "child":
            return subprocess.Popen(["sleep", "3600"]).pid
        if endpoint == "threads":
            return threading.active_count()
        if endpoint == "stop-python":
            import ctypes

            from mlflow_deploy_plugin import _process

            # The watchdog is set with this time at the next tick.
            _process.FROZEN = 3.0
            time.sleep(_process.TICK + 1)
            # Keeps the global lock, unlike the functions of a library that is loaded with `CDLL`.
            ctypes.PyDLL(None).sleep(3600)
        if endpoint == "abort":
            os.abort()
        raise DeploymentError("RESOURCE_DOES_NOT_EXIST", f"unknown endpoint `{endpoint}`")

    def predict_stream(self, deployment_name=None, inputs=Payload(), endpoint=None, config=None):
        if endpoint == "async":
            return self.stream_async(config or {})
        if endpoint == "list":
            return [1, "two", b"3"]
        if endpoint == "text":
            return "one chunk"
        return self.stream(config or {})

    def stream(self, config):
        try:
            for number in range(config["count"]):
                yield {"n": number}
            if config.get("fails"):
                raise DeploymentError("TEMPORARILY_UNAVAILABLE", "the server is gone: retry", retryable=True)
            if config.get("waits"):
                call.wait(3600)
        finally:
            logging.warning("the stream ended")

    async def stream_async(self, config):
        try:
            for number in range(config["count"]):
                yield {"n": number}
            if config.get("waits"):
                await asyncio.sleep(3600)
        finally:
            logging.warning("the stream ended")

    def invoke(self, operation, name=None, endpoint=None, config=None, inputs=Payload()):
        return [operation, name, endpoint, config, inputs.text(), inputs.content_type]


async def exiting():
    sys.exit(4)


def target_help():
    return Payload(b"# Help", "text/markdown")


async def run_local(name, model_uri, flavor=None, config=None):
    yield {"event": "ready", "url": f"http://127.0.0.1/{name}"}
    await asyncio.sleep(3600)


if __name__ == "__main__":
    serve(Client)
