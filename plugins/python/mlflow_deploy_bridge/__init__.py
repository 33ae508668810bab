"""Hosts the deployment plugins of a Python environment, those with the entry-point group `mlflow.deployments`."""
