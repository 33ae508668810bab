//! Tests the token request of each credential provider, and the headers of the requests that use the token.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mlflow_deploy_test_support::databricks::CLIENT_ID;
use mlflow_deploy_test_support::server::Request;
use tempfile::TempDir;

use super::*;

/// Lists endpoints with `client`, and returns the last request that the server received.
async fn listed(client: &Databricks, requests: impl Fn() -> Vec<Request>) -> Request {
    client.list_endpoints(ListEndpoints::all()).await.unwrap();
    requests().pop().unwrap()
}

/// Writes an executable shell script and returns its path. A child process writes the file, because the system does not
/// execute a file that a process has open for writing. If this process wrote the file, a child process of a concurrent
/// test could inherit the open file.
fn script(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    let written = Command::new("/bin/sh")
        .args(["-c", "printf '#!/bin/sh\n%s\n' \"$1\" > \"$0\" && chmod 755 \"$0\""])
        .arg(&path)
        .arg(text)
        .status();
    assert!(written.unwrap().success());
    path
}

fn field(request: &Request, name: &str) -> Option<String> {
    url::form_urlencoded::parse(&request.body).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn basic_sends_user_name_and_password() {
    let server = Server::start([Answer::new(200, "{}")]);
    let options = json!({"host": server.url(), "username": "u", "password": "p"});
    let request = listed(&client("databricks", &options, &[]).unwrap(), || server.requests()).await;
    assert_eq!(request.header("authorization"), Some("Basic dTpw"));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn oauth_m2m_uses_the_default_endpoint_without_metadata() {
    let server = Server::start([Answer::new(200, "{}")])
        .with_route("/.well-known/", Answer::status(404))
        .with_route("/oidc/v1/token", Answer::new(200, r#"{"access_token":"AT","expires_in":3600}"#));
    let document = json!({"token_endpoint": format!("{}/oidc/v1/token", server.url())}).to_string();
    let server = server.with_route("/oidc/.well-known/", Answer::new(200, document));
    let options = json!({"host": server.url(), "client_id": "cid", "client_secret": "csec", "scopes": "b, a"});
    let request = listed(&client("databricks", &options, &[]).unwrap(), || server.requests()).await;
    assert_eq!(request.header("authorization"), Some("Bearer AT"));
    let token_request = server.requests().into_iter().find(|request| request.path == "/oidc/v1/token").unwrap();
    assert_eq!(token_request.text(), "grant_type=client_credentials&scope=a+b");
    assert_eq!(token_request.header("authorization"), Some("Basic Y2lkOmNzZWM="));
    assert_eq!(token_request.header("content-type"), Some("application/x-www-form-urlencoded"));
}

#[tokio::test]
async fn an_untrusted_token_endpoint_gets_no_secret() {
    let server = Server::start([])
        .with_route("/.well-known/", Answer::status(404))
        .with_route("/oidc/.well-known/", Answer::new(200, r#"{"token_endpoint":"https://evil.test/token"}"#));
    let options = json!({"host": server.url(), "client_id": "cid", "client_secret": "s3cret"});
    let error = client("databricks", &options, &[]).unwrap().list_endpoints(ListEndpoints::all()).await.unwrap_err();
    assert!(error.message().contains("untrusted token endpoint `https://evil.test/token`"), "{error}");
}

#[tokio::test]
async fn env_oidc_and_file_oidc_exchange_the_id_token() {
    let workspace = databricks::Databricks::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "\nan-id-token-for-tests\n").unwrap();
    let id = ("DATABRICKS_OIDC_TOKEN", "an-id-token-for-tests");
    let custom = ("OWN", "an-id-token-for-tests");
    let base = json!({"host": workspace.url(), "client_id": CLIENT_ID});
    for (more, variables) in [
        (json!({}), [id].as_slice()),
        (json!({"oidc_token_env": "OWN", "auth_type": "env-oidc"}), &[custom]),
        (json!({"oidc_token_filepath": file, "auth_type": "file-oidc"}), &[]),
    ] {
        let mut options = base.clone();
        options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let client = client("databricks", &options, variables).unwrap();
        let request = listed(&client, || workspace.requests()).await;
        assert!(request.header("authorization").unwrap().starts_with("Bearer eyJ-an-oauth-token"), "{options}");
    }
    let token_request = workspace.requests().into_iter().find(|request| request.path == "/oidc/v1/token").unwrap();
    let kind = field(&token_request, "subject_token_type");
    assert_eq!(kind.as_deref(), Some("urn:ietf:params:oauth:token-type:jwt"));
    assert_eq!(token_request.header("authorization"), None);
    fs::write(&file, " \n").unwrap();
    let options = json!({"host": workspace.url(), "oidc_token_filepath": file});
    let error = client("databricks", &options, &[]).unwrap().list_endpoints(ListEndpoints::all()).await.unwrap_err();
    assert!(error.message().ends_with("token` is empty"), "{error}");
    fs::write(&file, "x".repeat((1 << 20) + 1)).unwrap();
    let error = client("databricks", &options, &[]).unwrap().list_endpoints(ListEndpoints::all()).await.unwrap_err();
    assert!(error.message().ends_with("`: larger than 1 MiB"), "{error}");
}

#[tokio::test]
async fn github_oidc_exchanges_the_workflow_s_id_token() {
    let workspace = databricks::Databricks::start();
    let github = Server::start([Answer::new(200, r#"{"value":"an-id-token-for-tests"}"#)]);
    let url = format!("{}/id?v=1", github.url());
    let variables = [("ACTIONS_ID_TOKEN_REQUEST_URL", url.as_str()), ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "gh")];
    let options = json!({"host": workspace.url(), "client_id": CLIENT_ID, "token_audience": "https://a b"});
    listed(&client("databricks", &options, &variables).unwrap(), || workspace.requests()).await;
    let request = &github.requests()[0];
    assert_eq!(request.path, "/id?v=1&audience=https%3A%2F%2Fa+b");
    assert_eq!(request.header("authorization"), Some("Bearer gh"));
    let options = json!({"host": workspace.url(), "client_id": CLIENT_ID});
    listed(&client("databricks", &options, &variables).unwrap(), || workspace.requests()).await;
    assert!(github.requests()[1].path.ends_with("%2Foidc%2Fv1%2Ftoken"), "the token endpoint is the audience");
}

#[tokio::test]
async fn metadata_service_returns_a_token_and_hides_its_url() {
    let service = Server::start([
        Answer::new(200, r#"{"access_token":"MT","token_type":"Bearer","expires_on":4102444800}"#),
        Answer::status(404),
    ]);
    let server = Server::start([Answer::new(200, "{}")]);
    let options = json!({"host": server.url(), "metadata_service_url": format!("{}/s3cret-path", service.url())});
    let client = client("databricks", &options, &[]).unwrap();
    let request = listed(&client, || server.requests()).await;
    assert_eq!(request.header("authorization"), Some("Bearer MT"));
    let token_request = &service.requests()[0];
    assert_eq!(token_request.header("x-databricks-metadata-version"), Some("1"));
    assert_eq!(token_request.header("x-databricks-host"), Some(server.url().as_str()));
    client.config.workspace.as_ref().unwrap().expire_token();
    let error = client.list_endpoints(ListEndpoints::all()).await.unwrap_err();
    assert!(error.message().contains("returned no token: status 404"), "{error}");
    assert!(!format!("{error:?}").contains("s3cret-path"));
}

#[tokio::test]
async fn databricks_cli_prints_a_token() {
    let server = Server::start([Answer::new(200, "{}")]);
    let folder = tempfile::tempdir().unwrap();
    let cli = script(
        &folder,
        "databricks",
        &format!(
            "echo \"$@\" >> {0}/calls\ncase $1 in version) echo '{{\"Major\":0,\"Minor\":300,\"Patch\":1}}';; \
             *) echo '{{\"access_token\":\"CT\",\"token_type\":\"Bearer\",\"expiry\":\"2100-01-01T00:00:00.5+02:00\"}}';; esac",
            folder.path().display()
        ),
    );
    let options = json!({"host": server.url(), "databricks_cli_path": cli});
    let client = client("databricks", &options, &[]).unwrap();
    let request = listed(&client, || server.requests()).await;
    assert_eq!(request.header("authorization"), Some("Bearer CT"));
    client.config.workspace.as_ref().unwrap().expire_token();
    listed(&client, || server.requests()).await;
    let token = format!("auth token --host {} --force-refresh\n", server.url());
    let calls = fs::read_to_string(folder.path().join("calls")).unwrap();
    assert_eq!(calls, format!("version --output json\n{token}{token}"), "the version is queried once");
}

#[tokio::test]
async fn a_failed_cli_s_error_has_its_stderr_without_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let cli = script(&folder, "databricks", "echo 'log in first: dapi-s3cret' >&2; echo eyJ-s3cret; exit 1");
    let options = json!({"host": "h.test", "databricks_cli_path": cli});
    let error = client("databricks", &options, &[]).unwrap().list_endpoints(ListEndpoints::all()).await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::UNAUTHENTICATED);
    assert!(error.message().ends_with("log in first: <redacted>"), "{error}");
    let missing = json!({"host": "h.test", "databricks_cli_path": "/nowhere/databricks"});
    let error = client("databricks", &missing, &[]).unwrap().list_endpoints(ListEndpoints::all()).await.unwrap_err();
    assert!(error.message().starts_with("`/nowhere/databricks` is not an executable file"), "{error}");
}

/// Writes a fake `az` command that records its arguments and prints `token`. Returns a value of `PATH` that finds the
/// command first.
fn az(folder: &TempDir, token: &str, expires_on: u64) -> String {
    let calls = folder.path().join("calls");
    let output = format!(r#"{{"accessToken":"{token}","expires_on":{expires_on},"tokenType":"Bearer"}}"#);
    script(
        folder,
        "az",
        &format!("echo \"$@\" >> {}\ncase \"$*\" in *--subscription*) exit 1;; esac\necho '{output}'", calls.display()),
    );
    format!("{}:/usr/bin:/bin", folder.path().display())
}

fn calls(folder: &Path) -> Vec<String> {
    fs::read_to_string(folder.join("calls")).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn azure_cli_requests_databricks_and_management_tokens() {
    let server = Server::start([Answer::new(200, "{}")]);
    let folder = tempfile::tempdir().unwrap();
    let path = az(&folder, "service-principal", u64::MAX);
    let resource = "/subscriptions/sub/resourceGroups/g/providers/Microsoft.Databricks/workspaces/w";
    let options = json!({"host": server.url(), "azure_workspace_resource_id": resource, "azure_tenant_id": "ten"});
    let client = client("databricks", &options, &[("PATH", &path)]).unwrap();
    let request = listed(&client, || server.requests()).await;
    assert_eq!(request.header("authorization"), Some("Bearer service-principal"));
    assert_eq!(request.header("x-databricks-azure-workspace-resource-id"), Some(resource));
    assert_eq!(request.header("x-databricks-azure-sp-management-token"), Some("service-principal"));
    let base = "account get-access-token --resource";
    let app = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d";
    assert_eq!(
        calls(folder.path()),
        [
            format!("{base} {app} --output json --subscription sub --tenant ten"),
            format!("{base} {app} --output json --tenant ten"),
            format!("{base} https://management.core.windows.net/ --output json --tenant ten"),
        ]
    );
}

#[tokio::test]
async fn azure_client_secret_requests_databricks_and_management_tokens() {
    let entra = Server::start([
        Answer::new(200, r#"{"access_token":"management","expires_in":"3599"}"#),
        Answer::new(200, r#"{"access_token":"workspace","expires_in":"3599"}"#),
    ]);
    let server = Server::start([Answer::new(200, "{}")]);
    let options = json!({
        "host": server.url(), "azure_client_id": "aid", "azure_client_secret": "asec", "azure_tenant_id": "ten",
    });
    let mut client = client("databricks", &options, &[]).unwrap();
    client.config.workspace.as_mut().unwrap().set_login_url(&format!("{}/", entra.url()));
    let request = listed(&client, || server.requests()).await;
    assert_eq!(request.header("authorization"), Some("Bearer workspace"));
    assert_eq!(request.header("x-databricks-azure-sp-management-token"), Some("management"));
    let forms = entra.requests();
    assert_eq!(request_lines(&forms), ["POST /ten/oauth2/token"; 2]);
    assert_eq!(field(&forms[0], "resource").as_deref(), Some("https://management.core.windows.net/"));
    assert_eq!(field(&forms[1], "resource").as_deref(), Some("2ff814a6-3304-4ab8-85cb-cd0e6f879c1d"));
    assert_eq!(field(&forms[1], "client_secret").as_deref(), Some("asec"));
}

#[tokio::test]
async fn model_serving_reads_the_container_s_token() {
    let server = Server::start([Answer::new(200, "{}")]);
    let folder = tempfile::tempdir().unwrap();
    let file = r#"{"OAUTH_TOKEN":[{"oauthTokenValue":"ST"}]}"#;
    fs::write(folder.path().join("model-dependencies-oauth-token"), file).unwrap();
    let url = server.url();
    let variables = [
        ("IS_IN_DB_MODEL_SERVING_ENV", "true"),
        ("SERVING_CREDENTIALS_DIR", folder.path().to_str().unwrap()),
        ("DB_MODEL_SERVING_HOST_URL", url.as_str()),
    ];
    let request = listed(&client("databricks", &json!({}), &variables).unwrap(), || server.requests()).await;
    assert_eq!(request.header("authorization"), Some("Bearer ST"));
    fs::write(folder.path().join("model-dependencies-oauth-token"), file.repeat(1 << 15)).unwrap();
    let error = client("databricks", &json!({}), &variables).unwrap().list_endpoints(ListEndpoints::all()).await;
    assert!(error.unwrap_err().message().ends_with("oauth-token`: larger than 1 MiB"));
}
