"""record.py FOLDER: records the explanations of the sample models by the Python package shap.

Writes one file per model: the request, the config, shap's exact base values, its values (row × feature × output), and the
largest error of shap's estimate from ten permutations, for comparison with this project's estimate.
"""

import json
import pathlib
import sys

import numpy as np
import shap
from sample import MODELS, Sample

(folder,) = sys.argv[1:]
for name in MODELS:
    sample = Sample(name, rows=4, background=12)
    masker = shap.maskers.Independent(sample.background, max_samples=len(sample.background))
    exact = shap.explainers.Exact(sample.predict, masker)(sample.rows, silent=True)
    evaluations = 10 * (2 * sample.rows.shape[1] + 1)
    estimate = shap.explainers.Permutation(sample.predict, masker, seed=0)(sample.rows, max_evals=evaluations, silent=True)
    recording = {
        "model": sample.folder,
        "shap": shap.__version__,
        "request": json.loads(sample.request()),
        "config": json.loads(sample.config()),
        "output": sample.output,
        "base_values": exact.base_values[0].tolist(),
        "values": exact.values.tolist(),
        "estimate_error": float(np.abs(estimate.values - exact.values).max()),
    }
    pathlib.Path(folder, f"{name}.json").write_text(json.dumps(recording) + "\n")
