# Serves the model of `__pyfunc_model_path__` with MLflow's own scoring server, on the socket that is standard input.
import os
import sys

# The current folder holds no modules: what a model brings comes in by its own doors, and shadows nothing here.
sys.path[:] = [folder for folder in sys.path if folder]

import socket

listener = socket.socket(fileno=os.dup(0))
with open(os.devnull) as nothing:
    os.dup2(nothing.fileno(), 0)

import uvicorn
from mlflow.pyfunc.scoring_server.app import app

# A connection stays open longer than the client keeps it, so that no request meets one that is being closed.
config = uvicorn.Config(app, access_log=False, log_level="warning", timeout_keep_alive=3600)
uvicorn.Server(config).run(sockets=[listener])
