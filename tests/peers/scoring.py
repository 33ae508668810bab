"""scoring.py ADDRESS...: sends the same requests to several scoring servers of one model, with MLflow's client.

The model takes four floats in a tensor without a name and returns `label` and `probabilities`. Writes a JSON list with the
results of each server, in the order of the addresses. `PredictionsResponse` converts each response to a dataframe and
to an array. At the end, the script measures the time of requests of one row on one connection."""

import contextlib
import json
import sys
import time

addresses = sys.argv[1:]
ROWS = [[5.1, 3.5, 1.4, 0.2], [6.2, 3.4, 5.4, 2.3]]
NAMES = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]


def ask(client, data, **more):
    try:
        answer = client.invoke(data, **more)
    except Exception as error:
        # Error messages differ between servers.
        return {"error": str(error)[: len("Invocation failed (error code 400")]}
    return {
        "json": json.loads(answer.to_json()),
        "columns": list(answer.get_predictions().columns),
        "frame": json.loads(answer.get_predictions().to_json(orient="values", double_precision=6)),
        "array": str(answer.get_predictions("ndarray").dtype),
    }


def measure(address):
    host, port = address.split(":")
    client = ScoringServerClient(host, port)
    client.wait_server_ready(timeout=120)
    rows = np.array(ROWS, np.float32)
    results = {
        "version": client.get_version(),
        "array": ask(client, rows),
        "frame": ask(client, pd.DataFrame(rows, columns=NAMES)),
        "lists": ask(client, ROWS),
        "a wrong shape": ask(client, rows[:, :3]),
        "texts": ask(client, np.array([["a", "b", "c", "d"]])),
    }
    body = json.dumps({"inputs": ROWS[:1]})
    times = []
    with requests.Session() as session:
        for _ in range(300):
            begun = time.perf_counter()
            session.post(f"http://{address}/invocations", data=body, headers={"Content-Type": "application/json"}).raise_for_status()
            times.append(time.perf_counter() - begun)
    times = sorted(times[50:])
    return {"results": results, "milliseconds": [1000 * times[len(times) * percent // 100] for percent in (50, 99)]}


# Libraries print to stderr, so that stdout contains only the responses.
with contextlib.redirect_stdout(sys.stderr):
    import numpy as np
    import pandas as pd
    import requests
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    everything = [measure(address) for address in addresses]
json.dump(everything, sys.stdout)
