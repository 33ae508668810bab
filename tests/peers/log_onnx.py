"""log_onnx.py TRACKING_URL MODEL: logs an ONNX model with MLflow's client.

MODEL is a folder that MLflow has saved. A run logs it as `model`. Every call registers a new version of `iris`, and
moves the alias `champion` to this version. Writes a JSON object with the ids of the run and the model, and the artifact
location of the model. The URL may contain a user and a password.
"""

import contextlib
import json
import os
import sys

url, folder = sys.argv[1:]
os.environ["MLFLOW_TRACKING_URI"] = url
# MLflow 3 permits the file store only with this variable.
os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"

# Libraries print to stderr, so that stdout contains only the result.
with contextlib.redirect_stdout(sys.stderr):
    import mlflow
    import onnx
    from mlflow.tracking import MlflowClient

    client = MlflowClient()
    with mlflow.start_run() as run:
        model = mlflow.onnx.log_model(
            onnx.load(os.path.join(folder, "model.onnx")),
            name="model",
            signature=mlflow.models.get_model_info(folder).signature,
            pip_requirements=[],
        )
    version = mlflow.register_model(model.model_uri, "iris").version
    client.set_registered_model_alias("iris", "champion", version)
    names = {
        "run_id": run.info.run_id,
        "model_id": model.model_id,
        "artifacts": client.get_logged_model(model.model_id).artifact_location,
    }
json.dump(names, sys.stdout)
