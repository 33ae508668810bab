"""Prints requests with the signatures that botocore computes, as plugins/support/aws/src/tests/signatures.json has them.

Run it with the Python of run.sh: target/peers/sagemaker/venv/bin/python tests/peers/sagemaker/signatures.py
"""

import datetime
import hashlib
import json

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

NOW = datetime.datetime(2026, 11, 30, 12, 34, 56)
KEYS = [("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None), ("ASIAEXAMPLE", "s3cr3t/+=key", "tok+en/=with//signs==")]
JSON = {"Content-Type": "application/x-amz-json-1.1"}
FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
RUNTIME = "https://runtime.sagemaker.us-east-1.amazonaws.com/endpoints"


def sagemaker(operation, body):
    url = "https://api.sagemaker.eu-west-1.amazonaws.com/"
    return ("sagemaker", "eu-west-1", "POST", url, {**JSON, "X-Amz-Target": f"SageMaker.{operation}"}, json.dumps(body))


REQUESTS = [
    sagemaker("ListEndpoints", {}),
    sagemaker("DescribeEndpoint", {"EndpointName": "iris"}),
    sagemaker("CreateModel", {"ModelName": "é✓", "Tags": [{"Key": "a b", "Value": "ü"}]}),
    sagemaker("DeleteEndpoint", {"EndpointName": "a" * 63}),
    ("sagemaker", "us-east-1", "POST", f"{RUNTIME}/iris/invocations", {"Content-Type": "application/json"}, '{"inputs": [1]}'),
    ("sagemaker", "us-east-1", "POST", f"{RUNTIME}/iris/invocations", {"Content-Type": "text/csv", "Accept": "*/*"}, "a,b\n1,2\n"),
    ("sagemaker", "us-east-1", "POST", f"{RUNTIME}/iris/invocations-response-stream", {"X-Amzn-SageMaker-Target-Variant": "one"}, "{}"),
    ("sagemaker", "us-east-1", "POST", f"{RUNTIME}/iris/async-invocations", {"X-Amzn-SageMaker-InputLocation": "s3://b/k two"}, ""),
    ("ecr", "us-west-2", "POST", "https://api.ecr.us-west-2.amazonaws.com/", JSON, '{"repositoryNames": ["mlflow-pyfunc"]}'),
    ("sts", "us-east-1", "POST", "https://sts.us-east-1.amazonaws.com/", FORM, "Action=GetCallerIdentity&Version=2011-06-15"),
    ("sts", "cn-north-1", "POST", "https://sts.cn-north-1.amazonaws.com.cn/", FORM, "Action=AssumeRole&RoleArn=arn%3Aaws-cn"),
    ("iam", "us-east-1", "POST", "https://iam.amazonaws.com/", FORM, "Action=GetRole&RoleName=a%2Bb"),
    ("application-autoscaling", "us-east-1", "POST", "https://application-autoscaling.us-east-1.amazonaws.com/", JSON, "{}"),
    ("sagemaker", "us-east-1", "POST", "http://127.0.0.1:5000/", JSON, "{}"),
    ("sagemaker", "us-east-1", "POST", "http://localhost:5000/endpoints/iris/invocations", {"Content-Type": "application/json"}, "[]"),
    ("s3", "us-east-1", "GET", "https://bucket.s3.us-east-1.amazonaws.com/", {}, ""),
    ("s3", "us-east-1", "PUT", "https://bucket.s3.us-east-1.amazonaws.com/iris/model.tar.gz", {"Content-Type": "application/gzip"}, "\0\1"),
    ("s3", "us-east-1", "PUT", "https://bucket.s3.us-east-1.amazonaws.com/iris/model.tar.gz?tagging=", {}, "<Tagging/>"),
    ("s3", "us-east-1", "GET", "https://bucket.s3.us-east-1.amazonaws.com/?list-type=2&prefix=a%2Fb%20c", {}, ""),
    ("execute-api", "us-east-1", "DELETE", "https://example.com/b/a?z=1&a=2&a=1", {"X-Long": "one blank"}, ""),
]
cases = []
botocore.auth.get_current_datetime = lambda *_, **__: NOW
for number, (service, region, method, url, headers, body) in enumerate(REQUESTS):
    key_id, secret, token = KEYS[number % 2]
    digest = hashlib.sha256(body.encode()).hexdigest()
    request = AWSRequest(method=method, url=url, headers={**headers, "X-Amz-Content-SHA256": digest}, data=body.encode())
    request.context["payload_signing_enabled"] = True
    signer = (botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth)(
        Credentials(key_id, secret, token), service, region
    )  # fmt: skip
    canonical = []
    signer.canonical_request = (lambda each: lambda request: canonical.append(each(request)) or canonical[0])(signer.canonical_request)
    signer.add_auth(request)
    cases.append({
        "service": service, "region": region, "method": method, "url": url, "headers": headers, "body": body,
        "id": key_id, "secret": secret, "token": token, "date": NOW.strftime("%Y%m%dT%H%M%SZ"),
        "canonical": canonical[0], "authorization": request.headers["Authorization"],
    })  # fmt: skip
print(json.dumps(cases, indent=1, ensure_ascii=False))
