"""Saves the models that check.py deploys, each in a folder of its own."""

import sys
from pathlib import Path

import mlflow.pyfunc
import mlflow.sklearn
from mlflow.models import infer_signature
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

SLOW = """
import time
import mlflow.pyfunc, mlflow.models

class Slow(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        time.sleep(0.1)
        return [0] * len(model_input)

mlflow.models.set_model(Slow())
"""

STREAM = """
import mlflow.pyfunc, mlflow.models

class Stream(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [0] * len(model_input)

    def predict_stream(self, context, model_input, params=None):
        for number in range(3):
            yield {"part": number}

mlflow.models.set_model(Stream())
"""

BROKEN = """
import mlflow.pyfunc, mlflow.models

class Broken(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        raise ValueError("the weights are broken")

    def predict(self, context, model_input, params=None):
        return []

mlflow.models.set_model(Broken())
"""

# A prediction ends only when the client cancels it.
ENDLESS = """
import time
import mlflow.pyfunc, mlflow.models

class Endless(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        time.sleep(86400)

mlflow.models.set_model(Endless())
"""

COUNTS = """
import mlflow.pyfunc, mlflow.models

class Counts(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        import tally

        self.count = tally.count

    def predict(self, context, model_input, params=None):
        return [self.count(model_input)]

mlflow.models.set_model(Counts())
"""


def main(folder):
    data = load_iris(as_frame=True)
    model = LogisticRegression(max_iter=500).fit(data.data, data.target)
    signature = infer_signature(data.data, model.predict(data.data))
    mlflow.sklearn.save_model(model, folder / "iris", signature=signature, pip_requirements=[])
    for name, code in {"slow": SLOW, "stream": STREAM, "broken": BROKEN, "endless": ENDLESS, "counts": COUNTS}.items():
        file = folder / f"{name}.py"
        file.write_text(code)
        mlflow.pyfunc.save_model(folder / name, python_model=str(file), pip_requirements=[])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
