"""AWS on this machine: moto, with endpoints that run the uploaded models.

Prints its URL. moto has no UpdateEndpoint, and answers InvokeEndpoint with a constant. Here, InvokeEndpoint takes the model
out of S3, and MLflow's scoring server predicts with it. `GET /recorded` returns the requests since the last `DELETE /recorded`.
"""

import base64
import io
import json
import sys
import tarfile
import tempfile
import threading
from urllib.parse import urlsplit

import mlflow.pyfunc
import mlflow.pyfunc.scoring_server
from fastapi.testclient import TestClient
from moto.core.responses import ActionResult
from moto.s3.models import s3_backends
from moto.sagemaker.exceptions import ValidationError
from moto.sagemaker.models import sagemaker_backends
from moto.sagemaker.responses import SageMakerResponse
from moto.sagemakerruntime.responses import SageMakerRuntimeResponse
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

models, lock = {}, threading.Lock()


def update_endpoint(self):
    backend, name = self.sagemaker_backend, self._get_param("EndpointName")
    if name not in backend.endpoints:
        raise ValidationError(message=f"Could not find endpoint '{name}'.")
    endpoint, config_name = backend.endpoints[name], self._get_param("EndpointConfigName")
    config = backend.describe_endpoint_config(config_name)
    endpoint.endpoint_config_name = config_name
    endpoint.production_variants = endpoint._process_production_variants(config["ProductionVariants"])
    return ActionResult({"EndpointArn": endpoint.arn})


def scoring_server(url, account):
    """Returns a client of MLflow's scoring server for the archive of a model in S3."""
    with lock:
        if url not in models:
            place = urlsplit(url)
            archive = s3_backends[account]["aws"].get_object(place.netloc, place.path.lstrip("/"))
            folder = tempfile.mkdtemp()
            with tarfile.open(fileobj=io.BytesIO(archive.value)) as opened:
                opened.extractall(folder, filter="data")
            app = mlflow.pyfunc.scoring_server.init(mlflow.pyfunc.load_model(folder))
            models[url] = TestClient(app)
        return models[url]


def invoke_endpoint(self):
    name, account = urlsplit(self.uri).path.split("/")[2], self.current_account
    backend = sagemaker_backends[account][self.region]
    if name not in backend.endpoints:
        message = json.dumps({"Message": f"Endpoint {name} of account {account} not found."})
        return 400, {"status": 400, "Content-Type": "application/json", "x-amzn-ErrorType": "ValidationError:"}, message
    config = backend.describe_endpoint_config(backend.endpoints[name].endpoint_config_name)
    variant = config["ProductionVariants"][0]
    url = backend.describe_model(variant["ModelName"]).primary_container["ModelDataUrl"]
    media_type = self.headers.get("Content-Type", "application/json")
    answer = scoring_server(url, account).post("/invocations", content=self.body, headers={"Content-Type": media_type})
    headers = {"Content-Type": answer.headers["content-type"], "x-Amzn-Invoked-Production-Variant": variant["VariantName"]}
    if answer.status_code == 200:
        return 200, headers, answer.text
    message = f"the model answered {answer.status_code}: {answer.text}"
    text = {"OriginalMessage": answer.text, "OriginalStatusCode": answer.status_code, "Message": message}
    headers = {"status": 424, "Content-Type": "application/json", "x-amzn-ErrorType": "ModelError:"}
    return 424, headers, json.dumps(text)


SageMakerResponse.update_endpoint = update_endpoint
SageMakerRuntimeResponse.invoke_endpoint = invoke_endpoint


class Recorder:
    """Keeps every request before moto answers it."""

    def __init__(self, app):
        self.app, self.requests = app, []

    def __call__(self, environ, start_response):
        path = environ["PATH_INFO"]
        if path == "/recorded":
            answer = json.dumps(self.requests).encode()
            if environ["REQUEST_METHOD"] == "DELETE":
                self.requests = []
            start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
            return [answer]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        if not path.startswith("/moto-api"):
            target = environ.get("HTTP_X_AMZ_TARGET", "")
            text = base64.b64encode(body).decode() if b"\0" in body else body.decode("utf-8", "replace")
            self.requests.append([environ["REQUEST_METHOD"], environ.get("HTTP_HOST", ""), path, target, text])
        return self.app(environ, start_response)


server = make_server("127.0.0.1", 0, Recorder(DomainDispatcherApplication(create_backend_app)), threaded=True)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
sys.stdout = sys.stderr
server.serve_forever()
