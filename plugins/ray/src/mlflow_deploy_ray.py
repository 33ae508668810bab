"""Serves an MLflow model on Ray Serve with MLflow's own scoring server.

mlflow-deploy packs this file together with the model, and Serve imports it on the cluster. It needs nothing there but
`ray[serve]`, `mlflow` and the libraries of the model.
"""

import asyncio
import contextvars
import json
import os

from ray import serve

# The folder of an uploaded model, beside this file.
PACKED = "model"

# The value that follows the last chunk of a stream.
END = object()


def app(args):
    """Returns the application. Serve calls this function with the arguments of the config."""
    import mlflow  # noqa: F401 - fails here, before a replica starts, if the cluster lacks it.

    uri = args["model_uri"]

    def build():
        return scoring_app(uri)

    @serve.deployment(name="model")
    @serve.ingress(build)
    class Model:
        """A replica: the scoring server with the model."""

    return Model.bind()


def scoring_app(uri):
    """Loads the model and returns the ASGI application that answers its requests."""
    import mlflow
    from mlflow.pyfunc import scoring_server

    if uri == PACKED:
        uri = os.path.join(os.path.dirname(os.path.abspath(__file__)), PACKED)
    model = scoring_server.load_model_with_mlflow_config(uri)
    whole = scoring_server.init(model)
    if not hasattr(whole, "router"):
        raise RuntimeError(f"MLflow {mlflow.__version__} has no ASGI scoring server: install MLflow 3 on the cluster")
    return Streaming(whole, model)


class Streaming:
    """Answers requests for events with the chunks of a model that streams. Passes all other requests on, unchanged."""

    def __init__(self, whole, model):
        self.whole = whole
        self.model = model

    async def __call__(self, scope, receive, send):
        handler = self.stream if self.is_for_events(scope) else self.whole
        await handler(scope, receive, send)

    def is_for_events(self, scope):
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].endswith("/invocations"):
            return False
        headers = dict(scope["headers"])
        wanted = b"text/event-stream" in headers.get(b"accept", b"")
        is_json = headers.get(b"content-type", b"").startswith(b"application/json")
        return wanted and is_json and getattr(self.model, "_predict_stream_fn", None) is not None

    async def stream(self, scope, receive, send):
        from mlflow.exceptions import BAD_REQUEST, MlflowException
        from starlette.requests import Request
        from starlette.responses import Response, StreamingResponse

        body = await Request(scope, receive).body()
        chunks = Chunks(self.model, body)
        try:
            # The first chunk decides the status of the response.
            first = await chunks.next()
            response = StreamingResponse(chunks.events(first), media_type="text/event-stream")
        except Exception as error:  # noqa: BLE001 - the scoring server answers every failure of a model with JSON.
            if not isinstance(error, MlflowException):
                error = MlflowException(f"{type(error).__name__}: {error}", error_code=BAD_REQUEST)
            response = Response(error.serialize_as_json(), error.get_http_status_code(), media_type="application/json")
        await response(scope, receive, send)


class Chunks:
    """The chunks of one prediction. The model runs in threads, one after the other, but in one context, because MLflow
    sets and resets variables of the context."""

    def __init__(self, model, body):
        self.context = contextvars.copy_context()
        self.chunks = self.start(model, body)

    @staticmethod
    def start(model, body):
        from mlflow.pyfunc import scoring_server

        inputs = scoring_server._parse_json_data(body, model.metadata, model.metadata.get_input_schema())
        yield from model.predict_stream(inputs.data, params=inputs.params)

    async def next(self):
        """Returns the next chunk, or END."""
        return await asyncio.to_thread(self.context.run, next, self.chunks, END)

    async def events(self, chunk):
        """Yields this chunk and all later ones as server-sent events."""
        try:
            while chunk is not END:
                yield event(chunk)
                chunk = await self.next()
            yield "data: [DONE]\n\n"
        except Exception as error:  # noqa: BLE001 - the response has begun, so the error is its last event.
            yield event({"error": {"message": str(error), "type": type(error).__name__}})


def event(chunk):
    from mlflow.utils.proto_json_utils import NumpyEncoder

    return f"data: {json.dumps(chunk, cls=NumpyEncoder)}\n\n"
