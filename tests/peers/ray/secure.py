"""Checks a cluster that requires a token, behind https with a certificate of an authority of its own."""

import json
import secrets
import tempfile
from contextlib import contextmanager
from pathlib import Path

from cluster import cluster
from command import ROWS, SMALL, fails, run
from proxy import proxy, write_certificates

TOKEN, WRONG = secrets.token_hex(24), secrets.token_hex(24)


@contextmanager
def cluster_with_token():
    with cluster(nodes=2, variables={"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}):
        yield


def secure(models):
    with tempfile.TemporaryDirectory() as folder:
        authority, certificate = write_certificates(Path(folder))
        with proxy("http://127.0.0.1:8265", certificate) as dashboard, proxy("http://127.0.0.1:8000", certificate) as serve:
            outputs = []
            refuses(dashboard, authority, outputs)
            for isolated in (False, True):
                deploys(models, dashboard, serve, authority, outputs, isolated)
    assert not any(each in "".join(outputs) for each in (TOKEN, WRONG)), "a token was printed"
    print(f"no token is in the {len(outputs)} outputs, which were made with -vv")


def refuses(dashboard, authority, seen):
    """Commands without the authority, without a token, and with a wrong one."""
    target = f"ray://127.0.0.1:{dashboard.port}"
    trusted = ["--option", "https=true", "--option", f"ca_cert={authority}", "-vv"]
    for what, expected, options, variables in (
        ("http", "no Ray dashboard reached", ["-vv"], {"RAY_AUTH_TOKEN": TOKEN}),
        ("an unknown authority", "name the authority's certificate with the option `ca_cert`", ["--option", "https=true", "-vv"], {"RAY_AUTH_TOKEN": TOKEN}),
        ("no token", "Unauthorized: Missing authentication token", trusted, {}),
        ("a wrong token", "Forbidden: Invalid authentication token", trusted, {"RAY_AUTH_TOKEN": WRONG}),
        ("a wrong token in the option", "Forbidden: Invalid authentication token", [*trusted, "--option", f"token={WRONG}"], {"RAY_AUTH_TOKEN": TOKEN}),
    ):
        shown = fails(expected, "list", *options, target=target, environment=variables, seen=seen)
        print(f"{what}:", shown["code"], shown["message"], *(f"| {cause}" for cause in shown.get("causes", [])))


def deploys(models, dashboard, serve, authority, seen, isolated):
    """The whole life of a deployment, with the token and the authority from variables."""
    dashboard.seen.clear(), serve.seen.clear()
    common = {
        "target": f"ray:https://127.0.0.1:{dashboard.port}", "isolated": isolated, "seen": seen,
        "environment": {"RAY_AUTH_TOKEN": TOKEN, "REQUESTS_CA_BUNDLE": str(authority)},
    }  # fmt: skip
    options = ["--name", "iris", "--option", f"serve_url=https://127.0.0.1:{serve.port}", "-vv"]
    created = run("create", *options, "-m", str(models / "iris"), config=SMALL, **common)
    answer = run("predict", *options, "-I", "-", stdin=json.dumps(ROWS), **common)
    updated = run("update", *options, config={"max_ongoing_requests": 7}, **common)
    run("delete", *options, **common)
    left = run("list", "-vv", **common)
    print("isolated:" if isolated else "in process:", created["status"], created["url"], json.dumps(answer), updated["status"], left)
    assert answer == {"predictions": [0, 2]} and left == [], (answer, left)
    authorized = [{name.lower(): value for name, value in headers.items()}.get("authorization") for _, _, headers in dashboard.seen]
    assert set(authorized) == {f"Bearer {TOKEN}"}, "a request to the dashboard has no token"
    assert serve.seen and not any(name.lower() == "authorization" for _, _, headers in serve.seen for name in headers)
    print(f"{len(authorized)} requests to the dashboard had the token, {len(serve.seen)} to Serve had none")
