"""Compares MLflow's Python client of SageMaker with the plugin `sagemaker`: results, operations, and the keys of their bodies.

Arguments: the built command, and the built library of the plugin.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import boto3
import mlflow.pyfunc
import pandas as pd

COMMAND, LIBRARY = sys.argv[1:3]
ROWS = {"columns": ["a", "b"], "data": [[5.5, 3.5], [6.0, 3.0]]}
CONFIG = {"execution_role_arn": "arn:aws:iam::123456789012:role/execution", "instance_type": "ml.m5.xlarge",
          "instance_count": 1, "tags": {"team": "one"}, "env": {"A": "1"}}
TARGET = "sagemaker:/us-east-1"
# The operations in which the clients differ, with the reason of each.
ONLY_PYTHON = {
    "GET /": "lists all buckets to find one",
    "PUT /BUCKET/KEY": "uploads in one request, below 8 MiB",
}
ONLY_PLUGIN = {
    "DescribeEndpoint": "finds an endpoint by its name, in the place of the pages of ListEndpoints",
    "DescribeEndpointConfig": "reads the models of an endpoint before it is deleted",
    "HEAD /BUCKET": "asks for the bucket that it needs",
    "POST /BUCKET/KEY?uploads": "begins an upload in parts",
    "PUT /BUCKET/KEY?partNumber": "uploads a part",
    "POST /BUCKET/KEY?uploadId": "ends an upload in parts",
}
FOLDER = tempfile.mkdtemp()
server = subprocess.Popen(
    [sys.executable, "-B", str(Path(__file__).with_name("server.py"))],
    stdout=subprocess.PIPE, stderr=open(f"{FOLDER}/server.log", "w"), text=True,
)  # fmt: skip
url = server.stdout.readline().strip()
os.environ.update(AWS_ENDPOINT_URL=url, AWS_ACCESS_KEY_ID="testing", AWS_SECRET_ACCESS_KEY="testing-0123456789",
                  AWS_DEFAULT_REGION="us-east-1", MLFLOW_DISABLE_TELEMETRY="true", MLFLOW_LOGGING_LEVEL="ERROR")


class Sum(mlflow.pyfunc.PythonModel):
    """A model that adds the columns of each row."""

    def predict(self, context, model_input, params=None):
        return model_input.sum(axis=1).tolist()


class Failing(mlflow.pyfunc.PythonModel):
    """A model that rejects all rows."""

    def predict(self, context, model_input, params=None):
        raise mlflow.exceptions.MlflowException("no such rows", error_code=mlflow.protos.databricks_pb2.BAD_REQUEST)


MODEL, FAILING = f"{FOLDER}/model", f"{FOLDER}/failing"
mlflow.pyfunc.save_model(MODEL, python_model=Sum())
mlflow.pyfunc.save_model(FAILING, python_model=Failing())


def ask(method, path):
    with urllib.request.urlopen(urllib.request.Request(url + path, method=method), timeout=60) as answer:
        return answer.read()


def prepare():
    """Empties the account, creates the repository of images, and forgets the requests so far."""
    ask("POST", "/moto-api/reset")
    boto3.client("ecr").create_repository(repositoryName="mlflow-pyfunc")
    ask("DELETE", "/recorded")


def recorded():
    """Returns the operations with the keys of their bodies."""
    operations = {}
    for method, _host, path, target, body in json.loads(ask("DELETE", "/recorded")):
        if target:
            name, keys = target.split(".")[1], set(json.loads(body))
        elif body.startswith("Action="):
            name, keys = re.match("Action=([A-Za-z]+)", body)[1], set()
        else:
            parts = path.strip("/").split("/")
            place = "/" if parts == [""] else path if parts[0] == "endpoints" else "/BUCKET" if len(parts) == 1 else "/BUCKET/KEY"
            name, keys = f"{method} {place}", set()
            if place == "/BUCKET/KEY" and (query := QUERIES.get((method, body[:9]))):
                name += query
        operations.setdefault(name, set()).update(keys)
    return operations


# The recorder keeps no queries: the bodies show them.
QUERIES = {("POST", ""): "?uploads", ("POST", "<Complete"): "?uploadId", ("PUT", "<Tagging "): "?tagging"}


def resources():
    client, storage = boto3.client("sagemaker"), boto3.client("s3")
    buckets = [bucket["Name"] for bucket in storage.list_buckets()["Buckets"]]
    return {
        "endpoints": len(client.list_endpoints()["Endpoints"]),
        "configs": len(client.list_endpoint_configs()["EndpointConfigs"]),
        "models": len(client.list_models()["Models"]),
        "objects": sum(storage.list_objects_v2(Bucket=bucket)["KeyCount"] for bucket in buckets),
        "uploads": sum(len(storage.list_multipart_uploads(Bucket=bucket).get("Uploads", [])) for bucket in buckets),
    }


def python_client():
    from mlflow.deployments import get_deploy_client

    client = get_deploy_client(TARGET)
    config = lambda: json.loads(json.dumps(CONFIG))  # noqa: E731
    frame = pd.DataFrame(ROWS["data"], columns=ROWS["columns"])
    results = [client.create_deployment("iris", MODEL, config=config())["name"]]
    results.append([each["EndpointName"] for each in client.list_deployments()])
    results.append(client.get_deployment("iris")["EndpointStatus"])
    results.append(client.predict("iris", frame).get_predictions().iloc[:, 0].tolist())
    results.append(client.update_deployment("iris", MODEL, config=config())["name"])
    results.append(resources())
    client.delete_deployment("iris")
    results.append([resources(), client.list_deployments()])
    return results


def command(*arguments, inputs=None, fails=False):
    environment = {**os.environ, "MLFLOW_DEPLOY_PLUGIN_PATH_ONLY": "1", "HOME": FOLDER}
    ran = subprocess.run([COMMAND, "--json", "--plugin-dir", f"{FOLDER}/plugins", *arguments, "-t", TARGET], env=environment,
                         capture_output=True, text=True, input=inputs, timeout=600)
    if fails:
        return ran.returncode, json.loads(ran.stderr.strip().splitlines()[-1])["error"]
    if ran.returncode:
        raise SystemExit(f"{' '.join(arguments)}: {ran.returncode}\n{ran.stdout}{ran.stderr}")
    return json.loads(ran.stdout or "null")


def change(verb, model, **extra):
    settings = [f"--config={key}:={json.dumps(value)}" for key, value in {**CONFIG, **extra}.items()]
    return [verb, "--name", "iris", "-m", model, *settings]


def predict(**options):
    return command("predict", "--name", "iris", "-I", "-", inputs=json.dumps({"dataframe_split": ROWS}), **options)


def plugin():
    results = [command(*change("create", MODEL))["name"]]
    results.append([each["EndpointName"] for each in command("list")])
    results.append(command("get", "--name", "iris")["EndpointStatus"])
    results.append([next(iter(row.values())) if isinstance(row, dict) else row for row in predict()["predictions"]])
    results.append(command(*change("update", MODEL))["name"])
    results.append(resources())
    command("delete", "--name", "iris")
    results.append([resources(), command("list")])
    return results


def failures():
    """Checks what MLflow's client does otherwise: errors, and what remains after a failure."""
    nothing = dict.fromkeys(["endpoints", "configs", "models", "objects", "uploads"], 0)
    code, error = command("get", "--name", "nope", fails=True)
    assert (code, error["code"]) == (5, "RESOURCE_DOES_NOT_EXIST"), error
    code, error = command("predict", "--name", "nope", "-I", "-", inputs='{"inputs": [1]}', fails=True)
    assert (code, error["code"]) == (5, "RESOURCE_DOES_NOT_EXIST"), error
    command("delete", "--name", "nope")
    # moto refuses a type of instances that does not exist, after the model is uploaded and created.
    code, error = command(*change("create", MODEL, instance_type="ml.none"), fails=True)
    assert code == 1 and resources() == nothing, (code, error, resources())
    command(*change("create", MODEL))
    before = resources()
    code, error = command(*change("update", MODEL, instance_type="ml.none"), fails=True)
    assert code == 1 and resources() == before, (code, error, resources())
    assert [next(iter(row.values())) if isinstance(row, dict) else row for row in predict()["predictions"]] == [9.0, 9.0]
    command(*change("update", FAILING))
    code, error = predict(fails=True)
    assert code == 1 and "no such rows" in error["message"], error
    command("delete", "--name", "iris")
    assert resources() == nothing, resources()


def compared(python, native):
    """Fails if the operations differ in another way than the lists above say, or if their bodies have other keys."""
    only = lambda one, other: set(one) - set(other)  # noqa: E731
    found = {
        "only Python": only(python, native) - set(ONLY_PYTHON), "only the plugin": only(native, python) - set(ONLY_PLUGIN),
        "other keys": {
            name: sorted(python[name] ^ native[name])
            for name in set(python) & set(native)
            if python[name] != native[name] and name != "ListEndpoints"
        },
    }  # fmt: skip
    if any(found.values()):
        raise SystemExit(f"the operations differ: {found}\nPython: {python}\nplugin: {native}")
    for title, names, reasons in [("Python", only(python, native), ONLY_PYTHON), ("the plugin", only(native, python), ONLY_PLUGIN)]:
        for name in sorted(names):
            print(f"only {title}: {name}: {reasons[name]}")


try:
    os.mkdir(f"{FOLDER}/plugins")
    shutil.copy(LIBRARY, f"{FOLDER}/plugins")
    prepare()
    expected, python = python_client(), recorded()
    print("Python:", json.dumps(expected))
    prepare()
    found, native = plugin(), recorded()
    print("plugin:", json.dumps(found))
    if found != expected:
        raise SystemExit("the results differ")
    compared(python, native)
    prepare()
    failures()
    print("the same results, and the differences above")
finally:
    server.kill()
