"""kserve_server.py PORT: KServe's Python server with the model `iris`, which adds the numbers of each row."""

import sys

import uvicorn

port = int(sys.argv.pop(1))
listen = uvicorn.Config.__init__


def listen_on_this_machine(self, *args, **settings):
    listen(self, *args, **{**settings, "host": "127.0.0.1"})


# KServe has no setting for the address.
uvicorn.Config.__init__ = listen_on_this_machine

import kserve
from kserve.utils.utils import get_predict_input, get_predict_response


class Iris(kserve.Model):
    def __init__(self):
        super().__init__("iris")
        self.ready = True

    def predict(self, payload, headers=None):
        values = get_predict_input(payload)
        rows = values.to_numpy() if hasattr(values, "to_numpy") else values
        return get_predict_response(payload, (rows.sum(axis=1) > 11).astype("int64"), self.name)


kserve.ModelServer(http_port=port, enable_grpc=False, workers=1).start([Iris()])
