"""Compares MLflow's Python client of SageMaker with the same plugin through the bridge: results and requests.

Arguments: the built command, and the folder of the plugins in the repository.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import boto3
import mlflow.pyfunc
import pandas as pd

COMMAND, PLUGINS = sys.argv[1:3]
ROWS = {"columns": ["a", "b"], "data": [[5.5, 3.5], [6.0, 3.0]]}
CONFIG = {"execution_role_arn": "arn:aws:iam::123456789012:role/execution", "instance_type": "ml.m5.large",
          "instance_count": 1, "tags": {"team": "one"}}
TARGET = "sagemaker:/us-east-1"
FOLDER = tempfile.mkdtemp()
server = subprocess.Popen(
    [sys.executable, "-B", str(Path(__file__).with_name("server.py"))],
    stdout=subprocess.PIPE, stderr=open(f"{FOLDER}/server.log", "w"), text=True,
)  # fmt: skip
url = server.stdout.readline().strip()
os.environ.update(AWS_ENDPOINT_URL=url, AWS_ACCESS_KEY_ID="testing", AWS_SECRET_ACCESS_KEY="testing",
                  AWS_DEFAULT_REGION="us-east-1", MLFLOW_DISABLE_TELEMETRY="true", MLFLOW_LOGGING_LEVEL="ERROR")


class Sum(mlflow.pyfunc.PythonModel):
    """A model that adds the columns of each row."""

    def predict(self, context, model_input, params=None):
        return model_input.sum(axis=1).tolist()


MODEL = f"{FOLDER}/model"
mlflow.pyfunc.save_model(MODEL, python_model=Sum())


def ask(method, path):
    with urllib.request.urlopen(urllib.request.Request(url + path, method=method), timeout=60) as answer:
        return answer.read()


def prepare():
    """Empties the account, creates the repository of images, and forgets the requests so far."""
    ask("POST", "/moto-api/reset")
    boto3.client("ecr").create_repository(repositoryName="mlflow-pyfunc")
    ask("DELETE", "/recorded")


def recorded():
    """Returns the requests, with the same text in the place of each random name and of what an archive contains."""
    requests = json.loads(ask("DELETE", "/recorded"))
    names = {}

    def stable(text):
        return re.sub(r"[0-9a-z]{20}", lambda match: names.setdefault(match[0], f"name{len(names)}"), text)

    shown = []
    for method, host, path, target, body in requests:
        is_archive = path.endswith("model.tar.gz") and method == "PUT" and len(body) > 1000
        entry = [method, stable(path), target, "(archive)" if is_archive else stable(body)]
        # A client polls until a state is reached, as often as it takes.
        if not shown or shown[-1] != entry:
            shown.append(entry)
    return shown


def python_client():
    from mlflow.deployments import get_deploy_client

    client = get_deploy_client(TARGET)
    frame = pd.DataFrame(ROWS["data"], columns=ROWS["columns"])
    results = [client.create_deployment("iris", MODEL, config=dict(CONFIG, tags=dict(CONFIG["tags"])))["name"]]
    results.append([each["EndpointName"] for each in client.list_deployments()])
    results.append(client.get_deployment("iris")["EndpointStatus"])
    results.append(client.predict("iris", frame).get_predictions().iloc[:, 0].tolist())
    results.append(client.update_deployment("iris", MODEL, config=dict(CONFIG, tags=dict(CONFIG["tags"])))["name"])
    client.delete_deployment("iris")
    results.append(client.list_deployments())
    return results


def command(folder, *arguments, inputs=None):
    environment = {**os.environ, "MLFLOW_DEPLOY_PLUGIN_PATH_ONLY": "1", "HOME": folder}
    ran = subprocess.run([COMMAND, "--json", "--plugin-dir", folder, *arguments], env=environment, capture_output=True,
                         text=True, input=inputs, timeout=600)
    if ran.returncode:
        raise SystemExit(f"{' '.join(arguments)}: {ran.returncode}\n{ran.stdout}{ran.stderr}")
    return json.loads(ran.stdout or "null")


def through_the_bridge(folder, target):
    settings = [f"--config={key}:={json.dumps(value)}" for key, value in CONFIG.items()]
    place = ["-t", target]
    results = [command(folder, "create", *place, "--name", "iris", "-m", MODEL, *settings)["name"]]
    results.append([each["EndpointName"] for each in command(folder, "list", *place)])
    results.append(command(folder, "get", *place, "--name", "iris")["EndpointStatus"])
    rows = json.dumps({"dataframe_split": ROWS})
    predicted = command(folder, "predict", *place, "--name", "iris", "-I", "-", inputs=rows)["predictions"]
    results.append([next(iter(row.values())) if isinstance(row, dict) else row for row in predicted])
    results.append(command(folder, "update", *place, "--name", "iris", "-m", MODEL, *settings)["name"])
    command(folder, "delete", *place, "--name", "iris")
    results.append(command(folder, "list", *place))
    return results


try:
    folder = f"{FOLDER}/plugins"
    os.mkdir(folder)
    command(folder, "--plugin-dir", PLUGINS, "plugins", "add-python", "sagemaker", "--python", sys.executable, "--to", folder)
    prepare()
    expected, requests = python_client(), recorded()
    print("Python:", json.dumps(expected), len(requests), "requests")
    for target in (TARGET, "python:" + TARGET):
        prepare()
        found, sent = through_the_bridge(folder, target), recorded()
        print(f"{target}:", json.dumps(found), len(sent), "requests")
        if found != expected:
            raise SystemExit("the results differ")
        for number, (one, other) in enumerate(zip(requests, sent)):
            if one != other:
                raise SystemExit(f"request {number} differs:\n{one}\n{other}")
        if len(requests) != len(sent):
            raise SystemExit("the number of requests differs")
    print("the same results and the same requests")
finally:
    server.kill()
