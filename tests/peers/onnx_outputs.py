"""onnx_outputs.py FOLDER: runs each model in a folder with ONNX Runtime, if the model has a file of inputs beside it.

Writes one JSON object with the outputs of each model by output name. Arrays are lists, and maps are unchanged."""

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
