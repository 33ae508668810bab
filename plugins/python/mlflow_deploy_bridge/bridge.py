"""The client of the bridge: opens a Python plugin, and passes the operations of the host to it."""

from __future__ import annotations

import asyncio
import inspect
import threading
from functools import lru_cache
from typing import Any, Iterator

from mlflow_deploy_plugin import DeploymentClient, DeploymentError, Payload, call, serve

from . import inputs as forms
from . import local
from .errors import translated
from .operations import has_method
from .printed import collected
from .records import maybe_record, record, records
from .registry import Plugin, entry_points, inner, load
from .results import chunk, prediction
from .signatures import Argument, invoke

NOTHING = Payload()
# The name of the plugin, if the process serves only one.
ONLY: list[str] = []
LOADING = threading.Lock()


@lru_cache(maxsize=None)
def _loaded(name: str) -> Plugin:
    with translated():
        return load(name)


def plugin_of(name: str) -> Plugin:
    with LOADING:
        return _loaded(name)


class Bridge(DeploymentClient):
    """A client of a Python plugin."""

    def __init__(self, target_uri: str, options: dict[str, Any]) -> None:
        super().__init__(target_uri, options)
        name, uri = inner(target_uri)
        if ONLY and name != ONLY[0]:
            expected = f"expected `{ONLY[0]}`, or a URI that begins with `{ONLY[0]}:`"
            raise forms.invalid(f"invalid target `{target_uri}`: {expected}")
        options = dict(options)
        self.form = options.pop("inputs", "auto")
        if self.form not in forms.FORMS:
            known = ", ".join(f"`{form}`" for form in forms.FORMS)
            raise forms.invalid(f"invalid option `inputs` `{self.form}`: expected one of {known}")
        self.plugin = plugin_of(name)
        call.progress(0.9, f"opens {uri}")
        arguments = [Argument("target_uri", uri, 0), *(Argument(key, value) for key, value in options.items())]
        with translated():
            self.client = invoke(self.plugin.client, arguments)

    def _invoke(self, operation: str, *arguments: Argument) -> Any:
        """Calls the method of an operation. Fails if the plugin does not have it."""
        if not has_method(self.plugin.client, operation):
            raise DeploymentError(
                "NOT_IMPLEMENTED", f"the Python plugin `{self.plugin.name}` does not have `{operation}`"
            )
        with translated():
            result = invoke(getattr(self.client, operation), list(arguments))
            return asyncio.run(_finished(result)) if inspect.isawaitable(result) else result

    def create_deployment(
        self, name: str, model_uri: str, flavor: str | None = None, config: Any = None, endpoint: str | None = None
    ) -> Any:
        given = [Argument("name", name, 0), Argument("model_uri", model_uri, 1), Argument("flavor", flavor, 2)]
        return record(self._invoke("create_deployment", *given, *_settings(config, endpoint)), name)

    def update_deployment(
        self,
        name: str,
        model_uri: str | None = None,
        flavor: str | None = None,
        config: Any = None,
        endpoint: str | None = None,
    ) -> Any:
        given = [Argument("name", name, 0), Argument("model_uri", model_uri, 1), Argument("flavor", flavor, 2)]
        return maybe_record(self._invoke("update_deployment", *given, *_settings(config, endpoint)), name)

    def delete_deployment(self, name: str, config: Any = None, endpoint: str | None = None) -> None:
        self._invoke("delete_deployment", Argument("name", name, 0), *_settings(config, endpoint))

    def get_deployment(self, name: str, endpoint: str | None = None) -> Any:
        return record(self._invoke("get_deployment", Argument("name", name, 0), Argument("endpoint", endpoint)), name)

    def list_deployments(self, endpoint: str | None = None) -> Any:
        return records(self._invoke("list_deployments", Argument("endpoint", endpoint)))

    def create_endpoint(self, name: str, config: Any = None) -> Any:
        return record(self._invoke("create_endpoint", Argument("name", name, 0), *_settings(config)), name)

    def update_endpoint(self, endpoint: str, config: Any = None) -> Any:
        given = Argument("endpoint", endpoint, 0)
        return maybe_record(self._invoke("update_endpoint", given, *_settings(config)), endpoint)

    def delete_endpoint(self, endpoint: str) -> None:
        self._invoke("delete_endpoint", Argument("endpoint", endpoint, 0))

    def get_endpoint(self, endpoint: str) -> Any:
        return record(self._invoke("get_endpoint", Argument("endpoint", endpoint, 0)), endpoint)

    def list_endpoints(self) -> Any:
        return records(self._invoke("list_endpoints"))

    def predict(
        self,
        deployment_name: str | None = None,
        inputs: Payload = NOTHING,
        endpoint: str | None = None,
        config: Any = None,
    ) -> Any:
        result = self._predict("predict", deployment_name, inputs, endpoint, config)
        with translated():
            return prediction(result)

    def explain(
        self,
        deployment_name: str | None = None,
        inputs: Payload = NOTHING,
        endpoint: str | None = None,
        config: Any = None,
    ) -> Any:
        result = self._predict("explain", deployment_name, inputs, endpoint, config)
        with translated():
            return prediction(result, as_records=True)

    def predict_stream(
        self,
        deployment_name: str | None = None,
        inputs: Payload = NOTHING,
        endpoint: str | None = None,
        config: Any = None,
    ) -> Iterator[Any]:
        result = self._predict("predict_stream", deployment_name, inputs, endpoint, config)
        with translated():
            is_one = isinstance(result, (str, bytes, dict)) or not hasattr(result, "__iter__")
            for each in [result] if is_one else result:
                yield chunk(each)

    def _predict(
        self, operation: str, deployment: str | None, inputs: Payload, endpoint: str | None, config: Any
    ) -> Any:
        value, params = forms.read(inputs, self.form)
        given = [Argument("deployment_name", deployment, 0, may_drop=True), Argument("inputs", value, 1)]
        given += [Argument("endpoint", endpoint), Argument("params", params, may_drop=True)]
        return self._invoke(operation, *given, Argument("config", config or None, may_drop=True))

    def close(self) -> None:
        close = getattr(self.client, "close", None)
        if callable(close):
            with translated():
                invoke(close, [])

    @staticmethod
    def target_help() -> Any:
        if not ONLY:
            names = "".join(f"- `python:{name}`: {point.value}\n" for name, point in sorted(entry_points().items()))
            text = f"# Python plugins\n\nTargets are `python:NAME:/...`. Installed names:\n\n{names}"
            return Payload(text.encode(), "text/markdown")
        return help_of(plugin_of(ONLY[0]))

    @staticmethod
    def run_local(
        name: str, model_uri: str, flavor: str | None = None, config: Any = None, target_uri: str | None = None
    ) -> Iterator[Any]:
        plugin, uri = inner(target_uri or "".join(ONLY))
        given = {"name": name, "model_uri": model_uri, "flavor": flavor, "config": config}
        return local.serve({"plugin": plugin, "target_uri": uri, **given})


def help_of(plugin: Plugin) -> str:
    """Returns the help that a plugin returns or prints."""
    function = plugin.function("target_help")
    if function is None:
        return f"The Python plugin `{plugin.name}` has no help."
    with translated(), collected() as printed:
        returned = invoke(function, [])
    text = printed.getvalue() + ("" if returned is None else str(returned))
    return text.strip("\n") or f"The help of the Python plugin `{plugin.name}` is empty."


async def _finished(result: Any) -> Any:
    return await result


def _settings(config: Any, *endpoint: str | None) -> list[Argument]:
    # MLflow's own command passes an empty config.
    return [Argument("config", config or {}, may_drop=True), *(Argument("endpoint", each) for each in endpoint)]


def main(name: str | None) -> None:
    if name is not None:
        ONLY.append(name)
    serve(Bridge)
