"""Runs an MLflow model in Triton's backend `python`. mlflow-deploy sends this file with the model."""

import json
import os

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        import mlflow.pyfunc

        folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mlflow")
        self.model = mlflow.pyfunc.load_model(folder)
        schema = self.model.metadata.get_input_schema()
        self.is_frame = schema is not None and not schema.is_tensor_spec()
        self.has_names = schema is not None and schema.has_input_names()
        config = json.loads(args["model_config"])
        self.inputs = [each["name"] for each in config["input"]]
        self.outputs = {
            each["name"]: pb_utils.triton_string_to_numpy(each["data_type"]) for each in config["output"]
        }

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        try:
            predictions = self.model.predict(self.data(request))
            return pb_utils.InferenceResponse(self.tensors(predictions))
        except Exception as error:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(f"{type(error).__name__}: {error}"))

    def data(self, request):
        arrays = {}
        for name in self.inputs:
            array = pb_utils.get_input_tensor_by_name(request, name).as_numpy()
            if array.dtype == object:
                array = np.vectorize(lambda text: text.decode("utf-8"), otypes=[object])(array)
            arrays[name] = array
        if self.is_frame:
            import pandas

            frame = pandas.DataFrame({name: array if array.ndim == 1 else list(array) for name, array in arrays.items()})
            if not self.has_names:
                frame.columns = range(len(frame.columns))
            return frame
        if len(arrays) == 1 and not self.has_names:
            return next(iter(arrays.values()))
        return arrays

    def tensors(self, predictions):
        names = list(self.outputs)
        if hasattr(predictions, "columns"):
            columns = [predictions[column].to_numpy() for column in predictions.columns]
            named = dict(zip(map(str, predictions.columns), columns))
            if not set(names) <= set(named):
                named = dict(zip(names, columns)) if len(columns) == len(names) else {names[0]: predictions.to_numpy()}
        elif isinstance(predictions, dict):
            named = predictions
        else:
            named = {names[0]: np.asarray(predictions)}
        missing = [name for name in names if name not in named]
        if missing:
            raise ValueError(f"the model did not return {missing}, only {list(named)}")
        return [pb_utils.Tensor(name, self.cast(named[name], dtype)) for name, dtype in self.outputs.items()]

    @staticmethod
    def cast(values, dtype):
        array = np.asarray(values)
        if dtype in (object, np.object_):
            return np.array([str(value).encode("utf-8") for value in array.ravel()], dtype=object).reshape(array.shape)
        return np.ascontiguousarray(array.astype(dtype))
