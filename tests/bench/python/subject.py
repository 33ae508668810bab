"""subject.py SUBJECT WORK URL: does the work of a benchmark with a Python client, and prints its cost as JSON.

SUBJECT is `mlflow-gateway`, `mlflow-databricks` or `openai-python`. WORK is a name of `src/work.rs`, which has the same
work in Rust. The times are microseconds of one call or of one chunk, and the memory is in MiB.
"""

import concurrent.futures
import json
import os
import resource
import sys
import time

subject, work, url = sys.argv[1:]
ROUND, IN_FLIGHT, LARGE = 1.5, 64, 64 << 20
MESSAGES = [{"role": "user", "content": "What is MLflow? Answer in one sentence."}]

os.environ.update(DATABRICKS_HOST=url, DATABRICKS_TOKEN="dapi-bench", MLFLOW_DISABLE_TELEMETRY="true")
if subject == "openai-python":
    import openai

    client = openai.OpenAI(base_url=f"{url}/v1", api_key="sk-bench")

    def predict(messages):
        client.chat.completions.create(model="chat", messages=messages, max_tokens=100)

    def stream(messages):
        return client.chat.completions.create(model="chat", messages=messages, max_tokens=100_000, stream=True)

else:
    from mlflow.deployments import get_deploy_client

    client = get_deploy_client(url if subject == "mlflow-gateway" else "databricks")

    def predict(messages):
        client.predict(endpoint="chat", inputs={"messages": messages, "max_tokens": 100})

    def stream(messages):
        return client.predict_stream(endpoint="chat", inputs={"messages": messages, "max_tokens": 100_000, "stream": True})


def repeat(_worker=0):
    count, end = 0, time.perf_counter() + ROUND
    while time.perf_counter() < end:
        predict(MESSAGES)
        count += 1
    return count


def many():
    with concurrent.futures.ThreadPoolExecutor(IN_FLIGHT) as pool:
        return sum(pool.map(repeat, range(IN_FLIGHT)))


def large():
    predict([{"role": "user", "content": "x" * LARGE}])
    return 1


predict(MESSAGES)
do = {"one": repeat, "many": many, "stream": lambda: sum(1 for _ in stream(MESSAGES)), "large": large}[work]
begun, used = time.perf_counter(), time.process_time()
count = do()
wall, used = time.perf_counter() - begun, time.process_time() - used
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"wall": wall / count * 1e6, "cpu": used / count * 1e6, "memory": memory}))
