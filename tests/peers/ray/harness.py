"""Runs the conformance check of the plugin with the cluster as its target, in process and isolated."""

import json
import re
import subprocess
from pathlib import Path

from command import COMMAND, SMALL, TARGET, run

INPUTS = json.dumps({"inputs": [1]})
# Only says what to do instead.
UNPROVEN = ["operations-run-local"]
CONFIG = """
target_uris = ["ray://127.0.0.1:8265", "ray:http://127.0.0.1:8265", "ray-serve://127.0.0.1:8265"]

[options]
poll_interval = 0.2
token = "s3cret-of-the-harness"

[predict]
deployment_name = "stream"
inputs = '{inputs}'

[slow]
deployment_name = "endless"
inputs = '{inputs}'

[deployment]
model_uri = "{model}"
inputs = '{inputs}'

[deployment.config]
num_cpus = 0.1

# Each prediction takes a replica's time.
[limits]
calls = 300
threads = 16
body_mib = 16
fuzz = 48
"""


def harness(models):
    for name in ("stream", "endless"):
        run("create", "--name", name, "-m", str(models / name), config={**SMALL, "num_cpus": 0.1, "max_ongoing_requests": 100})
    config = models / "conformance.toml"
    config.write_text(CONFIG.format(inputs=INPUTS, model=models / "stream"))
    folder = Path(COMMAND).parent
    for mode in ([], ["--isolated"]):
        command = [folder / "mlflow-deploy-conformance", folder / "libmlflow_deploy_ray.so", "--config", config, "--timeout", "300"]
        done = subprocess.run([*command, *mode], capture_output=True, text=True, timeout=1500)
        unproven = re.findall(r"^skip +(\S+) .* not proven", done.stdout, re.MULTILINE)
        print(*mode, re.search(r"^.*conformant: .*$", done.stdout, re.MULTILINE)[0], "Not proven:", unproven)
        assert done.returncode == 0 and unproven == UNPROVEN, done.stdout + done.stderr
    for name in ("stream", "endless"):
        run("delete", "--name", name)
    left = [each["name"] for each in run("list") if each["managed"]]
    assert left == [], left
