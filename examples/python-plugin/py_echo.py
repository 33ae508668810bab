"""A target that returns its inputs, and keeps deployments and endpoints in memory until its process ends."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, AsyncIterator, Dict, Iterator, Optional

# A project of `python3 -m mlflow_deploy_plugin new` has the SDK in its own folder, and needs no such line.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plugin-api" / "python"))

from mlflow_deploy_plugin import DeploymentClient, DeploymentError, Payload, call, serve  # noqa: E402

HELP = """# py-echo

Returns its inputs, for the endpoint `echo` and for each endpoint and deployment that exists. The option `upper` returns
text in upper case. The config `delay_ms` of a prediction is the time to wait.
"""
Settings = Optional[Dict[str, Any]]


class Store:
    """Named records. Every client of the process sees the same ones."""

    def __init__(self, kind: str, **records: dict[str, Any]) -> None:
        self.kind, self.records, self.lock = kind, records, threading.Lock()

    def create(self, name: str, **fields: Any) -> dict[str, Any]:
        if not name:
            raise DeploymentError("INVALID_PARAMETER_VALUE", f"the {self.kind} has no name: give one")
        with self.lock:
            if name in self.records:
                message = f"the {self.kind} `{name}` exists: update it, or choose another name"
                raise DeploymentError("RESOURCE_ALREADY_EXISTS", message)
            self.records[name] = {"name": name, **fields}
            return self.records[name]

    def get(self, name: str) -> dict[str, Any]:
        try:
            return self.records[name]
        except KeyError:
            known = ", ".join(f"`{each}`" for each in sorted(self.records)[:10]) or "none"
            message = f"unknown {self.kind} `{name}`: expected one of those that exist: {known}"
            raise DeploymentError("RESOURCE_DOES_NOT_EXIST", message) from None


DEPLOYMENTS, ENDPOINTS = Store("deployment"), Store("endpoint", echo={"name": "echo"})


class Echo(DeploymentClient):
    """A client of the target."""

    def __init__(self, target_uri: str, options: dict[str, Any]) -> None:
        super().__init__(target_uri, options)
        self.upper = setting(options, "upper", False)

    @staticmethod
    def target_help() -> Payload:
        return Payload(HELP.encode(), "text/markdown")

    def create_deployment(
        self, name: str, model_uri: str, flavor: str | None = None, config: Settings = None, endpoint: str | None = None
    ) -> dict[str, Any]:
        return DEPLOYMENTS.create(name, model_uri=model_uri, flavor=flavor, config=config or {})

    def update_deployment(
        self,
        name: str,
        model_uri: str | None = None,
        flavor: str | None = None,
        config: Settings = None,
        endpoint: str | None = None,
    ) -> dict[str, Any]:
        changes = {"model_uri": model_uri, "flavor": flavor, "config": config}
        record = DEPLOYMENTS.get(name)
        record.update({key: value for key, value in changes.items() if value is not None})
        return record

    def delete_deployment(self, name: str, config: Settings = None, endpoint: str | None = None) -> None:
        DEPLOYMENTS.records.pop(name, None)

    def get_deployment(self, name: str, endpoint: str | None = None) -> dict[str, Any]:
        return DEPLOYMENTS.get(name)

    def list_deployments(self, endpoint: str | None = None) -> list[dict[str, Any]]:
        return list(DEPLOYMENTS.records.values())

    def create_endpoint(self, name: str, config: Settings = None) -> dict[str, Any]:
        return ENDPOINTS.create(name or str((config or {}).get("name") or ""), config=config or {})

    def update_endpoint(self, endpoint: str, config: Settings = None) -> dict[str, Any]:
        record = ENDPOINTS.get(endpoint)
        record["config"] = config or {}
        return record

    def delete_endpoint(self, endpoint: str) -> None:
        ENDPOINTS.records.pop(endpoint, None)

    def get_endpoint(self, endpoint: str) -> dict[str, Any]:
        return ENDPOINTS.get(endpoint)

    def list_endpoints(self) -> list[dict[str, Any]]:
        return list(ENDPOINTS.records.values())

    def predict(
        self,
        deployment_name: str | None = None,
        inputs: Payload = Payload(),
        endpoint: str | None = None,
        config: Settings = None,
    ) -> Payload:
        """Returns the inputs. A method that is not async waits with `call.wait`, which a cancel ends."""
        self.check(deployment_name, endpoint)
        seconds = setting(config, "delay_ms", 0) / 1000
        if seconds:
            call.progress(0, f"waits for {seconds} s")
            call.wait(seconds)
        return self.echo(inputs.data, inputs.content_type)

    async def predict_stream(
        self,
        deployment_name: str | None = None,
        inputs: Payload = Payload(),
        endpoint: str | None = None,
        config: Settings = None,
    ) -> AsyncIterator[Payload]:
        """Yields the lines of the inputs. A cancel ends an async method at its next `await`."""
        self.check(deployment_name, endpoint)
        for line in inputs.data.splitlines(keepends=True):
            await asyncio.sleep(setting(config, "delay_ms", 0) / 1000)
            yield self.echo(line, inputs.content_type)

    def explain(
        self,
        deployment_name: str | None = None,
        inputs: Payload = Payload(),
        endpoint: str | None = None,
        config: Settings = None,
    ) -> dict[str, Any]:
        self.check(deployment_name, endpoint)
        logging.info("counts the bytes")
        return {"bytes": len(inputs.data), "content_type": inputs.content_type}

    def invoke(
        self,
        operation: str,
        name: str | None = None,
        endpoint: str | None = None,
        config: Settings = None,
        inputs: Payload = Payload(),
    ) -> dict[str, Any]:
        if operation != "count":
            raise DeploymentError("NOT_IMPLEMENTED", f"unknown operation `{operation}`: expected `count`")
        return {"deployments": len(DEPLOYMENTS.records), "endpoints": len(ENDPOINTS.records)}

    @staticmethod
    def run_local(
        name: str,
        model_uri: str,
        flavor: str | None = None,
        config: Settings = None,
        target_uri: str | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Serves until the call is cancelled. The generator is closed then, which stops the server."""
        server = ThreadingHTTPServer(("127.0.0.1", setting(config, "port", 0)), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield {"event": "ready", "url": f"http://127.0.0.1:{server.server_port}/"}
            call.wait(float("inf"))
        finally:
            server.shutdown()
            server.server_close()

    def check(self, deployment_name: str | None, endpoint: str | None) -> None:
        """Fails if the deployment or the endpoint does not exist."""
        if deployment_name is not None:
            DEPLOYMENTS.get(deployment_name)
        if endpoint is not None:
            ENDPOINTS.get(endpoint)

    def echo(self, data: bytes, content_type: str) -> Payload:
        return Payload(data.upper() if self.upper else data, content_type)


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:  # noqa: N802
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *values: Any) -> None:
        logging.info(format, *values)


def setting(settings: Settings, name: str, default: Any) -> Any:
    """Returns a setting. Fails if it has another type than its default."""
    value = (settings or {}).get(name, default)
    if type(value) is not type(default) or (isinstance(value, int) and value < 0):
        expected = "true or false" if isinstance(default, bool) else "an integer from 0"
        raise DeploymentError("INVALID_PARAMETER_VALUE", f"invalid `{name}` {json.dumps(value)}: expected {expected}")
    return value


if __name__ == "__main__":
    serve(Echo)
