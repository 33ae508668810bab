"""models.py FOLDER: saves the MLflow models of the test with real servers to FOLDER.

`iris` and `plain` are the same classifier, with and without a signature. `columns` returns the columns of its dataframe,
one of each type. `tensors` returns its tensors, one of each type of number. Both return their parameter, too.
"""

import os
import sys

import mlflow
import numpy as np
import pandas
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

folder = sys.argv[1]
os.makedirs(folder, exist_ok=True)

flowers = load_iris(as_frame=True)
classifier = LogisticRegression(max_iter=1000).fit(flowers.data, flowers.target)
signature = infer_signature(flowers.data, classifier.predict(flowers.data))
save = dict(pip_requirements=[], serialization_format="cloudpickle")
mlflow.sklearn.save_model(classifier, f"{folder}/iris", signature=signature, **save)
mlflow.sklearn.save_model(classifier, f"{folder}/plain", **save)


class Columns(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        frame = pandas.DataFrame({name: model_input[name] for name in model_input.columns})
        # MLServer 1.7 does not write the strings of pandas 3.
        frame["string"] = frame["string"].astype(object)
        return frame.assign(factor=np.full(len(frame), float((params or {}).get("factor", 1.0))))


class Tensors(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return {name: np.asarray(array) for name, array in model_input.items()}


types = [DataType.boolean, DataType.integer, DataType.long, DataType.float, DataType.double, DataType.string]
columns = Schema([ColSpec(each, str(each.name)) for each in types])
params = ParamSchema([ParamSpec("factor", DataType.double, 1.0)])
mlflow.pyfunc.save_model(
    f"{folder}/columns", python_model=Columns(), signature=ModelSignature(columns, columns, params), pip_requirements=[]
)
numbers = "bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 float32 float64".split()
tensors = Schema([TensorSpec(np.dtype(each), (-1, 2), each) for each in numbers])
mlflow.pyfunc.save_model(
    f"{folder}/tensors", python_model=Tensors(), signature=ModelSignature(tensors, tensors), pip_requirements=[]
)
