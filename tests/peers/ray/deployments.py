"""Checks deployments on a cluster of two nodes: their life, their load, their failures, and their neighbors."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from command import COMMAND, HERE, ROWS, SMALL, START, Failed, post, run, seconds

CSV = "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n5.1,3.5,1.4,0.2\n"


def nodes(record):
    return sorted({replica["node_ip"] for replica in record["replicas"] if replica["state"] == "RUNNING"})


def life_cycle(models):
    start = time.monotonic()
    created = run("create", "--name", "iris", "-m", str(models / "iris"), config=SMALL)
    print("create:", created["status"], created["url"], seconds(start))
    answer = run("predict", "--name", "iris", "-I", "-", stdin=json.dumps(ROWS))
    print("predict:", json.dumps(answer))
    assert answer == {"predictions": [0, 2]}, answer
    start = time.monotonic()
    wide = {"num_replicas": 2, "deployment": {"max_replicas_per_node": 1}}
    updated = run("update", "--name", "iris", config=wide)
    print("update to two replicas:", updated["status"], nodes(updated), seconds(start))
    assert nodes(updated) == ["127.0.0.1", "127.0.0.2"], updated
    print("list:", [(each["name"], each["status"], each["replicas_running"]) for each in run("list")])
    print("get:", json.dumps(run("get", "--name", "iris")["replicas"]))
    start = time.monotonic()
    run("delete", "--name", "iris")
    run("delete", "--name", "iris")
    print("delete, twice:", run("list"), seconds(start))
    assert run("list") == []


def updates(models):
    run("create", "--name", "iris", "-m", str(models / "iris"), config=SMALL)
    predict = lambda: run("predict", "--name", "iris", "-I", "-", stdin=json.dumps(ROWS))
    for what, model, config in (
        ("route", [], {"route_prefix": "/moved/iris"}),
        ("resources", [], {"num_cpus": 0.3, "memory": 100_000_000, "max_ongoing_requests": 3, "env": {"OMP_NUM_THREADS": "1"}}),
        ("autoscaling", [], {"autoscaling": {"min_replicas": 1, "max_replicas": 2, "target_ongoing_requests": 1}}),
        ("further keys", [], {"application": {"external_scaler_enabled": False}, "deployment": {"graceful_shutdown_timeout_s": 5}}),
        ("model", ["-m", str(models / "slow")], {"num_replicas": 1}),
    ):
        start = time.monotonic()
        record = run("update", "--name", "iris", *model, config=config)
        answer = predict() if what != "model" else run("predict", "--name", "iris", "-I", "-", stdin='{"inputs": [1]}')
        print(f"{what}:", record["status"], json.dumps(record["config"]["deployments"]), record["url"], answer, seconds(start))
        assert answer == ({"predictions": [0, 2]} if what != "model" else {"predictions": [0]}), answer
    run("delete", "--name", "iris")


def throughput(models):
    rates = {}
    one = {"num_cpus": 0.1, "max_ongoing_requests": 1, "num_replicas": 1, **START}
    run("create", "--name", "slow", "-m", str(models / "slow"), config=one)
    for replicas in (1, 2):
        if replicas == 2:
            wide = {"num_replicas": 2, "deployment": {"max_replicas_per_node": 1}}
            print("nodes:", nodes(run("update", "--name", "slow", config=wide)))
        rates[replicas] = rate("http://127.0.0.1:8000/slow/invocations")
        print(f"{replicas} replicas: {rates[replicas]:.1f} predictions per second")
    print(f"ratio: {rates[2] / rates[1]:.2f}")
    run("delete", "--name", "slow")
    assert rates[2] >= 1.6 * rates[1], rates


def rate(url, clients=8, duration=10):
    body, end, counts = json.dumps({"inputs": [1]}).encode(), time.monotonic() + duration, []

    def client():
        count = 0
        while time.monotonic() < end:
            assert post(url, body, "application/json")[0] == 200
            count += 1
        counts.append(count)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return sum(counts) / duration


def killed_replica(models):
    run("create", "--name", "slow", "-m", str(models / "slow"), config={**SMALL, "num_cpus": 0.1, "num_replicas": 2})
    victim = run("get", "--name", "slow")["replicas"][0]["pid"]
    body, failures = json.dumps({"inputs": [1]}).encode(), []

    def ask(number):
        if number == 40:
            os.kill(victim, signal.SIGKILL)
        status, _, answer = post("http://127.0.0.1:8000/slow/invocations", body, "application/json")
        if status != 200:
            failures.append((number, status, answer[:200]))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(200)))
    print(f"of 200 predictions, {len(failures)} failed, of at most 8 in flight:", failures)
    # At most all requests that were in flight can have been in the killed replica.
    assert len(failures) <= 8 and all(39 - 8 <= number <= 48 for number, *_ in failures), failures
    run("delete", "--name", "slow")


def programs(models):
    subprocess.run([sys.executable, HERE / "program.py"], check=True, capture_output=True)
    run("create", "--name", "iris", "-m", str(models / "iris"), config=SMALL)
    listed = {each["name"]: each["source"] for each in run("list")}
    print("list:", listed)
    assert listed == {"iris": "declarative", "program": "imperative"}, listed
    for verb, config in (("create", SMALL), ("update", {"num_replicas": 2}), ("delete", None)):
        model = ["-m", str(models / "iris")] if verb == "create" else []
        try:
            run(verb, "--name", "program", *model, config=config)
        except Failed as failed:
            print(f"{verb}:", failed.error[:300])
            assert "a program deployed the application `program`" in failed.error, failed.error
        else:
            raise AssertionError(f"{verb} took the application over")
    run("delete", "--name", "iris")
    answer = urllib.request.urlopen("http://127.0.0.1:8000/program", timeout=30).read()
    print("the program answers:", answer)
    assert answer == b"of a program"


def concurrent_creates(models):
    for turn in range(10):
        with ThreadPoolExecutor(2) as pool:
            create = lambda name: run("create", "--name", name, "-m", str(models / "iris"), config={**SMALL, "num_cpus": 0.1})
            statuses = [record["status"] for record in pool.map(create, ("one", "two"))]
        names = sorted(each["name"] for each in run("list") if each["source"] == "declarative")
        print(f"{turn + 1}: {statuses}, {names}")
        assert names == ["one", "two"] and statuses == ["RUNNING", "RUNNING"]
        run("delete", "--name", "one")
        run("delete", "--name", "two")


def failures(models):
    """A model whose replica fails, and a node without MLflow, on which the import of the program fails."""
    run("create", "--name", "iris", "-m", str(models / "iris"), config=SMALL)
    shadow = models / "shadow"
    shadow.mkdir()
    (shadow / "mlflow.py").write_text("raise ModuleNotFoundError(\"No module named 'mlflow'\")\n")
    for name, model, config, expected in (
        ("broken", "broken", {}, "ValueError: the weights are broken"),
        ("absent", "iris", {"env": {"PYTHONPATH": str(shadow)}}, "ModuleNotFoundError: No module named 'mlflow'"),
    ):
        try:
            run("create", "--name", name, "-m", str(models / model), config={**SMALL, **config})
        except Failed as failed:
            shown = json.loads(failed.error.splitlines()[-1])["error"]
            print(f"{name}:", shown["message"])
            print("its cause ends:", shown["causes"][0][-300:])
            assert expected in shown["message"] and "Traceback" in shown["causes"][0], shown
        else:
            raise AssertionError(f"{name} was deployed")
        names = [each["name"] for each in run("list") if each["source"] == "declarative" and each["status"] != "DELETING"]
        assert names == ["iris"], names
    run("delete", "--name", "iris")


def same_bytes(models):
    """Compares the answers with those of `mlflow models serve`, byte for byte."""
    run("create", "--name", "iris", "-m", str(models / "iris"), config=SMALL)
    serve = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(models / "iris"), "--env-manager", "local", "-p", "5001"]
    server = subprocess.Popen(serve, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_for("http://127.0.0.1:5001/ping")
        for body, content_type in (
            (json.dumps(ROWS).encode(), "application/json"),
            (CSV.encode(), "text/csv"),
            (b"{bad", "application/json"),
            (b'{"dataframe_split": {"columns": ["a"], "data": [[1]]}}', "application/json"),
            (b"x", "text/plain"),
        ):
            ray, mlflow = (post(f"{base}/invocations", body, content_type) for base in ("http://127.0.0.1:8000/iris", "http://127.0.0.1:5001"))
            print(ray[0], ray[1], ray[2][:100])
            assert ray == mlflow, (ray, mlflow)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()
    try:
        run("predict", "--name", "iris", "-I", "-", stdin="{bad")
    except Failed as failed:
        print("predict:", failed.error[:300])
    run("delete", "--name", "iris")


def wait_for(url):
    for _ in range(240):
        try:
            return urllib.request.urlopen(url, timeout=5).read()
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"no answer at {url}")


def streams(models):
    run("create", "--name", "stream", "-m", str(models / "stream"), config=SMALL)
    command = [COMMAND, "predict", "-t", "ray://127.0.0.1:8265", "--name", "stream", "--stream", "-I", "-"]
    done = subprocess.run(command, input='{"inputs": [1]}', capture_output=True, text=True, timeout=60)
    print("stream:", done.returncode, done.stdout.splitlines(), done.stderr)
    assert done.returncode == 0 and [json.loads(line) for line in done.stdout.splitlines() if line] == [{"part": number} for number in range(3)]
    run("delete", "--name", "stream")


def isolated(models):
    created = run("create", "--name", "iris", "-m", str(models / "iris"), config=SMALL, isolated=True)
    answer = run("predict", "--name", "iris", "-I", "-", stdin=json.dumps(ROWS), isolated=True)
    print(created["status"], json.dumps(answer))
    assert answer == {"predictions": [0, 2]}
    run("delete", "--name", "iris", isolated=True)


def bad_input(models):
    for target, expected in (
        ("ray://127.0.0.1:8000", "port 8265"),
        ("ray://127.0.0.1:6380", "port 8265"),
        ("ray://127.0.0.1:9", "port 8265"),
        ("ray://127.0.0.1:10001", "port 8265"),
    ):
        done = subprocess.run([COMMAND, "list", "-t", target], capture_output=True, text=True, timeout=120)
        print(target, done.returncode, done.stderr.strip()[:260])
        assert done.returncode and expected in done.stderr, done
    run("create", "--name", "iris", "-m", str(models / "iris"), config=SMALL)
    before = run("list")
    for name, edit in {"old": ("python_version: 3.11", "python_version: 3.9"), "plain": ("python_function:", "other:")}.items():
        shutil.copytree(models / "iris", models / name)
        file = models / name / "MLmodel"
        file.write_text(file.read_text().replace(*edit))
    for model, config, expected in (
        ("old", SMALL, "but the cluster runs Python 3.11"),
        ("plain", SMALL, "has no flavor `python_function`"),
        ("iris", {**SMALL, "route_prefix": "/iris"}, "is taken by the application `iris`"),
        ("iris", {"num_replica": 1}, "did you mean `num_replicas`?"),
        ("iris", {**SMALL, "deployment": {"max_ongoing_requests": "many"}}, "Ray Serve refused the config"),
    ):
        try:
            run("create", "--name", "other", "-m", str(models / model), config=config)
        except Failed as failed:
            print(failed.error.splitlines()[-1][:330])
            assert expected in failed.error, failed.error
        else:
            raise AssertionError(expected)
    assert run("list") == before
    run("delete", "--name", "iris")
