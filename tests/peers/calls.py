"""calls.py TARGET CALLS ENVIRONMENT: makes calls with MLflow's client of a target.

CALLS is a JSON list of `{"call": name, "args": {…}}` and ENVIRONMENT a JSON object of variables. Writes a JSON list with
the outcome of each call: `{"result": …}`, `{"chunks": […]}` for a stream, or `{"error": {"class": …, "message": …}}`.
"""

import contextlib
import json
import os
import sys

target, calls, environment = sys.argv[1:]
os.environ.update(json.loads(environment))


def outcome(client, call, args):
    try:
        answer = getattr(client, call)(**args)
        return {"chunks": list(answer)} if call == "predict_stream" else {"result": answer}
    except Exception as error:
        return {"error": {"class": type(error).__name__, "message": str(error)}}


# Libraries print to stderr, so that stdout contains only the outcomes.
with contextlib.redirect_stdout(sys.stderr):
    from mlflow.deployments import get_deploy_client

    client = get_deploy_client(target)
    outcomes = [outcome(client, **call) for call in json.loads(calls)]
json.dump(outcomes, sys.stdout)
