"""log_model.py TRACKING_URL DATA [FOLDER]: logs models with MLflow's own client, and fetches them again with it.

DATA is a folder that every model has in it. The URL may hold a user and a password, or be that of a folder. A run logs `model` as MLflow 3 does
it, and it is registered as `iris`, with the alias `champion` for its last version. With a FOLDER, there are two versions
of `iris`, the run has `older/model one` among its artifacts, as MLflow 2 would have logged it, and each of them is
fetched. Writes a JSON object with the ids of the run and of the model, where the model is kept, and the folder in FOLDER
for each URI that was fetched.
"""

import contextlib
import json
import os
import sys
import tempfile

url, data, *folders = sys.argv[1:]
os.environ["MLFLOW_TRACKING_URI"] = url
# Whoever has files from an older MLflow may go on with them.
os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"

# Standard output is for the names alone, whatever a library likes to say.
with contextlib.redirect_stdout(sys.stderr):
    import mlflow
    from mlflow.tracking import MlflowClient

    def log(name):
        # A loader and data make a model that needs nothing to be installed; its requirements need no search.
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
            # MLflow's client shows this beside what the model itself has.
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
