"""bench_local.py MODEL REQUEST...: measures the median time of predictions, in microseconds, for the JSON requests in
these files: by ONNX Runtime in this process, and by `mlflow models serve` over one connection."""

import http.client
import json
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import time

import numpy as np
import onnxruntime

model, requests = pathlib.Path(sys.argv[1]), [pathlib.Path(path).read_bytes() for path in sys.argv[2:]]


def median(ask, seconds=3.0, least=30):
    for _ in range(5):
        ask()
    taken, end = [], time.perf_counter() + seconds
    while len(taken) < least or time.perf_counter() < end:
        begun = time.perf_counter()
        ask()
        taken.append(time.perf_counter() - begun)
    return round(statistics.median(taken) * 1e6, 1)


session = onnxruntime.InferenceSession(model / "model.onnx", providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
feeds = [{name: np.array(json.loads(request)["inputs"], np.float32)} for request in requests]
in_process = [median(lambda: session.run(None, feed)) for feed in feeds]

with socket.create_server(("127.0.0.1", 0)) as listener:
    port = listener.getsockname()[1]
command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(model), "--env-manager", "local", "-h", "127.0.0.1", "-p", str(port)]
# The server starts programs that are installed in the folder of this Python.
environment = {**os.environ, "PATH": f"{pathlib.Path(sys.executable).parent}:/usr/bin:/bin"}
server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
try:
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", "/ping")
            if connection.getresponse().read() is not None:
                break
        except OSError:
            assert server.poll() is None, server.stderr.read().decode()
            time.sleep(0.2)

    def ask(request):
        connection.request("POST", "/invocations", request, {"content-type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()

    over_http = [median(lambda: ask(request)) for request in requests]
finally:
    os.killpg(server.pid, signal.SIGKILL)
    server.wait()
json.dump({"in_process": in_process, "over_http": over_http}, sys.stdout)
