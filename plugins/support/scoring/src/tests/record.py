"""Records the inputs that MLflow reads from requests: `python record.py > recordings/mlflow.json`, with the Python of target/peers/venv.

Runs the steps of its scoring server in process: parse, enforce the signature, check the parameters.
"""

import io
import json
import math
import warnings

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.pyfunc import _validate_prediction_input
from mlflow.pyfunc.scoring_server import _parse_json_data, parse_csv_input

warnings.filterwarnings("ignore")


def column(kind, name=None, required=True):
    return {"type": kind, "required": required} | ({"name": name} if name else {})


def tensor(dtype, shape, name=None):
    return {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}} | ({"name": name} if name else {})


SIGNATURES = {
    "none": None,
    "scalars": {
        "inputs": [
            column("integer", "i", False), column("long", "l", False), column("float", "f", False),
            column("double", "d", False), column("string", "s", False), column("boolean", "b", False),
            column("binary", "bin", False), column("datetime", "dt", False), column("double", "r"),
        ],
        "params": [
            {"name": "temperature", "default": 0.5, "shape": None, "type": "double"},
            {"name": "tokens", "default": 1, "shape": None, "type": "long"},
            {"name": "stop", "default": ["a"], "shape": [-1], "type": "string"},
            {"name": "flag", "default": True, "shape": None, "type": "boolean"},
            {"name": "since", "default": "2024-01-01", "shape": None, "type": "datetime"},
        ],
    },
    "pair": {"inputs": [column("double", "a"), column("string", "b")]},
    "one": {"inputs": [column("double", "a")]},
    "nameless": {"inputs": [column("double"), column("long")]},
    "lists": {"inputs": [{"type": "array", "items": {"type": "double"}, "name": "a", "required": True}]},
    "matrix": {"inputs": [tensor("float32", [-1, 4])]},
    "vector": {"inputs": [tensor("int64", [-1])]},
    "texts": {"inputs": [tensor("str", [-1])]},
    "x": {"inputs": [tensor("float32", [-1, 2], "x")]},
    "xy": {"inputs": [tensor("float32", [-1, 2], "x"), tensor("int64", [-1], "y")]},
    "each": {"inputs": [tensor("float32", [-1, 1], "a"), tensor("object", [-1, 1], "b")]},
    "image": {"inputs": [tensor("uint8", [-1, 2, 2], "x")]},
    "free": {"inputs": [tensor("float64", [-1, -1])]},
}

J, C = "application/json", "text/csv"
CASES = []


def case(signature, body, content_type=J):
    CASES.append((signature, content_type, body))


def scalar(name, *literals):
    """One row with each of the literals in a column, in each format."""
    for literal in literals:
        case("scalars", f'{{"dataframe_records": [{{"r": 0.5, "{name}": {literal}}}]}}')
        case("scalars", f'{{"inputs": {{"r": [0.5], "{name}": [{literal}]}}}}')


NUMBERS = ["1", "-1", "0", "1.0", "1.5", "2", "true", "false", "null", "NaN", "Infinity", '"7"', '" 7 "', '"7.0"', '"1.25"',
           '"x"', '""', '"NaN"', "2147483647", "2147483648", "-2147483648", "-2147483649", "9223372036854775807",
           "9223372036854775808", "-9223372036854775808", "18446744073709551616", "1e300", "1e39", "-1e39", "3.4028235e38",
           "1e-50", "16777217", "1" + "0" * 40, "[1]", "{}"]
for name in "ilfd":
    scalar(name, *NUMBERS)
scalar("s", '"x"', '""', "5", "5.0", "1e16", "true", "null", "NaN", "[1]", "{}", '"\\u00e9\\u2028"', "9223372036854775808")
scalar("b", "true", "false", "1", "0", "2", "0.0", "1.0", "0.5", '"False"', '"True"', '""', '"x"', "null", "NaN", "[true]")
scalar("bin", '"aGk="', '"@@@"', '"abc"', '""', '"aGk=\\n"', '"aG k="', "null", "5")
scalar("dt", '"2024-01-02T03:04:05"', '"2024-01-02 03:04:05"', '"2024-01-02T03:04:05.123456789"', '"2024-01-02"',
       '"2024-01-02T03:04"', '"01/02/2024"', '"20240102"', '"2024-01-02T03:04:05Z"', '"2024-01-02T03:04:05+02:00"',
       '"nope"', '""', "null", "1700000000", "1700000000000000000", '"1600-01-01"', '"2262-01-01"', '"2024-02-30"', "true")

for literal in ['{"temperature": 1}', '{"temperature": 0.9}', '{"temperature": "x"}', '{"temperature": null}',
                '{"temperature": [1]}', '{"temperature": true}', '{"tokens": 1.5}', '{"tokens": 1.0}', '{"tokens": 3}',
                '{"stop": ["x", "y"]}', '{"stop": "x"}', '{"stop": []}', '{"stop": [1]}', '{"stop": null}', '{"flag": 1}',
                '{"flag": false}', '{"zzz": 1}', "{}", "null", "[]", '"x"', '{"since": "2024-02-03"}', '{"since": "x"}',
                '{"since": 5}', '{"temperature": NaN}', '{"temperature": "x", "temperature": 1}']:
    case("scalars", f'{{"dataframe_records": [{{"r": 0.5}}], "params": {literal}}}')
case("none", '{"inputs": [1], "params": {"a": 1}}')

FRAMES = [
    '{"dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"], [2.5, "y"]]}}',
    '{"dataframe_split": {"columns": ["b", "a"], "data": [["x", 1]]}}',
    '{"dataframe_split": {"columns": ["a", "b", "zz"], "index": [7], "data": [[1, "x", {"q": 1}]]}}',
    '{"dataframe_split": {"data": [[1, "x"]], "columns": ["a", "b"]}}',
    '{"dataframe_split": {"data": [[1, 2], [3, 4]]}}',
    '{"dataframe_split": {"columns": null, "data": [[1, 2]]}}',
    '{"dataframe_split": {"columns": ["a"], "data": [1, 2]}}',
    '{"dataframe_split": {"columns": ["a", "b"], "data": []}}',
    '{"dataframe_split": {"columns": ["a", "b"], "data": [[1]]}}',
    '{"dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"], [2]]}}',
    '{"dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"], [2, "y", 3]]}}',
    '{"dataframe_split": {"columns": ["a", "a"], "data": [[1, "x"]]}}',
    '{"dataframe_split": {"columns": ["a", "a", "b"], "data": [[1, 2, "x"]]}}',
    '{"dataframe_split": {"columns": ["a", "b"]}}',
    '{"dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"]], "dtype": "x"}}',
    '{"dataframe_split": [1]}', '{"dataframe_split": null}', '{"dataframe_split": {}}',
    '{"dataframe_split": {"columns": "ab", "data": [[1, "x"]]}}',
    '{"dataframe_split": {"columns": ["a", "b"], "data": "x"}}',
    '{"dataframe_split": {"columns": [0, 1], "data": [[1, "x"]]}}',
    '{"dataframe_records": [{"a": 1, "b": "x"}, {"b": "y", "a": 2.5}]}',
    '{"dataframe_records": [{"a": 1, "b": "x"}, {"b": "y"}]}',
    '{"dataframe_records": [{"b": "y"}, {"a": 1, "b": "x"}]}',
    '{"dataframe_records": [{"a": 1, "a": 2, "b": "x"}]}',
    '{"dataframe_records": []}', '{"dataframe_records": {"a": 1}}', '{"dataframe_records": 5}', '{"dataframe_records": [5]}',
    '{"inputs": {"a": [1, 2], "b": ["x", "y"]}}', '{"inputs": {"a": 1, "b": "x"}}', '{"inputs": {"a": [1, 2], "b": ["x"]}}',
    '{"inputs": {"a": 1, "b": ["x"]}}', '{"inputs": {"a": [1]}}', '{"inputs": {"a": [1], "b": ["x"], "c": [9]}}',
    '{"inputs": {"a": [[1, 2]], "b": ["x"]}}', '{"inputs": [{"a": 1, "b": "x"}]}', '{"inputs": [{"a": 1, "b": "x"}, 5]}',
    '{"inputs": [1, 2]}', '{"inputs": [[1, 2], [3, 4]]}', '{"inputs": 3}', '{"inputs": "x"}', '{"inputs": null}',
    '{"inputs": []}', '{"inputs": {}}', '{"inputs": [[1], [2, 3]]}', '{"inputs": [1, "a"]}', '{"inputs": [1, 2.5]}',
    '{"inputs": [true, false]}', '{"inputs": [true, 2]}', '{"inputs": [NaN, 1]}', '{"inputs": [[[1, 2], [3, 4]]]}',
    '{"inputs": [18446744073709551615]}', '{"inputs": [1, null]}', '{"inputs": ["x", null]}', '{"inputs": [[], []]}',
    '{"instances": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]}', '{"instances": [{"a": 1}, {"b": "x"}]}',
    '{"instances": {"a": [1, 2], "b": ["x", "y"]}}', '{"instances": {"a": [1, 2], "b": ["x"]}}', '{"instances": [[1, 2]]}',
    '{"instances": 5}', '{"instances": [{"a": [1, 2], "b": "x"}]}',
    '{"inputs": [1], "instances": [1]}', '{"data": [[1]]}', "{}", "[1]", '"x"', "null", "5", "", "{bad", '{"inputs": [1]}x',
    '{"inputs": [1,]}', '{"inputs": [01]}', '{"inputs": [1.]}', '{"inputs": [+1]}', '{"inputs": ["a\\tb"]}', '{"inputs": [nan]}',
    '\ufeff{"inputs": [1, 2]}', '{"inputs": 1, "inputs": [1, 2]}', '{"dataframe_split": 1, "inputs": [1, 2]}',
    '{"inputs": [1, 2], "signature_name": "x"}', '{"messages": [1]}', '{"prompt": "hi"}',
]
for signature in ["none", "pair", "one", "nameless"]:
    for body in FRAMES:
        case(signature, body)

CSV = ["a,b\n1,x\n2.5,y\n", "b,a\nx,1\n", "a,b,c\n1,x,9\n", "a,b\r\n1,x\r\n", 'a,b\n"1","x,y"\n', "a,b\n", "", "a,b\n1,x,3,4\n",
       "a\n1\n", "a,b\nq,x\n", "a,b\n,x\n", "a,b\n1,\n", "a,b\nNA,x\n", "a,b\n1,x\n\n2,y\n", "a,b\n1\n", "a,b\ninf,007\n",
       "\ufeffa,b\n1,x\n", "a,b\nTrue,False\n", "a,b\n1,2\n3,4\n", "a,b\n1e400,x\n", "a,b\n9223372036854775808,1\n", "a,b\n9223372036854775808,1\n-3,2\n"]
for signature in ["none", "pair", "one"]:
    for body in CSV:
        case(signature, body, C)
for body in ["r,i,l,f,d,s,b\n0.5,1,2,1.5,2.5,x,True\n", "r,i\n0.5,1.0\n", "r,i\n0.5,2147483648\n", "r,i\n0.5,\n",
             "r,l\n0.5,9223372036854775808\n", "r,b\n0.5,false\n", "r,b\n0.5,1\n", "r,b\n0.5,x\n", "r,f\n0.5,1e39\n",
             "r,s\n0.5,5\n", "r,s\n0.5,\n"]:
    case("scalars", body, C)

TENSORS = [
    '{"inputs": [[5.1, 3.5, 1.4, 0.2], [6.2, 3.4, 5.4, 2.3]]}', '{"inputs": [[1, 2, 3, 4]]}', '{"inputs": [[1, 2, 3]]}',
    '{"inputs": [1, 2, 3, 4]}', '{"inputs": [[["a"]]]}', '{"inputs": [["a", "b", "c", "d"]]}',
    '{"inputs": [["5.1", "3.5", "1.4", "0.2"]]}', '{"inputs": [[true, false, true, true]]}', '{"inputs": [[null, 1, 2, 3]]}',
    '{"inputs": [[1e39, 1, 2, 3]]}', '{"inputs": [[1, 2, 3, 4], [1]]}', '{"inputs": []}', '{"inputs": 3}', '{"inputs": "x"}',
    '{"inputs": {"x": [[1, 2], [3, 4]]}}', '{"inputs": {"x": [[1, 2]], "y": [1]}}', '{"inputs": {"x": [[1, 2]], "y": [1.5]}}',
    '{"inputs": {"x": [[1, 2]], "q": [1]}}', '{"inputs": {"x": [1, 2], "y": [1]}}', '{"inputs": [[1, 2], [3, 4]]}',
    '{"inputs": [{"x": [1, 2], "y": 1}]}', '{"instances": [{"x": [1, 2], "y": 1}, {"x": [3, 4], "y": 2}]}',
    '{"instances": [{"x": [1, 2]}, {"x": [3, 4]}]}', '{"instances": [{"x": [1, 2], "y": 1}, {"x": [3, 4]}]}',
    '{"instances": [[1, 2], [3, 4]]}', '{"instances": [[1, 2, 3, 4]]}', '{"instances": {"x": [[1, 2]], "y": [1, 2]}}',
    '{"dataframe_split": {"columns": ["a", "b", "c", "d"], "data": [[1, 2, 3, 4.5]]}}',
    '{"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1, 2, 3]]}}',
    '{"dataframe_split": {"columns": ["x"], "data": [[[1, 2]], [[3, 4]]]}}',
    '{"dataframe_split": {"columns": ["x"], "data": [[[1, 2, 3, 4]], [[5, 6, 7, 8]]]}}',
    '{"dataframe_split": {"columns": ["x", "y"], "data": [[[1, 2], 5], [[3, 4], 6]]}}',
    '{"dataframe_split": {"columns": ["x"], "data": [[[1, 2, 3]]]}}', '{"dataframe_split": {"columns": ["x"], "data": [[1]]}}',
    '{"dataframe_split": {"columns": ["x"], "data": []}}', '{"dataframe_records": [{"x": [1, 2], "y": 5}]}',
    '{"dataframe_records": [{"a": 1, "b": "u"}, {"a": 2, "b": "v"}]}', '{"dataframe_records": [{"a": 1, "b": 2, "c": 3, "d": 4}]}',
    '{"dataframe_records": [{"x": [1, 2, 3, 4]}]}', '{"inputs": [1, 2]}', '{"inputs": [1, 2.0]}', '{"inputs": [1.5]}',
    '{"inputs": [9223372036854775808]}', '{"inputs": ["7"]}', '{"inputs": ["u", "v"]}', '{"inputs": ["u", 5, null]}',
    '{"inputs": [[[0, 255], [1, 2]]]}', '{"inputs": [[[0, 256], [1, 2]]]}', '{"inputs": [[[0, -1], [1, 2]]]}',
    '{"inputs": {"x": [[[0, 255], [1, 2]]]}}', '{"inputs": {"a": [[1], [2]], "b": [["u"], ["v"]]}}',
    '{"inputs": [[1.0, 2.0], [3.0, 4.0]]}', '{"instances": [{"a": [1], "b": ["u"]}]}',
]
for signature in ["matrix", "vector", "texts", "x", "xy", "each", "image", "free"]:
    for body in TENSORS:
        case(signature, body)

for literal in ["[1.0, 2.5]", "[]", "[1, 2]", "[0, 1]", "[1, 2.5]", "null", "5.0", '["x"]', "[null]", "[[1.0]]"]:
    case("lists", f'{{"dataframe_records": [{{"a": {literal}}}]}}')
case("lists", '{"dataframe_records": [{"a": [1.0]}, {"a": [1.5, 2.5]}]}')
case("lists", '{"inputs": {"a": [1.5, 2.5]}}')


def plain(value):
    if isinstance(value, np.ndarray):
        return [plain(item) for item in value.tolist()] if value.ndim else plain(value.item())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if value is pd.NaT or isinstance(value, pd.Timestamp):
        return {"nanoseconds": value.value}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    return value


def result(data):
    if isinstance(data, pd.DataFrame):
        columns = [[str(name), str(data.dtypes.iloc[at]), plain(data.iloc[:, at].tolist())] for at, name in enumerate(data)]
        return {"frame": columns}
    if isinstance(data, np.ndarray):
        return {"array": [str(data.dtype), list(data.shape), plain(data)]}
    if isinstance(data, dict) and all(isinstance(value, (np.ndarray, np.generic)) for value in data.values()):
        arrays = {name: np.asarray(value) for name, value in data.items()}
        return {"named": [[name, str(value.dtype), list(value.shape), plain(value)] for name, value in arrays.items()]}
    return {"other": type(data).__name__}


def record(signature, content_type, body):
    try:
        signature = ModelSignature.from_dict({key: json.dumps(value) for key, value in signature.items()}) if signature else None
        schema = signature.inputs if signature else None
        if content_type == C:
            data, params = parse_csv_input(io.StringIO(body), schema), None
        else:
            parsed = _parse_json_data(body.encode(), Model(signature=signature), schema)
            data, params = parsed.data, parsed.params
            if parsed.is_unified_llm_input:
                data = dict(data)
        data, _ = _validate_prediction_input(data, params, schema, signature.params if signature else None)
        return result(data)
    except MlflowException as error:
        return {"refused": [error.error_code, error.error_class]}
    except Exception as error:
        return {"crashed": type(error).__name__}


lines = [json.dumps([name, content_type, body, record(SIGNATURES[name], content_type, body)]) for name, content_type, body in CASES]
print('{"signatures": ' + json.dumps(SIGNATURES) + ',\n"cases": [\n' + ",\n".join(lines) + "\n]}")
