# Serves the model of `__pyfunc_model_path__` with MLflow's own scoring server, on the socket that is standard input.
import os
import socket
import sys

listener = socket.socket(fileno=os.dup(0))
with open(os.devnull) as nothing:
    os.dup2(nothing.fileno(), 0)
# The current folder holds no modules.
sys.path[:] = [folder for folder in sys.path if folder]

import uvicorn
from mlflow.pyfunc.scoring_server.app import app

# A connection stays open longer than the client keeps it, so that no request meets one that is being closed.
config = uvicorn.Config(app, access_log=False, log_level="warning", timeout_keep_alive=3600)
uvicorn.Server(config).run(sockets=[listener])
