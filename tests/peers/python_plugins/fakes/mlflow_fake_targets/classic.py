"""A plugin with the signatures of MLflow 1, which returns fixed values."""

import os

from mlflow.deployments import BaseDeploymentClient


class PluginDeploymentClient(BaseDeploymentClient):
    def create_deployment(self, name, model_uri, flavor=None, config=None):
        if config and config.get("fail") == "yes":
            raise RuntimeError("failure on request")
        return {"name": "first", "flavor": flavor}

    def delete_deployment(self, name, config=None):
        if config and config.get("fail") == "yes":
            raise RuntimeError("failure on request")

    def update_deployment(self, name, model_uri=None, flavor=None, config=None):
        return {"flavor": flavor}

    def list_deployments(self):
        if os.environ.get("FAKETARGET_FAIL") == "yes":
            raise RuntimeError("failure on request")
        return ["first"]

    def get_deployment(self, name):
        return {"region": "here", "size": "small"}

    def predict(self, deployment_name, df):
        return 1

    def explain(self, deployment_name, df):
        return "1"


def run_local(name, model_uri, flavor=None, config=None):
    print(f"serves {name} from {model_uri} as {flavor} with {config}")


def target_help():
    return "# faketarget"
