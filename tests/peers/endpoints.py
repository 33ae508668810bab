"""endpoints.py TRACKING_URL UPSTREAM_URL: creates the endpoints of the tracking server's gateway.

Calls the server's own REST API. A secret holds a key and the upstream's address, a model definition names a model of
the upstream, and an endpoint publishes a model definition. If the environment variable USER_PASSWORD is set
(`user:password`), its value is sent as Basic authentication.
"""

import base64
import json
import os
import sys
import urllib.request

tracking, upstream = sys.argv[1:]
# An empty ProxyHandler ignores the proxies of the environment, because the servers are local.
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def create(kind, fields):
    request = urllib.request.Request(
        f"{tracking}/api/3.0/mlflow/gateway/{kind}/create",
        json.dumps(fields).encode(),
        {"Content-Type": "application/json"},
    )
    if credentials := os.environ.get("USER_PASSWORD"):
        request.add_header("Authorization", "Basic " + base64.b64encode(credentials.encode()).decode())
    with opener.open(request, timeout=60) as reply:
        return json.load(reply)


def secret(name, key):
    fields = {
        "secret_name": name,
        "secret_value": {"api_key": key},
        "provider": "openai",
        "auth_config": {"api_base": f"{upstream}/v1"},
    }
    return create("secrets", fields)["secret"]["secret_id"]


def endpoint(name, model, secret_id):
    fields = {"name": name, "secret_id": secret_id, "provider": "openai", "model_name": model}
    definition = create("model-definitions", fields)["model_definition"]["model_definition_id"]
    config = {"model_definition_id": definition, "linkage_type": "PRIMARY", "weight": 1}
    create("endpoints", {"name": name, "model_configs": [config]})


right = secret("right", os.environ["UPSTREAM_KEY"])
wrong = secret("wrong", os.environ["WRONG_UPSTREAM_KEY"])
endpoint("chat", "gpt-4o-mini", right)
endpoint("embeddings", "text-embedding-3-small", right)
endpoint("chat-locked", "gpt-4o-mini", wrong)
