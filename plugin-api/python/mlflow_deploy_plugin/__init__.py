"""Deployment targets for mlflow-deploy: a plugin is a subclass of `DeploymentClient`, and `serve(MyClient)`."""

from ._call import call
from ._client import DeploymentClient
from ._process import serve
from ._values import DeploymentError, Payload

__all__ = ["DeploymentClient", "DeploymentError", "Payload", "call", "serve"]
