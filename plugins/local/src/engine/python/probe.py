# Says what this Python has of MLflow's scoring server. It imports none of it, which would take seconds.
import importlib.metadata
import importlib.util
import json
import os
import sys

sys.path[:] = [folder for folder in sys.path if folder]


def problem():
    spec = importlib.util.find_spec("mlflow")
    if spec is None or not spec.submodule_search_locations:
        return "it has no mlflow"
    server = os.path.join(list(spec.submodule_search_locations)[0], "pyfunc", "scoring_server", "app.py")
    if not os.path.exists(server):
        return "its mlflow is too old, or has no scoring server"
    missing = [name for name in ("fastapi", "pandas", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing:
        return "it has mlflow without " + " and ".join(missing)


def version():
    for name in ("mlflow", "mlflow-skinny"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass


why = problem()
print(json.dumps({"problem": why, "mlflow": None if why else version()}))
