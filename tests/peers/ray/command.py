"""Runs the built command against the cluster, and sends predictions without it. What the checks share."""

import json
import os
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
COMMAND = os.environ["MLFLOW_DEPLOY"]
TARGET = "ray://127.0.0.1:8265"
ROWS = {
    "dataframe_split": {
        "columns": ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"],
        "data": [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]],
    }
}
# One proxy: two on one machine would need the same port.
START = {"serve": {"proxy_location": "HeadOnly", "http_options": {"host": "127.0.0.1", "port": 8000}}}
SMALL = {"num_cpus": 0.2, **START}


class Failed(Exception):
    def __init__(self, error):
        super().__init__(error)
        self.error = error


def run(verb, *arguments, config=None, stdin=None, isolated=False, timeout=600, target=TARGET, environment=None, seen=None):
    """Returns the result of the command. `seen` collects all of its output."""
    command = [COMMAND, *verb.split(), "-t", target, "--json", *arguments]
    if isolated:
        command.append("--isolate")
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        if config is not None:
            json.dump(config, file)
            file.flush()
            command += ["--config-file", file.name]
        variables = {**os.environ, **(environment or {})}
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout, env=variables)
    if seen is not None:
        seen += [done.stdout, done.stderr]
    if done.returncode:
        raise Failed(done.stderr.strip())
    return json.loads(done.stdout) if done.stdout.strip() else None


def fails(expected, verb, *arguments, **settings):
    """Runs a command that has to fail with an error that contains `expected`. Returns the error."""
    try:
        result = run(verb, *arguments, **settings)
    except Failed as failed:
        shown = json.loads(failed.error.splitlines()[-1])["error"]
        assert expected in shown["message"], shown
        return shown
    raise AssertionError(f"{verb} succeeded with {result}, but should fail with: {expected}")


def post(url, body, content_type):
    """Returns the status, the content type and the body of an answer."""
    request = urllib.request.Request(url, body, {"Content-Type": content_type})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read()


def seconds(start):
    return f"{time.monotonic() - start:.1f} s"
