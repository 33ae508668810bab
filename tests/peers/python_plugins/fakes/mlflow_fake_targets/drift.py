"""A plugin whose methods have other signatures than MLflow's."""

from mlflow.deployments import BaseDeploymentClient


class Base(BaseDeploymentClient):
    """A base class, which is not the client."""


class Drift(Base):
    def __init__(self, uri, *args, **kwargs):
        super().__init__(uri)
        self.options = kwargs

    def create_deployment(self, deployment_id, model, flavor=None, size=1, **extra):
        return {"name": deployment_id, "args": [model, flavor, size, extra, self.options]}

    def update_deployment(self, name, **kwargs):
        return {"name": name, "args": kwargs}

    def delete_deployment(self, name):
        return None

    def list_deployments(self):
        return []

    def get_deployment(self, *names):
        return {"name": "x", "args": list(names)}

    async def predict(self, model_name, payload, /, params=None):
        return {"args": [model_name, payload, params]}

    def explain(self, df):
        return {"args": [len(df)]}

    def create_endpoint(self, name, config, zone):
        return {"name": name}

    def update_endpoint(self, endpoint_name, config):
        return {"name": endpoint_name, "args": config}


def run_local(target, name, model_uri, flavor=None, config=None):
    print([target, name, model_uri, flavor, config])
    print("serves at http://127.0.0.1:5000/invocations.")
    import time

    try:
        time.sleep(3600)
    except KeyboardInterrupt:
        print("interrupted")
        raise


def target_help(**kwargs):
    return None
