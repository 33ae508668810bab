"""Checks what the replicas get from elsewhere: packages of pip, and a model in S3."""

import json
import logging
import time
import zipfile
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer

from command import ROWS, SMALL, fails, run, seconds


def pip(models):
    """A model that needs a package, which only a wheel on this machine has."""
    wheel = write_wheel(models)
    shown = fails("ModuleNotFoundError: No module named 'tally'", "create", "--name", "counts", "-m", str(models / "counts"), config=SMALL)
    print("without the package:", shown["message"])
    start = time.monotonic()
    packages = ["--no-index", f"--find-links={wheel.parent}", "tally==2.5"]
    created = run("create", "--name", "counts", "-m", str(models / "counts"), config={**SMALL, "pip": packages})
    answer = run("predict", "--name", "counts", "-I", "-", stdin='{"inputs": [1, 2, 3]}')
    print("with", packages, "->", created["status"], json.dumps(answer), seconds(start))
    assert answer == {"predictions": ["tally 2.5 counts 3"]}, answer
    start = time.monotonic()
    wide = run("update", "--name", "counts", config={"num_replicas": 2, "deployment": {"max_replicas_per_node": 1}})
    answers = [run("predict", "--name", "counts", "-I", "-", stdin='{"inputs": [1]}') for _ in range(4)]
    print("on both nodes:", sorted({each["node_ip"] for each in wide["replicas"]}), json.dumps(answers[0]), seconds(start))
    assert wide["replicas_running"] == 2 and all(each == {"predictions": ["tally 2.5 counts 1"]} for each in answers), answers
    shown = fails("tally==9", "update", "--name", "counts", config={"pip": [*packages[:2], "tally==9"]})
    print("an absent version:", shown["message"][-300:])
    assert run("predict", "--name", "counts", "-I", "-", stdin='{"inputs": [1]}') == answers[0]
    run("delete", "--name", "counts")


def write_wheel(folder):
    """Writes the wheel of the package `tally`, which has one module. Returns its path."""
    info = "tally-2.5.dist-info"
    wheel = folder / "wheels" / "tally-2.5-py3-none-any.whl"
    wheel.parent.mkdir()
    files = {
        "tally.py": "def count(rows):\n    return f'tally 2.5 counts {len(rows)}'\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: tally\nVersion: 2.5\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: check\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return wheel


def remote(models):
    """A model that only the bucket of an S3 server has."""
    # It prints each request otherwise.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        address = "http://{}:{}".format(*server.get_host_and_port())
        variables = {
            "MLFLOW_S3_ENDPOINT_URL": address, "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "key-of-the-check", "AWS_SECRET_ACCESS_KEY": "s3cret-of-the-check",
        }  # fmt: skip
        store(address, variables, models / "iris")
        with_model = {**SMALL, "model_source": "remote"}
        seen = []
        shown = fails("", "create", "--name", "remote", "-m", "s3://models/absent", config={**with_model, "env": variables}, seen=seen)
        print("an absent model:", shown["code"], shown["message"][-200:])
        start = time.monotonic()
        created = run("create", "--name", "remote", "-m", "s3://models/iris", config={**with_model, "env": variables}, seen=seen)
        answer = run("predict", "--name", "remote", "-I", "-", stdin=json.dumps(ROWS), seen=seen)
        print("create:", created["status"], json.dumps(created["model_uri"]), json.dumps(answer), seconds(start))
        assert answer == {"predictions": [0, 2]}, answer
        shown = fails("no AWS credentials found", "create", "--name", "other", "-m", "s3://models/iris", config=SMALL, seen=seen)
        print("without model_source:", shown["message"])
        run("delete", "--name", "remote", seen=seen)
        assert variables["AWS_SECRET_ACCESS_KEY"] not in "".join(seen)
        print("the secret key is in no output")
    finally:
        server.stop()


def store(address, variables, folder):
    """Uploads a model to the bucket `models`."""
    client = boto3.client(
        "s3", endpoint_url=address, region_name=variables["AWS_DEFAULT_REGION"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"], aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
    )  # fmt: skip
    client.create_bucket(Bucket="models")
    for file in Path(folder).rglob("*"):
        if file.is_file():
            client.upload_file(str(file), "models", f"iris/{file.relative_to(folder)}")
