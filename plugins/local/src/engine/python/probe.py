# Prints the version of this Python's MLflow, or the reason why it cannot run models. Does not import MLflow, which takes
# seconds.
import importlib.metadata
import importlib.util
import json
import os
import sys

# Removes the current folder from the search path.
sys.path[:] = [folder for folder in sys.path if folder]


def problem():
    spec = importlib.util.find_spec("mlflow")
    if spec is None or not spec.submodule_search_locations:
        return "mlflow is not installed"
    server = os.path.join(list(spec.submodule_search_locations)[0], "pyfunc", "scoring_server", "app.py")
    if not os.path.exists(server):
        return "mlflow is too old, or is installed without the scoring server"
    missing = [name for name in ("fastapi", "pandas", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing:
        return "mlflow is installed without " + " and ".join(missing)


def version():
    for name in ("mlflow", "mlflow-skinny"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass


reason = problem()
print(json.dumps({"problem": reason, "mlflow": None if reason else version()}))
