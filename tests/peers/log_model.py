"""log_model.py TRACKING_URL DATA [FOLDER]: logs models with MLflow's client and fetches them again.

DATA is a folder that is copied into every model. The URL may contain a user and a password, or name a folder. A run logs
`model` in the layout of MLflow 3. It is registered as `iris`, with the alias `champion` for its last version. With a
FOLDER, `iris` has two versions, the run also has the artifact `older/model one` in the layout of MLflow 2, and each is
fetched. Writes a JSON object with the ids of the run and the model, the artifact location of the model, and the folder in
FOLDER for each fetched URI.
"""

import contextlib
import json
import os
import sys
import tempfile

url, data, *folders = sys.argv[1:]
os.environ["MLFLOW_TRACKING_URI"] = url
# MLflow 3 permits the file store only with this variable.
os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"

# Libraries print to stderr, so that stdout contains only the JSON.
with contextlib.redirect_stdout(sys.stderr):
    import mlflow
    from mlflow.tracking import MlflowClient

    def log(name):
        # A model with a loader and data needs no packages, so MLflow does not have to infer its requirements.
        return mlflow.pyfunc.log_model(name=name, loader_module="json", data_path=data, pip_requirements=[])

    def fetch(uri, folder, name):
        os.mkdir(os.path.join(folder, name))
        return mlflow.artifacts.download_artifacts(uri, dst_path=os.path.join(folder, name))

    client = MlflowClient()
    with mlflow.start_run() as run:
        models = [log("model")]
        if folders:
            models.append(log("its name has spaces"))
            with tempfile.TemporaryDirectory() as older:
                mlflow.log_artifacts(fetch(models[0].model_uri, older, "model"), "older/model one")
            # MLflow's client adds this file to the files of the model.
            mlflow.log_text("more", "model/notes.txt")
    client.create_registered_model("iris")
    for model in models:
        version = mlflow.register_model(model.model_uri, "iris").version
    client.set_registered_model_alias("iris", "champion", version)

    names = {
        "run_id": run.info.run_id,
        "model_id": models[0].model_id,
        "artifacts": client.get_logged_model(models[0].model_id).artifact_location,
    }
    uris = [
        f"runs:/{run.info.run_id}/model",
        f"runs:/{run.info.run_id}/older/model one",
        "models:/iris/1",
        "models:/iris@champion",
        "models:/iris/latest",
        f"models:/{models[0].model_id}",
        names["artifacts"],
    ]
    for folder in folders:
        names["models"] = {uri: fetch(uri, folder, str(number)) for number, uri in enumerate(uris)}
json.dump(names, sys.stdout)
