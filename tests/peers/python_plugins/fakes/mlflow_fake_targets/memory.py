"""A plugin that keeps deployments and endpoints in memory, for the conformance check of the bridge."""

import threading
import time

from mlflow.deployments import BaseDeploymentClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_ALREADY_EXISTS, RESOURCE_DOES_NOT_EXIST

LOCK = threading.Lock()
DEPLOYMENTS, ENDPOINTS = {}, {"words": {"name": "words"}}


def create(records, name, **fields):
    if not name:
        raise MlflowException("the name is empty", error_code=INVALID_PARAMETER_VALUE)
    with LOCK:
        if name in records:
            raise MlflowException(f"`{name}` exists", error_code=RESOURCE_ALREADY_EXISTS)
        records[name] = {"name": name, **fields}
        return records[name]


def get(records, name):
    if name not in records:
        raise MlflowException(f"no `{name}`", error_code=RESOURCE_DOES_NOT_EXIST)
    return records[name]


class Memory(BaseDeploymentClient):
    def create_deployment(self, name, model_uri, flavor=None, config=None, endpoint=None):
        return create(DEPLOYMENTS, name, model_uri=model_uri, flavor=flavor)

    def update_deployment(self, name, model_uri=None, flavor=None, config=None, endpoint=None):
        get(DEPLOYMENTS, name)["model_uri"] = model_uri

    def delete_deployment(self, name, config=None, endpoint=None):
        DEPLOYMENTS.pop(name, None)

    def list_deployments(self, endpoint=None):
        return list(DEPLOYMENTS.values())

    def get_deployment(self, name, endpoint=None):
        return get(DEPLOYMENTS, name)

    def create_endpoint(self, name, config=None):
        return create(ENDPOINTS, name, config=config)

    def update_endpoint(self, endpoint, config=None):
        get(ENDPOINTS, endpoint)["config"] = config

    def delete_endpoint(self, endpoint):
        ENDPOINTS.pop(endpoint, None)

    def list_endpoints(self):
        return list(ENDPOINTS.values())

    def get_endpoint(self, endpoint):
        return get(ENDPOINTS, endpoint)

    def predict(self, deployment_name=None, inputs=None, endpoint=None, config=None):
        if deployment_name is not None:
            get(DEPLOYMENTS, deployment_name)
        if endpoint is not None:
            get(ENDPOINTS, endpoint)
        time.sleep((config or {}).get("delay", 0))
        return {"words": len(str(inputs).split())}

    def predict_stream(self, deployment_name=None, inputs=None, endpoint=None, config=None):
        self.predict(deployment_name, inputs, endpoint, config)
        for word in str(inputs).split():
            yield {"word": word}

    def explain(self, deployment_name=None, df=None, endpoint=None):
        return self.predict(deployment_name, df, endpoint)


def run_local(name, model_uri, flavor=None, config=None):
    print(f"{name} is served at http://127.0.0.1:1/{name}")
    time.sleep(3600)


def target_help():
    return "keeps deployments in memory"
