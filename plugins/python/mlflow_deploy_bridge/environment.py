"""Lists the environment variables that MLflow, its stores and a plugin read. A host passes no others to the process."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

from .registry import Plugin, entry_points

SECRET = re.compile(
    r"TOKEN|PASSWORD|PASSWD|SECRET|CREDENTIAL|CONNECTION_STRING|(?:API|ACCESS|ACCOUNT|PRIVATE|AUTH)_?KEY$"
)
# Names that end like this hold a place or a setting, not a secret.
PLAIN = re.compile(
    r"_(?:FILE|PATH|URI|URL|DIR|ID|ARN|CREDENTIALS|TOKENS|TIMEOUT|TTL|NAME|CLASS|ENABLED|COUNT|SECONDS)$"
)
READ = re.compile(r"""(?:environ(?:\.get|\.pop)?\s*[\[(]|getenv\()\s*["']([A-Za-z_]\w*)["']""")
# Variables of MLflow's servers, of tracing and of evaluation, which no deployment client reads.
UNRELATED = re.compile(
    "MLFLOW_(?:SERVER|GENAI|TRACE|TRACING|ASYNC|GATEWAY|WEBHOOK|SQLALCHEMYSTORE|AUTH|FLASK|ICON|JOB|JUDGE|ONLINE"
    "|SANDBOX|ASSISTANT|SEARCH_TRACES|GET_TRACE|DELETE_TRACES|RBAC|TESTING|GO_STORE|OPENAI|NOTEBOOK|SYSTEM_METRICS|ALIAS_PROMPT"
    "|PROMPT|VERSION_PROMPT|RUN_SLOW|WORKSPACE_ARTIFACT|MODEL_CATALOG|ENABLE_MCP|ENABLE_ASSISTANT|ENABLE_OT)"
)
MAX_FILES = 500
# Variables of Python, of HTTP clients, and of the clouds whose stores and services MLflow and its plugins use.
COMMON = """
PYTHONPATH VIRTUAL_ENV SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE NETRC DOCKER_HOST DOCKER_CONFIG
KUBECONFIG
AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_DEFAULT_REGION AWS_REGION AWS_PROFILE AWS_DEFAULT_PROFILE
AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE AWS_CA_BUNDLE AWS_ROLE_ARN AWS_ROLE_SESSION_NAME AWS_WEB_IDENTITY_TOKEN_FILE
AWS_CONTAINER_CREDENTIALS_RELATIVE_URI AWS_CONTAINER_CREDENTIALS_FULL_URI AWS_CONTAINER_AUTHORIZATION_TOKEN
AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE AWS_EC2_METADATA_DISABLED AWS_EC2_METADATA_SERVICE_ENDPOINT AWS_MAX_ATTEMPTS
AWS_RETRY_MODE AWS_USE_FIPS_ENDPOINT AWS_USE_DUALSTACK_ENDPOINT AWS_STS_REGIONAL_ENDPOINTS AWS_ENDPOINT_URL
AWS_ENDPOINT_URL_S3 AWS_ENDPOINT_URL_STS AWS_ENDPOINT_URL_IAM AWS_ENDPOINT_URL_ECR AWS_ENDPOINT_URL_SAGEMAKER
AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME AWS_IGNORE_CONFIGURED_ENDPOINT_URLS
AZURE_STORAGE_CONNECTION_STRING AZURE_STORAGE_ACCESS_KEY AZURE_CLIENT_ID AZURE_CLIENT_SECRET AZURE_TENANT_ID
AZURE_CLIENT_CERTIFICATE_PATH AZURE_FEDERATED_TOKEN_FILE AZURE_AUTHORITY_HOST
GOOGLE_APPLICATION_CREDENTIALS GOOGLE_CLOUD_PROJECT CLOUDSDK_CONFIG
DATABRICKS_HOST DATABRICKS_TOKEN DATABRICKS_USERNAME DATABRICKS_PASSWORD DATABRICKS_CLIENT_ID DATABRICKS_CLIENT_SECRET
DATABRICKS_CONFIG_FILE DATABRICKS_CONFIG_PROFILE DATABRICKS_AUTH_TYPE
OPENAI_API_KEY OPENAI_API_BASE OPENAI_BASE_URL OPENAI_API_TYPE OPENAI_API_VERSION OPENAI_DEPLOYMENT_NAME
"""


def environment(plugin: Plugin | None) -> list[dict[str, Any]]:
    """Returns the member `environment` of the manifest: that of a plugin, or that of the bridge with all installed plugins."""
    modules = [plugin.module.__name__] if plugin else [point.module for point in entry_points().values()]
    names = {*COMMON.split(), *_of_mlflow(), *(name for module in modules for name in _of_package(module))}
    return [{"name": name, "secret": True} if is_secret(name) else {"name": name} for name in sorted(names)]


def is_secret(name: str) -> bool:
    return bool(SECRET.search(name)) and not PLAIN.search(name)


def _of_mlflow() -> set[str]:
    """Returns the variables that MLflow declares. Those that begin with `_` are for its own processes."""
    import mlflow.environment_variables as declared

    found = (getattr(value, "name", None) for value in vars(declared).values() if hasattr(value, "defined"))
    return {name for name in found if isinstance(name, str) and name[0] != "_" and not UNRELATED.match(name)}


def _of_package(module: str) -> set[str]:
    """Returns the variables that the files of a plugin's package read. Imports none of them."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        spec = None
    if spec is None or top == "mlflow":
        return set()
    files = [Path(spec.origin)] if spec.origin else []
    for folder in spec.submodule_search_locations or ():
        place = Path(folder, *rest)
        files += sorted((place if place.is_dir() else place.parent).rglob("*.py"))[:MAX_FILES]
    found = (READ.findall(file.read_text(encoding="utf-8", errors="replace")) for file in files if file.suffix == ".py")
    return {name for names in found for name in names}
