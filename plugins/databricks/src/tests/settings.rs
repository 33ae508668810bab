//! Tests the options and the environment variables of the plugin.

use std::time::Duration;

use mlflow_deploy_plugin_api::manifest::Manifest;

use super::*;

fn times(options: Value, variables: &[(&str, &str)]) -> [(u64, u64); 2] {
    let mut all = json!({"host": "h.test", "token": "t"});
    all.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    let config = client("databricks", &all, variables).unwrap().config;
    [config.manage, config.predict].map(|policy| (policy.silence.as_secs(), policy.total.unwrap().as_secs()))
}

#[test]
fn timeouts_are_mlflow_s() {
    assert_eq!(times(json!({}), &[]), [(120, 500), (120, 600)]);
    let variables = [
        ("MLFLOW_HTTP_REQUEST_TIMEOUT", "1"),
        ("MLFLOW_DATABRICKS_ENDPOINT_HTTP_RETRY_TIMEOUT", "2"),
        ("MLFLOW_DEPLOYMENT_PREDICT_TIMEOUT", "3"),
        ("MLFLOW_DEPLOYMENT_PREDICT_TOTAL_TIMEOUT", "4"),
    ];
    assert_eq!(times(json!({}), &variables), [(1, 2), (3, 4)]);
    assert_eq!(times(json!({"timeout": 9}), &variables), [(9, 9), (9, 9)]);
}

#[test]
fn an_invalid_option_is_an_error_of_connect() {
    for (options, message) in [
        (json!({"tokn": "t"}), "unknown field `tokn`, expected one of `host`"),
        (json!({"timeout": 0}), "`timeout` is `0`: expected a number of seconds"),
        (json!({"max_retries": 11}), "maximum allowable retries (10)"),
        (json!({"poll_interval": -1}), "invalid `poll_interval` `-1`: expected 0.1 to 3600 seconds"),
        (json!({"poll_interval": 0}), "invalid `poll_interval` `0`: expected 0.1 to 3600 seconds"),
        (
            json!({"poll_interval": 1e19}),
            "invalid `poll_interval` `10000000000000000000`: expected 0.1 to 3600 seconds",
        ),
        (json!({"headers": {"a b": "c"}}), "`a b` is not a valid header name"),
        (json!({"insecure": true, "ca_cert": "x"}), "set only one of `insecure` and `ca_cert`"),
    ] {
        let error = client("databricks", &options, &[]).unwrap_err();
        assert_eq!(error.code(), &ErrorCode::INVALID_PARAMETER_VALUE);
        assert!(error.message().contains(message), "{error}");
    }
}

#[tokio::test]
async fn configured_headers_are_sent_with_every_request() {
    let server = Server::start([Answer::new(200, "{}")]);
    let variables = [("MLFLOW_WORKSPACE", "team-a"), ("MLFLOW_DATABRICKS_TRAFFIC_ID", "tid")];
    let options = json!({"host": server.url(), "token": TOKEN, "workspace_id": "12", "headers": {"X-Own": "o"}});
    client("databricks", &options, &variables).unwrap().list_endpoints(ListEndpoints::all()).await.unwrap();
    let request = &server.requests()[0];
    for (name, value) in [
        ("x-mlflow-workspace", "team-a"),
        ("x-databricks-traffic-id", "tid"),
        ("x-databricks-org-id", "12"),
        ("x-own", "o"),
    ] {
        assert_eq!(request.header(name), Some(value));
    }
}

#[tokio::test]
async fn two_clients_of_one_process_use_their_own_tokens() {
    let servers = [(); 2].map(|()| Server::start([Answer::new(200, "{}")]));
    let variables = [("DATABRICKS_HOST", "https://env.test"), ("DATABRICKS_TOKEN", "env")];
    for (server, token) in servers.iter().zip(["one", "two"]) {
        let options = json!({"host": server.url(), "token": token});
        client("databricks", &options, &variables).unwrap().list_endpoints(ListEndpoints::all()).await.unwrap();
        assert_eq!(server.requests()[0].header("authorization"), Some(format!("Bearer {token}").as_str()));
    }
}

#[tokio::test]
async fn credentials_do_not_go_over_plain_http_to_another_machine() {
    for options in [
        json!({"token": "s3cret"}),
        json!({"metadata_service_url": "http://far.test/s3cret", "host": "https://h.test"}),
    ] {
        let mut all = json!({"host": "http://far.test", "max_retries": 0, "timeout": 5});
        all.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        let error = client("databricks", &all, &[]).unwrap().list_endpoints(ListEndpoints::all()).await.unwrap_err();
        assert!(error.message().starts_with("refusing to send credentials to `far.test` over plain `http`"), "{error}");
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    }
}

#[test]
fn debug_output_of_a_client_has_no_secrets() {
    let options = json!({"host": "h.test", "token": "s3cret-1", "headers": {"a": "s3cret-2"}});
    let shown = format!("{:?}", client("databricks", &options, &[]).unwrap());
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[test]
fn manifest_and_help_list_every_option() {
    let manifest = Manifest::parse(crate::PLUGIN.manifest().as_bytes()).unwrap();
    assert_eq!((manifest.name.as_str(), manifest.schemes), ("databricks", vec!["databricks".to_owned()]));
    let properties = manifest.options["properties"].as_object().unwrap();
    let mut listed: Vec<_> = properties.keys().map(|name| format!("`{name}`")).collect();
    let error = client("databricks", &json!({"?": 0}), &[]).unwrap_err();
    let (_, known) = error.message().split_once("expected one of ").unwrap();
    let mut known: Vec<_> = known.split(" at ").next().unwrap().split(", ").collect();
    known.sort_unstable();
    listed.sort_unstable();
    assert_eq!(known, listed);
    for name in listed {
        assert!(Databricks::target_help().contains(&name), "{name} is not in the help");
    }
    for (name, option) in properties {
        assert!(!option["description"].as_str().unwrap().is_empty(), "{name}");
        let is_secret =
            ["token", "password", "secret", "credentials", "service_url"].iter().any(|end| name.ends_with(end));
        assert_eq!(option["writeOnly"] == true, is_secret, "{name}");
    }
}

#[test]
fn manifest_and_help_list_every_variable() {
    let manifest = Manifest::parse(crate::PLUGIN.manifest().as_bytes()).unwrap();
    let read = std::sync::Mutex::new(std::collections::BTreeSet::new());
    for answers in [None, Some("true")] {
        let lookup = |name: &str| {
            read.lock().unwrap().insert(name.to_owned());
            answers.filter(|_| name.starts_with("IS_IN")).map(str::to_owned)
        };
        for options in [json!({}), json!({"host": "adb-1.azuredatabricks.net"})] {
            let target = TargetUri::parse("databricks").unwrap();
            let options = ClientOptions::new(&options).unwrap();
            Databricks::new(&target, &options, &Environment::new(&lookup)).unwrap();
        }
    }
    let listed: Vec<_> = manifest.environment.iter().map(|variable| variable.name.as_str()).collect();
    for name in read.into_inner().unwrap() {
        assert!(
            name == "REQUEST_METHOD" || listed.contains(&name.to_uppercase().as_str()),
            "{name} is read and not listed"
        );
    }
    let help = Databricks::target_help();
    for name in listed.iter().filter(|name| !matches!(**name, "HOME" | "PATH") && !name.starts_with('_')) {
        assert!(help.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn the_poll_interval_is_in_seconds() {
    let interval = |options: Value| client("databricks", &options, &[]).unwrap().config.poll_interval;
    assert_eq!(interval(json!({})), Duration::from_secs(1));
    assert_eq!(interval(json!({"poll_interval": 0.25})), Duration::from_millis(250));
}
