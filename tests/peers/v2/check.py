"""check.py MODELS MLSERVER_PORT TRITON_PORT KSERVE_PORT: asks real servers with the built command.

Prints each command with its answer. Fails at the first answer that is not the expected one. MODELS is the folder of
models.py.
"""

import json
import os
import subprocess
import sys
import urllib.request

models, mlserver, triton, kserve = sys.argv[1:]
command = os.environ.get("MLFLOW_DEPLOY", "target/debug/mlflow-deploy")
FLOWERS = {
    "columns": ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"],
    "data": [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]],
}


def run(target, arguments, inputs=None, code=0):
    """Runs the command. Returns its output as JSON, or its error."""
    arguments = [*arguments.split(" ")] if isinstance(arguments, str) else arguments
    if inputs is not None:
        arguments = [*arguments, "-I", "-"]
    line = [command, *arguments, "-t", target, "--json"]
    text = inputs if isinstance(inputs, str) else json.dumps(inputs) if inputs is not None else None
    ran = subprocess.run(line, input=text, capture_output=True, text=True)
    shown = (ran.stdout or ran.stderr.strip().splitlines()[-1]).strip()
    print(f"$ mlflow-deploy {' '.join(arguments)} -t {target}\n{shown[:400]}\n", flush=True)
    assert ran.returncode == code, f"expected exit code {code}, got {ran.returncode}: {ran.stderr}"
    return (json.loads(ran.stdout) if ran.stdout.strip() else None) if code == 0 else ran.stderr


def invocations(port, inputs):
    """Returns the answer of MLServer's own MLflow route, which serves the only loaded model."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", json.dumps(inputs).encode(), headers)
    return json.load(urllib.request.urlopen(request))


def names(records):
    return sorted(record["name"] for record in records)


def check_mlserver():
    target = f"mlserver://127.0.0.1:{mlserver}"
    assert run(target, "list") == []
    assert names(run(target, "invoke repository-index")) == ["columns", "iris", "plain", "tensors"]
    row = {"boolean": True, "integer": -7, "long": 2**53 + 1, "float": 0.5, "double": 0.1, "string": "é"}
    rows = [row, {**row, "boolean": False, "string": "", "double": 1e300}]
    numbers = {
        each: [[0, 1], [1, 0]] for each in "uint8 uint16 uint32 uint64 int8 int16 int32 int64".split()
    } | {each: [[0.5, 1], [-2, 0]] for each in "float16 float32 float64".split()}
    requests = {
        "iris": [{"dataframe_split": FLOWERS}, {"dataframe_records": [dict(zip(FLOWERS["columns"], FLOWERS["data"][1]))]}],
        "plain": [{"dataframe_split": FLOWERS}, {"inputs": FLOWERS["data"]}],
        "columns": [{"dataframe_records": rows}, {"dataframe_records": rows, "params": {"factor": 2.5}}],
        "tensors": [{"inputs": {"bool": [[True, False], [False, True]], **numbers, "uint64": [[0, 2**63], [1, 2]]}}],
    }
    for name, all_inputs in requests.items():
        run(target, f"create --name {name} -m repository:{name}")
        assert names(run(target, "list")) == [name]
        assert run(target, f"get --name {name}")["ready"] is True
        for inputs in all_inputs:
            own = invocations(mlserver, inputs)
            answer = run(target, f"predict --name {name}", inputs)
            print(f"/invocations: {json.dumps(own)[:400]}\n", flush=True)
            assert answer == own, f"expected {own}"
        if name == "columns":
            error = run(target, "predict --name columns", {"dataframe_records": [{**row, "double": None}]}, code=2)
            assert "input `double`, row 0: the value is missing" in error
            error = run(target, "predict --name columns", {"dataframe_records": [row, {**row, "integer": None}]}, code=2)
            assert "column `integer`, row 1: the value is missing" in error
        run(target, f"delete --name {name}")
        run(target, f"delete --name {name}")
        assert run(target, "list") == []
        run(target, f"get --name {name}", code=5)
    run(target, "predict --name nope", {"inputs": [1]}, code=5)
    run(target, "create --name nope -m repository:nope", code=5)
    run(target, f"create --name other -m {models}/iris", code=2)


def check_triton():
    target = f"triton://127.0.0.1:{triton}"
    assert run(target, "list") == []
    run(target, "create --name echo -m repository:echo")
    values = {
        "bool": [True, False], "uint8": [0, 255], "uint16": [0, 2**16 - 1], "uint32": [0, 2**32 - 1],
        "uint64": [0, 2**64 - 1], "int8": [-128, 127], "int16": [-(2**15), 0], "int32": [-(2**31), 0],
        "int64": [-(2**63), 0], "fp16": [0.5, -2.0], "fp32": [0.5, 1e10], "fp64": [0.1, 1e300], "string": ["é", ""],
    }
    expected = {f"out_{name}": each for name, each in values.items()}
    assert run(target, "predict --name echo", {"inputs": values})["predictions"] == expected
    large = {name: each * 2000 for name, each in values.items()}
    answer = run(target, "predict --name echo", {"inputs": large})["predictions"]
    assert answer == {f"out_{name}": each for name, each in large.items()}
    run(target, f"create --name iris -m {models}/iris")
    assert names(run(target, "list")) == ["echo", "iris"]
    assert run(target, "predict --name iris", {"dataframe_split": FLOWERS}) == {"predictions": [0, 2]}
    run(target, f"create --name iris -m {models}/iris", code=1)
    run(target, f"update --name iris -m {models}/iris")
    many = {"columns": FLOWERS["columns"], "data": FLOWERS["data"] * 5000}
    assert run(target, "predict --name iris", {"dataframe_split": many})["predictions"] == [0, 2] * 5000
    request = {"inputs": [
        {"name": name, "shape": [1], "datatype": "FP64", "data": [value]}
        for name, value in zip(FLOWERS["columns"], FLOWERS["data"][1])
    ]}
    assert run(target, "predict --name iris", request)["outputs"][0]["data"] == [2]
    run(target, f"create --name columns -m {models}/columns")
    row = {"boolean": True, "integer": -7, "long": 2**53 + 1, "float": 0.5, "double": 0.1, "string": "é"}
    assert run(target, "predict --name columns", {"dataframe_records": [row]}) == {"predictions": [row]}
    for name in ["iris", "columns", "echo", "echo", "nope"]:
        run(target, f"delete --name {name}")
    assert run(target, "list") == []
    run(target, "get --name iris", code=5)
    run(target, "predict --name iris", {"inputs": [[1, 2, 3, 4]]}, code=5)
    run(target, "predict --name nope", {"inputs": [[1, 2, 3, 4]]}, code=5)
    error = run(target, ["create", "--name", "onnx", "-m", "examples/iris/model"], code=1)
    assert "onnxruntime" in error, "this Triton does not have the backend"


def check_kserve():
    target = f"v2://127.0.0.1:{kserve}"
    assert run(target, "list")[0]["name"] == "iris"
    run(target, "get --name iris")
    for inputs in [{"dataframe_split": FLOWERS}, {"inputs": FLOWERS["data"]}]:
        assert run(target, "predict --name iris", inputs) == {"predictions": [0, 1]}
    run(target, "predict --name nope", {"inputs": [[1]]}, code=5)
    for arguments in ["create --name a -m repository:a", "update --name iris", "delete --name iris"]:
        error = run(target, arguments, code=1)
        assert "NOT_IMPLEMENTED" in error and "has no model repository" in error


for check in (check_mlserver, check_triton, check_kserve):
    check()
print("MLServer, Triton and KServe answered as expected.")
