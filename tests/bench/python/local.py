"""local.py SUBJECT MODEL REQUEST: predicts with a local model, and prints the cost of a call as JSON.

SUBJECT is `onnxruntime-python`, which only runs the model in this process, or `mlflow-models-serve`, which answers the
JSON of the request over one connection. The times are microseconds, and the memory is in MiB.
"""

import http.client
import json
import os
import pathlib
import resource
import signal
import socket
import subprocess
import sys
import time

subject, model, request = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]).read_bytes()
ROUND = 1.5


def repeat(ask):
    for _ in range(5):
        ask()
    count, used, begun = 0, time.process_time(), time.perf_counter()
    while time.perf_counter() < begun + ROUND:
        ask()
        count += 1
    return (time.perf_counter() - begun) / count * 1e6, (time.process_time() - used) / count * 1e6


def run():
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(model / "model.onnx", providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: np.array(json.loads(request)["inputs"], np.float32)}
    return repeat(lambda: session.run(None, feed))


def serve():
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
                connection.getresponse().read()
                break
            except OSError:
                assert server.poll() is None, server.stderr.read().decode()
                time.sleep(0.2)

        def ask():
            connection.request("POST", "/invocations", request, {"content-type": "application/json"})
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            answer.read()

        return repeat(ask)
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


wall, cpu = run() if subject == "onnxruntime-python" else serve()
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"wall": wall, "cpu": cpu, "memory": memory}))
