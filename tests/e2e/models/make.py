"""make.py: writes the models in this folder with mlflow.onnx.save_model, each with a request and the matching inputs of ONNX
Runtime. Made with mlflow 3.17.2, onnx 1.23.2, skl2onnx 1.20.0 and scikit-learn 1.9.1; run it to add a model."""

import json
import pathlib
import shutil

import mlflow.onnx
import numpy as np
import onnx
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

HERE = pathlib.Path(__file__).parent
X, Y = load_iris(return_X_y=True)
X = X.astype(np.float32)
NAMES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
ROWS = X[::30]


def save(name, model, request, feeds, inputs=None, example=None):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    signature = None if inputs is None else ModelSignature(inputs=Schema(inputs))
    mlflow.onnx.save_model(model, folder, signature=signature, input_example=example)
    for extra in ["conda.yaml", "python_env.yaml", "requirements.txt"]:
        (folder / extra).unlink(missing_ok=True)
    feeds = {key: {"dtype": str(np.asarray(value).dtype.name), "data": np.asarray(value).tolist()} for key, value in feeds.items()}
    for feed in feeds.values():
        if feed["dtype"].startswith("str"):
            feed["dtype"] = "object"
    (HERE / f"{name}.json").write_text(json.dumps({"request": request, "feeds": feeds}) + "\n")


def columns(rows):
    return {"dataframe_split": {"columns": NAMES, "data": rows.tolist()}}


def estimator(name, estimator, target=Y, zipmap=False):
    fitted = estimator.fit(X, target)
    options = {"zipmap": zipmap} if hasattr(estimator, "predict_proba") else None
    model = to_onnx(fitted, X[:1], options={id(fitted): options} if options else None)
    save(name, model, columns(ROWS), {"X": ROWS}, [ColSpec("float", each) for each in NAMES])


def multi_input():
    ages, cities = np.array([[20.0], [35.0], [50.0], [65.0]] * 5, np.float32), np.array([["a"], ["b"], ["a"], ["c"]] * 5)
    steps = ColumnTransformer([("age", StandardScaler(), [0]), ("city", OneHotEncoder(handle_unknown="ignore"), [1])])
    table = np.concatenate([ages.astype(object), cities.astype(object)], axis=1)
    fitted = make_pipeline(steps, LogisticRegression()).fit(table, [0, 1, 0, 1] * 5)
    types = [("age", FloatTensorType([None, 1])), ("city", StringTensorType([None, 1]))]
    model = to_onnx(fitted, initial_types=types, options={id(fitted): {"zipmap": False}})
    records = [{"age": 30.0, "city": "b"}, {"age": 70.5, "city": "c"}, {"age": 1.0, "city": "elsewhere"}]
    feeds = {"age": np.array([[each["age"]] for each in records], np.float32), "city": np.array([[each["city"]] for each in records])}
    save("pipeline_two_inputs", model, {"dataframe_records": records}, feeds, [ColSpec("float", "age"), ColSpec("string", "city")])


def texts():
    words = ["good day", "bad night", "good night", "bad bad day", "very good"]
    fitted = make_pipeline(TfidfVectorizer(lowercase=False, token_pattern="[a-z]+"), LogisticRegression()).fit(words, [1, 0, 1, 0, 1])
    model = to_onnx(fitted, initial_types=[("text", StringTensorType([None, 1]))], options={id(fitted): {"zipmap": False}})
    asked = [["good bad"], ["night"], ["unheard of"]]
    save("texts", model, {"inputs": {"text": asked}}, {"text": np.array(asked)}, [TensorSpec(np.dtype("str"), (-1, 1), "text")])


def graph(nodes, inputs, outputs, initializers=()):
    value = lambda each: helper.make_tensor_value_info(*each)
    made = helper.make_graph(nodes, "g", [value(each) for each in inputs], [value(each) for each in outputs], list(initializers))
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model)
    return model


def types():
    known = {
        "bool": (TensorProto.BOOL, np.bool_), "int8": (TensorProto.INT8, np.int8), "int16": (TensorProto.INT16, np.int16),
        "int32": (TensorProto.INT32, np.int32), "int64": (TensorProto.INT64, np.int64), "uint8": (TensorProto.UINT8, np.uint8),
        "uint16": (TensorProto.UINT16, np.uint16), "uint32": (TensorProto.UINT32, np.uint32),
        "uint64": (TensorProto.UINT64, np.uint64), "float16": (TensorProto.FLOAT16, np.float16),
        "float32": (TensorProto.FLOAT, np.float32), "float64": (TensorProto.DOUBLE, np.float64), "text": (TensorProto.STRING, np.str_),
    }
    nodes = [helper.make_node("Identity", [name], [name + "_out"]) for name in known]
    model = graph(nodes, [(name, kind, ["n", 2]) for name, (kind, _) in known.items()], [(name + "_out", kind, ["n", 2]) for name, (kind, _) in known.items()])
    data = {name: [[1, 0], [0, 1]] for name in known}
    data |= {"bool": [[True, False], [False, True]], "int8": [[-128, 127], [0, 1]], "uint64": [[2**64 - 1, 0], [1, 2]]}
    data |= {"int64": [[-(2**63), 2**63 - 1], [0, 1]], "float16": [[0.5, 2.0], [-1.0, 65504.0]], "float32": [[0.1, 1e30], [-1e-30, 0.0]]}
    data |= {"float64": [[0.1, 1e300], [-1e-300, 0.0]], "text": [["a", ""], ["\u00e4\u2028", "\U0001f33c"]]}
    feeds = {name: np.array(data[name], kind) for name, (_, kind) in known.items()}
    save("all_types", model, {"inputs": data}, feeds, [TensorSpec(np.dtype(kind), (-1, 2), name) for name, (_, kind) in known.items()])


def several_outputs():
    nodes = [
        helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Mul", ["a", "b"], ["product"]),
        helper.make_node("Greater", ["a", "b"], ["greater"]), helper.make_node("ReduceMax", ["sum"], ["most"], keepdims=0),
    ]
    model = graph(nodes, [("a", TensorProto.DOUBLE, ["n"]), ("b", TensorProto.DOUBLE, ["n"])], [
        ("sum", TensorProto.DOUBLE, ["n"]), ("product", TensorProto.DOUBLE, ["n"]), ("greater", TensorProto.BOOL, ["n"]), ("most", TensorProto.DOUBLE, []),
    ])
    data = {"a": [1.0, 2.5, -3.0], "b": [0.5, 4.0, -3.5]}
    save("several_outputs", model, {"inputs": data}, {key: np.array(value) for key, value in data.items()},
         [TensorSpec(np.dtype("float64"), (-1,), "a"), TensorSpec(np.dtype("float64"), (-1,), "b")])


def times(factor):
    constant = helper.make_tensor("factor", TensorProto.DOUBLE, [], [float(factor)])
    model = graph([helper.make_node("Mul", ["x", "factor"], ["y"])], [("x", TensorProto.DOUBLE, ["n"])], [("y", TensorProto.DOUBLE, ["n"])], [constant])
    data = [1.0, 2.0, 3.0]
    save(f"times_{factor}", model, {"inputs": data}, {"x": np.array(data)}, [TensorSpec(np.dtype("float64"), (-1,))])


def counts():
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Add", ["before", "one"], ["after"]), helper.make_node("Identity", ["go"], ["go_on"])], "body",
        [value("i", TensorProto.INT64, []), value("go", TensorProto.BOOL, []), value("before", TensorProto.INT64, [])],
        [value("go_on", TensorProto.BOOL, []), value("after", TensorProto.INT64, [])],
        [helper.make_tensor("one", TensorProto.INT64, [], [1])])
    nodes = [helper.make_node("Squeeze", ["n"], ["times"]), helper.make_node("Loop", ["times", "", "zero"], ["last"], body=body)]
    model = graph(nodes, [("n", TensorProto.INT64, [1])], [("last", TensorProto.INT64, [])], [helper.make_tensor("zero", TensorProto.INT64, [], [0])])
    save("counts", model, {"inputs": [7]}, {"n": np.array([7])}, [TensorSpec(np.dtype("int64"), (1,))])


def sequence():
    nodes = [helper.make_node("SplitToSequence", ["x"], ["parts"], axis=0)]
    model = graph(nodes, [("x", TensorProto.FLOAT, ["n", 2])], [])
    model.graph.output.append(helper.make_tensor_sequence_value_info("parts", TensorProto.FLOAT, None))
    save("sequence", model, {"inputs": [[1.0, 2.0]]}, {"x": np.array([[1.0, 2.0]], np.float32)})


def ones():
    """Returns ones, in as many rows and columns as the input requests."""
    nodes = [helper.make_node("ConstantOfShape", ["shape"], ["y"], value=helper.make_tensor("one", TensorProto.INT64, [1], [1]))]
    model = graph(nodes, [("shape", TensorProto.INT64, [2])], [("y", TensorProto.INT64, ["rows", "columns"])])
    save("ones", model, {"inputs": [2, 3]}, {"shape": np.array([2, 3])}, [TensorSpec(np.dtype("int64"), (2,))])


def divides():
    """Divides integers. Dividing the smallest one by -1 overflows, which crashes the process."""
    nodes = [helper.make_node("Div", ["a", "b"], ["y"])]
    inputs = [("a", TensorProto.INT64, ["n"]), ("b", TensorProto.INT64, ["n"])]
    model = graph(nodes, inputs, [("y", TensorProto.INT64, ["n"])])
    data = {"a": np.array([6]), "b": np.array([3])}
    specs = [TensorSpec(np.dtype("int64"), (-1,), name) for name in data]
    save("divides", model, {"inputs": {"a": [6], "b": [3]}}, data, specs)


def two_rows():
    """Accepts exactly two rows."""
    weights = helper.make_tensor("weights", TensorProto.FLOAT, [3, 1], [1.0, -2.0, 0.5])
    nodes = [helper.make_node("MatMul", ["x", "weights"], ["dense"]), helper.make_node("Sigmoid", ["dense"], ["y"])]
    model = graph(nodes, [("x", TensorProto.FLOAT, [2, 3])], [("y", TensorProto.FLOAT, [2, 1])], [weights])
    data = np.array([[1.0, 0.5, -1.0], [0.0, 2.0, 3.0]], np.float32)
    save("two_rows", model, {"inputs": data.tolist()}, {"x": data}, [TensorSpec(np.dtype("float32"), (-1, 3))])


def defaults():
    """Multiplies by a factor that is an initializer and an input: its default is 2."""
    factor = helper.make_tensor("factor", TensorProto.FLOAT, [1], [2.0])
    inputs = [("x", TensorProto.FLOAT, ["n"]), ("factor", TensorProto.FLOAT, [1])]
    model = graph([helper.make_node("Mul", ["x", "factor"], ["y"])], inputs, [("y", TensorProto.FLOAT, ["n"])], [factor])
    data = {"x": np.array([1.5, -4.0], np.float32), "factor": np.array([7.0], np.float32)}
    save("defaults", model, {"inputs": {key: value.tolist() for key, value in data.items()}}, data)


def echoes():
    """Returns its inputs, to show how a request was parsed."""
    both = lambda name, kind, shape: ((name, kind, shape), (name + "_out", kind, shape))
    (a, a_out), (b, b_out) = both("a", TensorProto.INT64, ["n"]), both("b", TensorProto.STRING, ["n"])
    model = graph([helper.make_node("Identity", ["a"], ["a_out"]), helper.make_node("Identity", ["b"], ["b_out"])], [a, b], [a_out, b_out])
    data = {"a": [1, 2], "b": ["x", "y"]}
    save("echo_columns", model, {"inputs": data}, {key: np.array(value) for key, value in data.items()})
    x, x_out = both("x", TensorProto.DOUBLE, [])
    model = graph([helper.make_node("Identity", ["x"], ["x_out"])], [x], [x_out])
    # Without a shape, the inputs and outputs have any rank. ONNX Runtime accepts this, but the onnx checker rejects it.
    for value in [*model.graph.input, *model.graph.output]:
        value.type.tensor_type.ClearField("shape")
    save("echo_array", model, {"inputs": [[1.5, 2.0], [3.0, 4.0]]}, {"x": np.array([[1.5, 2.0], [3.0, 4.0]])})


def image():
    rng = np.random.default_rng(0)
    kernel = helper.make_tensor("k", TensorProto.FLOAT, [2, 1, 3, 3], rng.normal(size=18).astype(np.float32))
    nodes = [helper.make_node("Conv", ["x", "k"], ["c"], pads=[1, 1, 1, 1]), helper.make_node("Relu", ["c"], ["y"])]
    model = graph(nodes, [("x", TensorProto.FLOAT, ["n", 1, 4, 4])], [("y", TensorProto.FLOAT, ["n", 2, 4, 4])], [kernel])
    data = rng.normal(size=(2, 1, 4, 4)).astype(np.float32)
    save("image", model, {"inputs": data.tolist()}, {"x": data}, [TensorSpec(np.dtype("float32"), (-1, 1, 4, 4))])


estimator("logistic_zipmap", LogisticRegression(max_iter=500), zipmap=True)
estimator("logistic_zipmap_names", LogisticRegression(max_iter=500), target=np.array(["setosa", "versicolor", "virginica"])[Y], zipmap=True)
estimator("logistic_names", LogisticRegression(max_iter=500), target=np.array(["setosa", "versicolor", "virginica"])[Y])
estimator("forest", RandomForestClassifier(5, max_depth=4, random_state=0))
estimator("boosted_regression", GradientBoostingRegressor(n_estimators=10, random_state=0))
estimator("scaled_pca", make_pipeline(StandardScaler(), PCA(2), LogisticRegression()))
estimator("support_vectors", SVC(probability=True, random_state=0))
estimator("clusters", KMeans(3, random_state=0, n_init=1))
multi_input()
texts()
types()
several_outputs()
times(2)
times(3)
counts()
defaults()
echoes()
sequence()
ones()
divides()
image()
two_rows()
