"""Records the results of mlflow, numpy and pandas for predictions: `python record.py > more-shapes.json`.

Needs mlflow-skinny, numpy and pandas. Each line of INPUTS is a test case.
"""

import json
import math
import warnings

import mlflow
import numpy
import pandas
from mlflow.deployments import PredictionsResponse

DTYPES = [None, "float64", "float32", "int64", "int32", "uint64", "uint8", "str", "object", "bool"]

INPUTS = r"""
[null] | [null, "a"] | [1, NaN] | [null, NaN] | ["a", NaN] | [NaN, "a"] | [true, NaN] | [true, false] | [true, 1.5] | [NaN]
[1.5, 18446744073709551616] | [1, 18446744073709551616] | [9223372036854775808, null] | [9223372036854775808, 1]
[9223372036854775808, 1.5] | [9223372036854775808, -1.5] | [-1, 9223372036854775808, 1.5] | [-1, null, 9223372036854775808]
[9223372036854775807, null] | [9007199254740993, null] | [9007199254740993, 1.5] | [-9223372036854775809]
[-9223372036854775808] | [18446744073709551616, null] | [9223372036854775808, "a"] | [true, 9223372036854775808]
[true, 18446744073709551616] | ["a", 18446744073709551616] | [1e400] | [1e39] | [16777217] | [0.1] | [-0.0] | [-0]
[1e16, "a"] | [1e-7, "a"] | [123456789012345680.0, "a"] | [0.0001, 1e15, 5e-324, "a"] | [true, null, 1] | ["a", true, null]
["a", {}] | ["a", [1]] | [null, [1]] | [[1], null] | [1, [1]] | [1, {"a": 1}] | [null, {"a": 1}] | ["ab", [1]] | ["1", 1]
[[1], {"a": 1}] | [[1], "ab"] | [{"a": 1}, [1]] | [{"a": 1}, null] | [{"a": 1}, "xy"] | [{"a": 1}, [["b", 2]]]
[[[1, 2]], [[3, 4]]] | [[1, [2]], [3, [4]]] | [[[1, 2], [3]], [[4], [5]]] | [["a", null], ["b", "c"]] | [[null], [null]]
[[], [1]] | [[], []] | [[[]]] | [[[]], [[]]] | [[[]], [1]] | [[], 1] | [[null], []] | [[1], [2, "a"]] | [[1], [2, null]]
[[null, 1], [true, 2]] | [[{"a": 1}]] | [[1, true], [2, false]] | [[1, true], [2]] | [["a"], ["b", 2]] | [[NaN, null], [1]]
[[1, 2], [3, null, "x"]] | [[9223372036854775808], [null]] | [[9223372036854775807], []]
{"a": null, "b": [1, 2]} | {"a": [1], "b": [1, 2]} | {"a": [null]} | {"a": [null, 1]} | {"a": [1, "x"]} | {"a": [true, null]}
{"a": {}} | {"a": {}, "b": 1} | {"a": {}, "b": "x"} | {"a": {}, "b": null} | {"a": {}, "b": {"x": 1}} | {"a": [], "b": 1}
{"a": [], "b": "x"} | {"a": [], "b": null} | {"a": [], "b": 9223372036854775808} | {"a": [], "b": {}} | {"a": NaN}
{"a": {"x": 1}, "b": {"y": 2}} | {"a": {"y": 1, "x": 2}, "b": {"x": 3, "y": 4}} | {"a": {"y": 1, "x": 2}, "b": {"x": 3, "z": 4}}
{"a": {"x": "s"}, "b": {"y": "t"}} | {"a": {"x": true}, "b": {"y": 1}} | {"a": {"x": 1}, "b": [1]} | {"a": [1], "b": {"x": 1}}
{"a": {"x": 1}, "b": null} | {"a": {"x": null}} | {"a": {"x": [1, 2]}} | {"a": {"x": {"y": 1}}} | {"a": {"0": 1, "1": 2}}
{"a": {"x": null}, "b": {"y": null}} | {"a": {"x": 9223372036854775808}, "b": {"y": -5}} | {"a": {"x": 1, "y": null}}
{"a": [[1, 2], [3]]} | {"a": [{"x": 1}]} | {"a": "x", "b": true} | {"a": 1, "b": 18446744073709551616} | {"a": [1, 2], "b": NaN}
{"a": [1, 2], "b": true} | {"a": [1, 2], "b": 1.5} | {"a": [1, 2], "b": 18446744073709551616} | {"0": [1]}
[{"a": null}, {"a": 1}] | [{"a": null}, {}] | [{"a": null}, {"a": "x"}] | [{"a": true}, {"a": null}] | [{"a": NaN}, {}]
[{"a": 1}, {"a": "x"}] | [{"a": {"b": 1}}] | [{"a": [1]}, {}] | [{"a": 1}, {"b": 2}] | [{}, {"a": 1}] | [{"b": 1}, {"a": 2}]
[{"c": 1}, {"b": 2, "a": 3}, {"c": 3, "b": 1}] | [{"a": 9223372036854775808}, {}] | [{"a": -1}, {"a": 9223372036854775808}, {}]
[" 1.5 "] | [" 12 "] | ["1_000"] | ["1__0"] | ["_1"] | ["1_"] | ["1_0.0_1"] | ["1._0"] | ["1e1_0"] | ["inf"] | ["-Infinity"]
["NaN"] | ["+nan"] | ["1e5"] | ["0x10"] | [".5"] | ["5."] | ["1e400"] | [""] | ["\u0661"] | ["1 2"] | ["+5"] | ["-0"] | ["007"]
["9223372036854775808"] | ["256"] | ["-1"] | ["- 5"] | ["True"] | ["False"] | ["0"] | [" "] | "12" | "1.5"
[1.9] | [-1.9] | [-0.5] | [255.9] | [256.0] | [3e9] | [1e19] | [9223372036854775808.0] | [-9223372036854775808.0]
[255] | [256] | [-1] | [2147483647] | [2147483648] | [-2147483649] | [18446744073709551615]
"""

TEXTS = [
    '{"predictions":"\\u00e9\\u007f\\ud83d\\ude00\\"\\\\\\/\\b\\f\\n\\r\\t\\u0001<","é":{"a":[]}}',
    '{"a":1,"predictions":1,"b":{"x":1,"y":2,"x":3},"a":2}',
    ' \n{"predictions" :\t1}\r',
    '{"predictions": [1E5, 1e+2, 0e5, 1e22, 1.7976931348623157e308, 2.5e-5]}',
    '\ufeff{"predictions": 1}',
    *['{"predictions": %s}' % text for text in ["-NaN", "nan", "1.", "01", "+1", ".5", "1e", "-", "[1,]", '"\t"', '"\\x"', "'a'", "1 2"]],
    '{"predictions": 1,}',
    '{"predictions": 1} x',
    "[NaN]",
    "null",
]


def plain(value):
    """Replaces floats that JSON cannot express by names."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"inf": "Infinity", "-inf": "-Infinity"}.get(repr(value), "NaN")
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def attempt(make):
    try:
        return make()
    except Exception as error:
        return {"error": type(error).__name__, "message": str(error)}


def dataframe(response):
    frame = response.get_predictions("dataframe")
    return {
        "index": frame.index.tolist(),
        "index_dtype": str(frame.index.dtype),
        "columns": frame.columns.tolist(),
        "dtypes": [str(dtype) for dtype in frame.dtypes],
        "data": plain([[column.tolist()[row] for _, column in frame.items()] for row in range(len(frame))]),
    }


def ndarray(response, dtype):
    array = response.get_predictions("ndarray", dtype)
    return {"dtype": str(array.dtype), "shape": list(array.shape), "data": plain(array.tolist())}


def case(text):
    try:
        response = PredictionsResponse.from_json(text)
    except Exception as error:
        return {"input": text, "from_json_error": {"type": type(error).__name__, "message": str(error)}}
    recorded = {"input": text, "to_json": response.to_json(), "dataframe": attempt(lambda: dataframe(response))}
    for dtype in DTYPES:
        name = "ndarray" if dtype is None else f"ndarray[{dtype}]"
        recorded[name] = attempt(lambda: ndarray(response, dtype))
    return recorded


warnings.simplefilter("ignore")
predictions = [part.strip() for line in INPUTS.strip().splitlines() for part in line.split(" | ")]
texts = ['{"predictions": %s}' % part for part in predictions] + TEXTS
versions = {"mlflow": mlflow.__version__, "pandas": pandas.__version__, "numpy": numpy.__version__}
print(json.dumps(versions)[:-1] + ', "cases": [')
print(",\n".join(json.dumps(case(text)) for text in texts))
print("]}")
