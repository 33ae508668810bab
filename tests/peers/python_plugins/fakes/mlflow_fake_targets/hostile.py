"""A plugin that does what a plugin should not do. The name of a deployment chooses."""

import ctypes
import os
import sys
import time

from mlflow.deployments import BaseDeploymentClient

os.write(1, b"written to fd 1 at import\n")
print("printed at import")


class Client(BaseDeploymentClient):
    def create_deployment(self, name, model_uri, flavor=None, config=None, endpoint=None):
        return {"name": name}

    def update_deployment(self, name, model_uri=None, flavor=None, config=None, endpoint=None):
        pass

    def delete_deployment(self, name, config=None, endpoint=None):
        raise NotImplementedError("deletes nothing")

    def list_deployments(self, endpoint=None):
        return []

    def get_deployment(self, name, endpoint=None):
        return {"name": name}

    def predict(self, deployment_name=None, inputs=None, endpoint=None):
        if deployment_name == "print":
            print("printed")
            os.write(1, b"written to fd 1\n" * 100)
            os.system("echo from a program")
        elif deployment_name == "exit":
            sys.exit(3)
        elif deployment_name == "hang":
            time.sleep(3600)
        elif deployment_name == "_exit":
            os._exit(7)
        elif deployment_name == "segfault":
            ctypes.string_at(0)
        elif deployment_name == "recursion":
            return self.predict(deployment_name)
        return {"ok": True}


def run_local(name, model_uri, flavor=None, config=None):
    os._exit(9)


def target_help():
    sys.exit("no help")
