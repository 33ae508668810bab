"""Runs MLflow's plugin `torchserve` through the bridge against a real TorchServe, and compares it with Python's own client.

Arguments: the built command, and the folder of the plugins in the repository.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import mlflow.pytorch
import torch

COMMAND, PLUGINS = sys.argv[1:3]
HANDLER = str(Path(__file__).with_name("handler.py"))
CONFIG = """inference_address=http://127.0.0.1:8080
management_address=http://127.0.0.1:8081
metrics_address=http://127.0.0.1:8082
number_of_gpu=0
"""
INPUTS = json.dumps({"data": "[[1, 2, 3], [4, 5, 6]]"})


class Sum(torch.nn.Module):
    """Adds the numbers of each row, and multiplies the sum by a factor."""

    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor

    def forward(self, rows):
        return rows.sum(dim=-1) * self.factor


def serve(folder):
    """Starts TorchServe, and waits until it answers. Returns its process."""
    (folder / "store").mkdir()
    (folder / "config.properties").write_text(CONFIG)
    command = [
        "torchserve", "--start", "--foreground", "--ncs", "--ts-config", folder / "config.properties",
        "--model-store", folder / "store", "--disable-token-auth", "--enable-model-api",
    ]  # fmt: skip
    variables = {**os.environ, "LOG_LOCATION": str(folder / "logs"), "METRICS_LOCATION": str(folder / "logs"), "TEMP": str(folder)}
    log = (folder / "torchserve.log").open("w")
    server = subprocess.Popen(command, stdout=log, stderr=log, env=variables, cwd=folder, start_new_session=True)
    for _ in range(240):
        try:
            print("TorchServe:", json.loads(urllib.request.urlopen("http://127.0.0.1:8080/ping", timeout=5).read()))
            return server
        except OSError:
            time.sleep(0.5)
    raise SystemExit((folder / "torchserve.log").read_text())


def run(folder, *arguments, inputs=None):
    variables = {**os.environ, "MLFLOW_DEPLOY_PLUGIN_PATH_ONLY": "1", "HOME": str(folder)}
    command = [COMMAND, "--json", "--plugin-dir", folder / "plugins", *arguments]
    return subprocess.run(command, env=variables, cwd=folder, capture_output=True, text=True, input=inputs, timeout=600)


def result(folder, *arguments, inputs=None):
    ran = run(folder, *arguments, inputs=inputs)
    if ran.returncode:
        raise SystemExit(f"{' '.join(map(str, arguments))}: {ran.returncode}\n{ran.stdout}{ran.stderr}")
    return json.loads(ran.stdout or "null")


def through_the_bridge(folder, target):
    """Runs every operation. Returns what Python's client is compared by."""
    place = ["-t", target]
    seen = {}

    def do(title, *arguments, inputs=None):
        start = time.monotonic()
        seen[title] = result(folder, *arguments, *place, inputs=inputs)
        print(f"{title}: {json.dumps(seen[title])[:300]} ({time.monotonic() - start:.1f} s)")
        return seen[title]

    create = ["create", "--name", "sum", "-C", f"handler={HANDLER}", "-m"]
    predict = ["predict", "-I", "-", "--option", "inputs=text", "--name"]
    do("create", *create, folder / "one")
    do("predict", *predict, "sum", inputs=INPUTS)
    do("create again", *create, folder / "two")
    do("predict with the second", *predict, "sum/2.0", inputs=INPUTS)
    do("update the default", "update", "--name", "sum/2.0", "-C", "set-default=true")
    do("predict with the default", *predict, "sum", inputs=INPUTS)
    do("update the workers", "update", "--name", "sum", "-C", "min_worker=2", "-C", "synchronous=true")
    do("list", "list")
    do("get", "get", "--name", "sum")
    workers = state(seen["get"]["deploy"])["workers"]
    print("workers:", [worker["status"] for worker in workers])
    assert len(workers) == 2, workers
    do("delete", "delete", "--name", "sum/1.0")
    do("get all", "get", "--name", "sum/all")
    do("delete the last", "delete", "--name", "sum/2.0")
    do("list at the end", "list")
    return {
        "create": seen["create"]["name"], "create again": seen["create again"]["name"],
        "predict": values(seen["predict"]), "predict with the second": values(seen["predict with the second"]),
        "predict with the default": values(seen["predict with the default"]), "list": names(seen["list"]),
        "version": state(seen["get"]["deploy"])["modelVersion"], "left": names(seen["list at the end"]),
    }  # fmt: skip


def by_any_name(folder):
    """Uses the target `python:torchserve`, which is the same plugin with the same variables."""
    place = ["-t", "python:torchserve", "--name", "sum"]
    created = result(folder, "create", *place, "-C", f"handler={HANDLER}", "-m", folder / "one")
    predicted = result(folder, "predict", *place, "-I", "-", "--option", "inputs=text", inputs=INPUTS)
    deleted = result(folder, "delete", *place)
    print("create, predict, delete:", created, predicted, deleted)
    assert (created["name"], predicted) == ("sum/1.0", [6.0, 15.0]), (created, predicted)


def python_client(folder):
    """Runs the same operations with MLflow's own client."""
    from mlflow.deployments import get_deploy_client

    os.environ["EXPORT_PATH"] = str(folder / "store")
    client = get_deploy_client("torchserve")
    seen = {"create": client.create_deployment("sum", str(folder / "one"), config={"handler": HANDLER})["name"]}
    seen["predict"] = values(client.predict("sum", INPUTS))
    seen["create again"] = client.create_deployment("sum", str(folder / "two"), config={"handler": HANDLER})["name"]
    seen["predict with the second"] = values(client.predict("sum/2.0", INPUTS))
    client.update_deployment("sum/2.0", config={"set-default": "true"})
    seen["predict with the default"] = values(client.predict("sum", INPUTS))
    client.update_deployment("sum", config={"min_worker": "2", "synchronous": "true"})
    seen["list"] = names(client.list_deployments())
    seen["version"] = state(client.get_deployment("sum")["deploy"])["modelVersion"]
    client.delete_deployment("sum/1.0")
    client.delete_deployment("sum/2.0")
    seen["left"] = names(client.list_deployments())
    return seen


def state(deploy):
    """Returns the state of the only version in a record, which is text in Python."""
    return (json.loads(deploy) if isinstance(deploy, str) else deploy)[0]


def values(prediction):
    """Returns the numbers of a prediction, which is text in Python."""
    return json.loads(prediction) if isinstance(prediction, str) else prediction


def names(records):
    """Returns the names in a list, whose entries have one key, the name, in Python."""
    return [each["name"] if "name" in each else next(iter(each)) for each in records]


def failures(folder):
    """Errors of TorchServe and of the plugin: each is one error, and the next call works."""
    for title, arguments, inputs, expected in (
        ("an unknown model", ["predict", "-I", "-", "--option", "inputs=text", "--name", "absent"], INPUTS, "404"),
        ("no JSON", ["predict", "-I", "-", "--option", "inputs=text", "--name", "absent"], "[1", "Unable to parse input json string"),
        ("get", ["get", "--name", "absent"], None, "404"),
        ("delete", ["delete", "--name", "absent"], None, "404"),
        ("no handler", ["create", "--name", "sum", "-m", folder / "one"], None, "HANDLER"),
        ("a path", ["create", "--name", "sum", "-C", f"handler={HANDLER}", "-m", folder / "absent"], None, "absent"),
    ):
        ran = run(folder, *arguments, "-t", "torchserve", inputs=inputs)
        shown = json.loads(ran.stderr.splitlines()[-1])["error"]
        print(f"{title}: {ran.returncode} {shown['code']}: {shown['message'][:250]}")
        assert ran.returncode and expected in shown["message"], ran
    assert result(folder, "list", "-t", "torchserve") == []


def main(folder):
    for name, factor in (("one", 1.0), ("two", 10.0)):
        mlflow.pytorch.save_model(torch.jit.script(Sum(factor)), folder / name, pip_requirements=[], serialization_format="pickle")
    (folder / "plugins").mkdir()
    server = serve(folder)
    try:
        os.environ["EXPORT_PATH"] = str(folder / "store")
        add = ["plugins", "add-python", "torchserve", "--python", sys.executable, "--to", folder / "plugins"]
        print("add-python:", json.dumps(result(folder, "--plugin-dir", PLUGINS, *add))[:600])
        expected = python_client(folder)
        print("Python:", json.dumps(expected))
        assert expected["predict"] == [6.0, 15.0] and expected["predict with the default"] == [60.0, 150.0], expected
        print("\n== torchserve")
        found = through_the_bridge(folder, "torchserve")
        assert found == expected, (found, expected)
        print("\n== python:torchserve")
        by_any_name(folder)
        print("\n== failures")
        failures(folder)
        print("\nEvery operation had the same results as in Python.")
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as created:
        main(Path(created))
