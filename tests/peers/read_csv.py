"""read_csv.py FILE: reads CSV texts as MLflow's scoring server does. FILE contains a JSON list of the texts.

Writes a JSON list with `columns` and `data` of each dataframe. Missing values are null."""

import contextlib
import io
import json
import sys

# Libraries print to stderr, so that stdout contains only the result.
with contextlib.redirect_stdout(sys.stderr):
    from mlflow.pyfunc.scoring_server import parse_csv_input

    with open(sys.argv[1]) as file:
        frames = [parse_csv_input(io.StringIO(text)) for text in json.load(file)]


def rows(frame):
    columns = [[None if missing else value for value, missing in zip(frame[name].tolist(), frame[name].isna())] for name in frame]
    return list(zip(*columns))


json.dump([{"columns": list(frame.columns), "data": rows(frame)} for frame in frames], sys.stdout)
