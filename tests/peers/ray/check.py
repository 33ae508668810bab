"""Checks the plugin `ray` with real clusters. Prints what each check saw, and fails on the first difference.

run.sh calls it. With names of checks as arguments, runs only these.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import deployments
from cluster import cluster
from command import HERE, seconds
from harness import harness
from secure import cluster_with_token, secure
from sources import pip, remote
from without_serve import cluster_without_serve, without_serve

# The checks of each cluster.
CHECKS = {
    cluster: [
        deployments.life_cycle,
        deployments.updates,
        deployments.same_bytes,
        deployments.isolated,
        deployments.streams,
        deployments.failures,
        deployments.throughput,
        deployments.killed_replica,
        deployments.programs,
        deployments.concurrent_creates,
        deployments.bad_input,
        pip,
        remote,
        harness,
    ],
    cluster_with_token: [secure],
    cluster_without_serve: [without_serve],
}


def main(names):
    unknown = set(names) - {check.__name__ for checks in CHECKS.values() for check in checks}
    if unknown:
        sys.exit(f"no such checks: {sorted(unknown)}")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, HERE / "models.py", folder], check=True, capture_output=True)
        for start_cluster, checks in CHECKS.items():
            chosen = [check for check in checks if not names or check.__name__ in names]
            if not chosen:
                continue
            start = time.monotonic()
            with start_cluster():
                print(f"\n==== {start_cluster.__name__}: started in {seconds(start)}", flush=True)
                for check in chosen:
                    print(f"\n== {check.__name__}", flush=True)
                    start = time.monotonic()
                    check(Path(folder))
                    print(f"passed in {seconds(start)}", flush=True)
    print("\nThe plugin passed all checks on real clusters.")


if __name__ == "__main__":
    main(sys.argv[1:])
