# Serves the model in `__pyfunc_model_path__` with MLflow's own scoring server. Standard input is the listening socket.
import os
import sys

# Removes the current folder from the search path, so that no file in it is imported in place of an installed module.
sys.path[:] = [folder for folder in sys.path if folder]

import socket

listener = socket.socket(fileno=os.dup(0))
with open(os.devnull) as devnull:
    os.dup2(devnull.fileno(), 0)

import uvicorn
from mlflow.pyfunc.scoring_server.app import app

# The client closes idle connections earlier than the server, so no request is sent on a connection that is being closed.
config = uvicorn.Config(app, access_log=False, log_level="warning", timeout_keep_alive=3600)
uvicorn.Server(config).run(sockets=[listener])
