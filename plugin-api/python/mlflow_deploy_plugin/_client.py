"""The interface of a target, with MLflow's methods."""

from typing import Any, Optional

from ._values import Payload

Text = Optional[str]
Settings = Optional[dict[str, Any]]

# fmt: off


class DeploymentClient:
    """A client of a target. The plugin has the operations whose methods a subclass defines.

    A method may be `async`. `predict_stream` and `run_local` are generators, sync or async. Sync methods run on
    threads, several at a time; async methods run on one event loop. A result is a JSON value, text, bytes or a
    `Payload`: a record with `name` from `create_...` and `get_...`, a list of records from `list_...`. `delete_...`
    succeeds if there is nothing to delete. `run_local` yields `{"event": "ready", "url": ...}`, and serves the model
    until its call is cancelled. It and `target_help` belong to the class or to the module. `close` is optional.
    """

    # The operations are in the order of their slots.

    def __init__(self, target_uri: str, options: dict[str, Any]) -> None:
        """Opens a target, such as `words://host`, with the options that the manifest describes."""
        self.target_uri, self.options = target_uri, options

    @staticmethod
    def target_help() -> Any: ...
    @staticmethod
    def run_local(name: str, model_uri: str, flavor: Text = None, config: Settings = None,
                  target_uri: Text = None) -> Any: ...
    def create_deployment(self, name: str, model_uri: str, flavor: Text = None, config: Settings = None,
                          endpoint: Text = None) -> Any: ...
    def update_deployment(self, name: str, model_uri: Text = None, flavor: Text = None, config: Settings = None,
                          endpoint: Text = None) -> Any: ...
    def delete_deployment(self, name: str, config: Settings = None, endpoint: Text = None) -> Any: ...
    def get_deployment(self, name: str, endpoint: Text = None) -> Any: ...
    def list_deployments(self, endpoint: Text = None) -> Any: ...
    def create_endpoint(self, name: str, config: Settings = None) -> Any: ...
    def update_endpoint(self, endpoint: str, config: Settings = None) -> Any: ...
    def delete_endpoint(self, endpoint: str) -> Any: ...
    def get_endpoint(self, endpoint: str) -> Any: ...
    def list_endpoints(self) -> Any: ...
    def predict(self, deployment_name: Text = None, inputs: Payload = Payload(), endpoint: Text = None,
                config: Settings = None) -> Any: ...
    predict_stream = explain = predict
    def invoke(self, operation: str, name: Text = None, endpoint: Text = None, config: Settings = None,
               inputs: Payload = Payload()) -> Any: ...
    def close(self) -> Any: ...
