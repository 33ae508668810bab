"""A deployment target that counts and streams words. Replace the methods with calls of your server."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, AsyncIterator

from mlflow_deploy_plugin import DeploymentClient, DeploymentError, Payload, serve

# The name of the only endpoint.
ENDPOINT = "words"


class Client(DeploymentClient):
    """A client of the target."""

    def __init__(self, target_uri: str, options: dict[str, Any]) -> None:
        super().__init__(target_uri, options)
        check(options, {"upper": bool})
        self.upper = options.get("upper", False)

    def list_endpoints(self) -> list[dict[str, Any]]:
        return [{"name": ENDPOINT}]

    def get_endpoint(self, endpoint: str) -> dict[str, Any]:
        if endpoint != ENDPOINT:
            raise DeploymentError("RESOURCE_DOES_NOT_EXIST", f"unknown endpoint `{endpoint}`: expected `{ENDPOINT}`")
        return {"name": ENDPOINT}

    async def predict(
        self,
        deployment_name: str | None = None,
        inputs: Payload = Payload(),
        endpoint: str | None = None,
        config: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        # A cancelled call ends here.
        await asyncio.sleep(delay(config))
        words = self.words(inputs)
        # `mlflow-deploy -v` prints this.
        logging.info("counted %d words", len(words))
        return {"words": len(words)}

    async def predict_stream(
        self,
        deployment_name: str | None = None,
        inputs: Payload = Payload(),
        endpoint: str | None = None,
        config: dict[str, Any] | None = None,
    ) -> AsyncIterator[str]:
        for word in self.words(inputs):
            await asyncio.sleep(delay(config))
            yield word

    def words(self, inputs: Payload) -> list[str]:
        words = inputs.text().split()
        return [word.upper() for word in words] if self.upper else words


def delay(config: dict[str, Any] | None) -> float:
    """Returns the seconds to wait before each word."""
    config = config or {}
    check(config, {"delay_ms": int})
    return float(max(0, config.get("delay_ms", 0)) / 1000)


def check(settings: dict[str, Any], known: dict[str, type]) -> None:
    """Fails if a setting is unknown, or has another type than the manifest says."""
    for key, value in settings.items():
        if key not in known:
            expected = ", ".join(f"`{name}`" for name in known)
            raise DeploymentError("INVALID_PARAMETER_VALUE", f"unknown setting `{key}`: expected {expected}")
        if type(value) is not known[key]:
            expected = known[key].__name__
            raise DeploymentError("INVALID_PARAMETER_VALUE", f"invalid `{key}`: expected a value of type `{expected}`")


if __name__ == "__main__":
    serve(Client)
