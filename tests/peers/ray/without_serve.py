"""Checks a cluster without Serve, and the other servers of a cluster: an error says what is wrong, and nothing changes."""

from contextlib import contextmanager

from cluster import cluster
from command import fails
from proxy import proxy


@contextmanager
def cluster_without_serve():
    with cluster(nodes=1, packages="without-serve"):
        yield


def without_serve(models):
    with proxy("http://127.0.0.1:8265") as dashboard:
        target = f"ray://127.0.0.1:{dashboard.port}"
        model = ["-m", str(models / "iris")]
        for verb, arguments in (
            ("list", []),
            ("create", ["--name", "iris", *model]),
            ("update", ["--name", "iris", *model]),
            ("delete", ["--name", "iris"]),
            ("get", ["--name", "iris"]),
        ):
            shown = fails("has no Ray Serve: install `ray[serve]` on its nodes", verb, *arguments, target=target)
            print(f"{verb}:", shown["code"], shown["message"])
        sent = sorted({method for method, _, _ in dashboard.seen})
        print("requests:", sent, sorted({path for _, path, _ in dashboard.seen}))
        assert sent == ["GET"], sent
    for port in (6380, 8000, 10001, 52365):
        shown = fails("port 8265", "create", "--name", "iris", *model, target=f"ray://127.0.0.1:{port}")
        print(f"port {port}:", shown["code"], shown["message"])
