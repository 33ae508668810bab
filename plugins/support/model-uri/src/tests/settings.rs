//! Tests of the settings of a client: its servers and its credentials.

use super::*;

/// Sends a request for a logged model. Returns the `Authorization` header of the request.
async fn authorization(options: TrackingOptions, variables: &[(&str, &str)]) -> Option<String> {
    let server = Server::start([Answer::new(404, json!({"error_code": "RESOURCE_DOES_NOT_EXIST"}).to_string())]);
    let url = server.url();
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.replace("SERVER", &url))).collect();
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let tracking_uri = options.tracking_uri.map(|uri| Secret::new(uri.expose().replace("SERVER", &url)));
    let client = tracking(TrackingOptions { tracking_uri, ..options }, &variables).unwrap();
    fetch_error("models:/m-1", &client).await;
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].path, "/api/2.0/mlflow/logged-models/m-1");
    requests[0].header("authorization").map(str::to_owned)
}

#[tokio::test]
async fn options_override_the_environment() {
    const URI: (&str, &str) = ("MLFLOW_TRACKING_URI", "SERVER");
    const USER: (&str, &str) = ("MLFLOW_TRACKING_USERNAME", "me");
    const PASSWORD: (&str, &str) = ("MLFLOW_TRACKING_PASSWORD", "pw");
    const TOKEN: (&str, &str) = ("MLFLOW_TRACKING_TOKEN", "tkn");
    let none = TrackingOptions::default;
    let secret = |text: &str| Some(Secret::new(text));
    let (basic, bearer) = (Some("Basic bWU6cHc=".to_owned()), Some("Bearer tkn".to_owned()));
    assert_eq!(authorization(none(), &[URI]).await, None);
    assert_eq!(authorization(none(), &[URI, TOKEN]).await, bearer);
    assert_eq!(authorization(none(), &[URI, USER, PASSWORD, TOKEN]).await, basic);
    let own = TrackingOptions { token: secret("tkn"), tracking_uri: secret("SERVER"), ..none() };
    let elsewhere = ("MLFLOW_TRACKING_URI", "http://127.0.0.1:1");
    assert_eq!(authorization(own, &[elsewhere, USER, PASSWORD]).await, bearer);
    let in_uri = ("MLFLOW_TRACKING_URI", "http://me:pw@127.0.0.1:PORT");
    let server = Server::start([Answer::status(500)]);
    let uri = in_uri.1.replace("127.0.0.1:PORT", server.url().trim_start_matches("http://"));
    fetch_error("models:/m-1", &tracking(none(), &[(in_uri.0, &uri), TOKEN]).unwrap()).await;
    assert_eq!(server.requests()[0].header("authorization").map(str::to_owned), basic);
}

#[tokio::test]
async fn a_separate_registry_serves_registered_models_only() {
    let (server, registry) = (Server::start([Answer::status(404)]), Server::start([Answer::status(404)]));
    let (server_url, registry_url) = (server.url(), registry.url());
    let variables = [("MLFLOW_TRACKING_URI", server_url.as_str()), ("MLFLOW_REGISTRY_URI", registry_url.as_str())];
    let client = tracking(TrackingOptions::default(), &variables).unwrap();
    for uri in ["models:/iris/1", "models:/iris@champion", "models:/m-1", "runs:/0f/model"] {
        fetch_error(uri, &client).await;
    }
    assert_eq!(
        requested(&registry),
        [
            "GET /api/2.0/mlflow/model-versions/get-download-uri?name=iris&version=1",
            "GET /api/2.0/mlflow/registered-models/alias?name=iris&alias=champion",
        ]
    );
    assert_eq!(requested(&server), ["GET /api/2.0/mlflow/logged-models/m-1", "GET /api/2.0/mlflow/runs/get?run_id=0f"]);
}

#[tokio::test]
async fn a_uri_without_a_server_is_rejected_with_advice() {
    for (uri, message) in [
        ("sqlite:///mlflow.db", "start `mlflow server --backend-store-uri sqlite:///mlflow.db` and set its URL"),
        ("postgresql://me:s3cret@h/db", "`mlflow server --backend-store-uri postgresql://h/db`"),
        ("databricks", "set `DATABRICKS_HOST` and `DATABRICKS_TOKEN`"),
        ("databricks-uc://prod", "profiles are not supported"),
        ("localhost:5001", "has no scheme: for a server, set `http://localhost:5001`"),
        ("192.0.2.7:80/prefix", "set `http://192.0.2.7:80/prefix`"),
        ("tracking.example.org", "set `http://tracking.example.org`"),
        ("http://h:x", "`tracking_uri` (or `MLFLOW_TRACKING_URI`) is not a URL: invalid port number"),
    ] {
        let client = tracking(TrackingOptions::default(), &[("MLFLOW_TRACKING_URI", uri)]).unwrap();
        let error = fetch_error("runs:/0f/model", &client).await;
        assert_eq!(error.code(), &ErrorCode::INVALID_PARAMETER_VALUE);
        assert!(error.message().contains(message) && !error.message().contains("s3cret"), "{error}");
        assert!(!format!("{client:?}").contains("s3cret"));
    }
    let error = fetch_error("models:/iris/1", &tracking(TrackingOptions::default(), &[]).unwrap()).await;
    assert!(error.message().starts_with("no tracking server given: set `tracking_uri` (or `MLFLOW_TRACKING_URI`)"));
}

#[test]
fn tracking_options_can_be_flattened_into_a_plugin_s_options() {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Own {
        engine: String,
        #[serde(flatten)]
        tracking: TrackingOptions,
    }
    let options =
        json!({"engine": "e", "tracking_uri": "http://h", "insecure": true, "timeout": 1.5, "max_retries": 2});
    let own: Own = serde_json::from_value(options).unwrap();
    assert_eq!((own.engine.as_str(), own.tracking.timeout), ("e", Some(1.5)));
    assert_eq!(own.tracking.tracking_uri, Some(Secret::new("http://h")));
    assert!(serde_json::from_value::<Own>(json!({"engine": "e", "tracking_url": "http://h"})).is_err());
}

#[test]
fn contradicting_options_are_rejected() {
    let both = [("MLFLOW_TRACKING_INSECURE_TLS", "true"), ("MLFLOW_TRACKING_SERVER_CERT_PATH", "/ca.pem")];
    assert!(tracking(TrackingOptions::default(), &both).unwrap_err().message().contains("ignored and checked"));
    let half = TrackingOptions { username: Some("me".to_owned()), ..TrackingOptions::default() };
    assert!(tracking(half, &[]).unwrap_err().message().contains("`username` and `password` together"));
    let never = TrackingOptions { timeout: Some(0.0), ..TrackingOptions::default() };
    assert!(tracking(never, &[]).unwrap_err().message().contains("`timeout` is `0`"));
}
