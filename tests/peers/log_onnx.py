"""log_onnx.py TRACKING_URL MODEL: logs a model of ONNX with MLflow's own client.

MODEL is a folder that MLflow has saved. A run logs it as `model`, and it is registered as `iris` by every call anew; the
alias `champion` is for the last version. Writes a JSON object with the ids of the run and of the model, and where the
model is kept. The URL may hold a user and a password.
"""

import contextlib
import json
import os
import sys

url, folder = sys.argv[1:]
os.environ["MLFLOW_TRACKING_URI"] = url
# Whoever has files from an older MLflow may go on with them.
os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"

# Standard output is for the names alone, whatever a library likes to say.
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
