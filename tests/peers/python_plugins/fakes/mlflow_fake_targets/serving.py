"""A plugin whose `run_local` takes keywords only, starts a program, and returns."""

import subprocess
import sys

from mlflow.deployments import BaseDeploymentClient

from .bare import Bare as _Bare

assert issubclass(_Bare, BaseDeploymentClient)


class Serving(_Bare):
    """The only class of this module that is a client: the other one is imported."""


def run_local(**kwargs):
    print(sorted(kwargs.items()))
    subprocess.Popen([sys.executable, "-c", "import time; print('serves'); time.sleep(3600)"])


def target_help():
    print("printed help")
    print("-C first=1 -C second=2")
