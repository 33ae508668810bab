"""openai_requests.py CASES URL: makes the requests of the cases with the real clients: the package `openai`, and
MLflow's deployment client. The server at URL records the requests. The script ignores the responses.
"""

import json
import os
import sys

import openai
from mlflow.deployments import get_deploy_client

cases, url = sys.argv[1:]


def ask(case):
    inputs, endpoint = case.get("inputs", {}), case.get("endpoint")
    if case["client"] == "mlflow":
        return get_deploy_client("openai").predict(endpoint=endpoint, inputs=inputs)
    if case["client"] == "azure":
        token = os.environ.get("AZURE_OPENAI_AD_TOKEN")
        key = None if token else os.environ["OPENAI_API_KEY"]
        client = openai.AzureOpenAI(azure_endpoint=url, api_key=key, azure_ad_token=token, max_retries=0)
    else:
        client = openai.OpenAI(base_url=f"{url}/v1", max_retries=0)
    call = client
    for name in case["call"].split("."):
        call = getattr(call, name)
    if case["call"] == "models.list":
        return call()
    if case["call"] == "models.retrieve":
        return call(endpoint)
    if case.get("stream"):
        return list(call(model=endpoint, stream=True, **inputs))
    return call(model=endpoint, **inputs)


outside = dict(os.environ)
with open(cases) as file:
    for case in json.load(file):
        os.environ.clear()
        base = url if "azure" in case.get("env", {}).get("OPENAI_API_TYPE", "") else f"{url}/v1"
        os.environ.update(outside | {"OPENAI_API_KEY": "sk-test", "OPENAI_API_BASE": base} | case.get("env", {}))
        ask(case)
