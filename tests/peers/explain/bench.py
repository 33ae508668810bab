"""bench.py COMMAND: times `mlflow-deploy explain` and the Python package shap, and compares their values.

Both use one thread for the model. The time of `mlflow-deploy` is that of the whole command. The time of shap is that of
one call, after a first call that compiles its functions.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import shap
from sample import MODELS, ROOT, Sample

(command,) = sys.argv[1:]
ROWS, BACKGROUND, ROUNDS = 40, 100, 3


def best(work):
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - begun)
    return min(times), result


print(f"{ROWS} rows against {BACKGROUND}, shap {shap.__version__}; the best of {ROUNDS}")
print(f"{'model':18}{'method':14}{'shap s':>9}{'ours s':>9}{'ratio':>8}{'difference':>13}")
with tempfile.TemporaryDirectory() as folder:
    environment = os.environ | {"MLFLOW_DEPLOY_LOCAL_STATE": folder}
    run = lambda *arguments: subprocess.run([command, *arguments], env=environment, check=True, capture_output=True)
    for name in MODELS:
        sample = Sample(name, ROWS, BACKGROUND)
        run("create", "-t", "local", "--name", name, "-m", str(ROOT / sample.folder), "-C", "intra_op_num_threads=1")
        request, config = pathlib.Path(folder, "request.json"), pathlib.Path(folder, "config.json")
        request.write_text(sample.request())
        config.write_text(sample.config())
        explain = ["explain", "-t", "local", "--name", name, "-I", str(request), "--config-file", str(config)]
        masker = shap.maskers.Independent(sample.background, max_samples=BACKGROUND)
        evaluations = 10 * (2 * sample.rows.shape[1] + 1)
        explainers = {
            "exact": lambda: shap.explainers.Exact(sample.predict, masker)(sample.rows, silent=True),
            "permutation": lambda: shap.explainers.Permutation(sample.predict, masker, seed=0)(
                sample.rows, max_evals=evaluations, silent=True
            ),
        }
        for method, explainer in explainers.items():
            explainer()
            theirs, expected = best(explainer)
            ours, answer = best(lambda: json.loads(run(*explain, "-C", f"method={method}").stdout))
            difference = np.abs(np.array(answer["values"]) - expected.values).max()
            print(f"{name:18}{method:14}{theirs:9.3f}{ours:9.3f}{theirs / ours:8.1f}{difference:13.1e}")
