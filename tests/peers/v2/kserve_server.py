"""kserve_server.py PORT: KServe's Python server with the model `iris`, which adds the numbers of each row."""

import sys

import kserve
from kserve.utils.utils import get_predict_input, get_predict_response

port = sys.argv.pop(1)
sys.argv += ["--http_port", port, "--enable_grpc", "false", "--enable_latency_logging", "false"]


class Iris(kserve.Model):
    def __init__(self):
        super().__init__("iris")
        self.ready = True

    def predict(self, payload, headers=None):
        values = get_predict_input(payload)
        rows = values.to_numpy() if hasattr(values, "to_numpy") else values
        return get_predict_response(payload, (rows.sum(axis=1) > 11).astype("int64"), self.name)


kserve.ModelServer(workers=1).start([Iris()])
