"""A plugin without the functions that MLflow requires, and with the fewest arguments."""

from mlflow.deployments import BaseDeploymentClient


class Bare(BaseDeploymentClient):
    def __init__(self, target_uri):
        self.uri = target_uri

    def create_deployment(self, name, model_uri):
        return name

    def update_deployment(self, name, model_uri):
        return model_uri

    def delete_deployment(self, name):
        pass

    def list_deployments(self):
        return {"a": {}}

    def get_deployment(self, name):
        return None

    def predict(self, inputs):
        return inputs
