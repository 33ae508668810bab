"""onnx_outputs.py FOLDER: the outputs of ONNX Runtime for every model in a folder that has a file of inputs beside it.

Writes one object: for each model the outputs by name; arrays as lists, maps unchanged."""

import json
import pathlib
import sys

import numpy as np
import onnxruntime


def plain(output):
    return output.tolist() if isinstance(output, np.ndarray) else [plain(each) if isinstance(each, np.ndarray) else each for each in output]


answers = {}
for file in sorted(pathlib.Path(sys.argv[1]).glob("*.json")):
    session = onnxruntime.InferenceSession(file.with_suffix("") / "model.onnx", providers=["CPUExecutionProvider"])
    feeds = json.loads(file.read_text())["feeds"]
    outputs = session.run(None, {name: np.array(feed["data"], feed["dtype"]) for name, feed in feeds.items()})
    answers[file.stem] = {each.name: plain(output) for each, output in zip(session.get_outputs(), outputs)}
json.dump(answers, sys.stdout)
