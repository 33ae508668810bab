"""Starts and stops Ray clusters on the loopback interface."""

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

HEAD = [
    "--head", "--node-ip-address", "127.0.0.1", "--port", "6380", "--dashboard-host", "127.0.0.1", "--dashboard-port", "8265",
    "--num-cpus", "2",
]  # fmt: skip
SECOND = [
    "--address", "127.0.0.1:6380", "--node-ip-address", "127.0.0.2", "--num-cpus", "2", "--dashboard-agent-listen-port", "52366",
    "--min-worker-port", "30000", "--max-worker-port", "30999",
]  # fmt: skip


@contextmanager
def cluster(nodes=2, packages="venv", variables=None):
    """Runs a cluster of one node or two while the context is open, with the packages of an environment beside this one."""
    folder = Path(sys.prefix).parent / packages / "bin"
    # The programs of a node would yield to all other programs of this machine otherwise.
    priority = {"RAY_worker_niceness": "0"}
    environment = {**os.environ, **priority, **(variables or {}), "PATH": f"{folder}:{os.environ['PATH']}"}

    def ray(*arguments):
        return subprocess.run([folder / "ray", *arguments], env=environment, capture_output=True, text=True)

    try:
        for node in (HEAD, SECOND)[:nodes]:
            started = ray("start", "--disable-usage-stats", "--object-store-memory", "100000000", *node)
            if started.returncode:
                raise SystemExit(f"the cluster does not start:\n{started.stdout}{started.stderr}")
        yield
    finally:
        ray("stop", "--force")
