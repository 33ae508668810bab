"""A plugin whose class lacks operations that MLflow requires."""

from mlflow.deployments import BaseDeploymentClient


class Abstract(BaseDeploymentClient):
    def predict(self, deployment_name=None, inputs=None, endpoint=None):
        return 1


def run_local(name, model_uri, flavor=None, config=None):
    pass


def target_help():
    return "abstract"
