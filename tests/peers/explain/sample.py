"""The models, rows and backgrounds whose explanations by this project and by the Python package shap are compared."""

import json
import pathlib

import numpy as np
import onnxruntime
from sklearn.datasets import load_iris

IRIS = load_iris().data.astype(np.float32)
FLOWERS = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
NUMBERS = np.random.default_rng(7).normal(size=(400, 10)).astype(np.float32)


def frame(rows):
    return {"dataframe_split": {"columns": FLOWERS, "data": rows.tolist()}}


def tensor(rows):
    return {"inputs": rows.tolist()}


def named(rows):
    return {"inputs": {"x": rows.tolist()}}


# For each model: its folder in the repository, its rows, their form in a request, and the explained output.
MODELS = {
    "onnx_iris_cols": ("examples/iris/model", IRIS, frame, "probabilities"),
    "onnx_iris_tensor": ("tests/e2e/models/onnx_iris_tensor", IRIS, tensor, "probabilities"),
    "onnx_mlp": ("tests/e2e/models/onnx_mlp", NUMBERS, named, "y"),
}
ROOT = pathlib.Path(__file__).resolve().parents[3]


class Sample:
    """A model with rows to explain, and other rows as the background."""

    def __init__(self, name, rows, background):
        self.folder, data, self.form, self.output = MODELS[name]
        order = np.random.default_rng(11).permutation(len(data))
        if rows + background > len(data):
            raise SystemExit(f"{name} has {len(data)} rows: {rows} and {background} are too many")
        self.rows, self.background = data[order[:rows]], data[order[rows : rows + background]]
        options = onnxruntime.SessionOptions()
        # The measured process also uses one thread. Two threads would compete on a machine with few cores.
        options.intra_op_num_threads = 1
        file = ROOT / self.folder / "model.onnx"
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        (port,) = session.get_inputs()
        self.predict = lambda rows: session.run([self.output], {port.name: rows.astype(np.float32)})[0].astype(float)

    def request(self):
        return json.dumps(self.form(self.rows))

    def config(self):
        return json.dumps({"background": self.form(self.background)})
