//! Tests the options and the environment variables of the plugin.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use mlflow_deploy_plugin_api::manifest::Manifest;

use super::*;
use crate::client::Gateway;
use crate::config::Config;

fn config(target: &str, options: &Value, variables: &[(&str, &str)]) -> Result<Config> {
    let lookup = |name: &str| variables.iter().find(|(each, _)| *each == name).map(|(_, value)| (*value).to_owned());
    Config::new(&TargetUri::parse(target)?, &ClientOptions::new(options)?, &Environment::new(&lookup))
}

fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

#[test]
fn the_page_of_a_browser_is_removed_from_the_target() {
    for (target, base) in [
        ("http://h:5000/#/experiments", "http://h:5000/"),
        ("http://h/mlflow#/", "http://h/mlflow"),
        ("http://h/mlflow/#/experiments/1?a=b", "http://h/mlflow/"),
    ] {
        assert_eq!(config(target, &json!({}), &[]).unwrap().base.as_str(), base);
    }
    let error = config("http://h/#part", &json!({}), &[]).unwrap_err();
    assert!(error.message().contains("a query or a fragment"), "{error}");
}

#[test]
fn timeouts_are_mlflow_s() {
    let config = config("http://h", &json!({}), &[]).unwrap();
    assert_eq!((config.look_up.silence, config.predict.silence), (Duration::from_secs(300), Duration::from_secs(120)));
    assert_eq!(
        (config.look_up.total, config.predict.total, config.predict.max_retries),
        (seconds(600), seconds(600), 7)
    );
}

#[test]
fn the_environment_and_options_set_the_timeouts() {
    let variables = [
        ("MLFLOW_DEPLOYMENT_CLIENT_HTTP_REQUEST_TIMEOUT", "1"),
        ("MLFLOW_DEPLOYMENT_PREDICT_TIMEOUT", "2"),
        ("MLFLOW_DEPLOYMENT_PREDICT_TOTAL_TIMEOUT", "3"),
        ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "4"),
    ];
    let read = config("http://h", &json!({}), &variables).unwrap();
    assert_eq!((read.look_up.silence, read.predict.silence), (Duration::from_secs(1), Duration::from_secs(2)));
    assert_eq!((read.predict.total, read.predict.max_retries), (seconds(3), 4));
    let read = config("http://h", &json!({"timeout": 9, "max_retries": 0}), &variables).unwrap();
    assert_eq!((read.look_up.silence, read.look_up.total), (Duration::from_secs(9), seconds(9)));
    assert_eq!(
        (read.predict.silence, read.predict.total, read.predict.max_retries),
        (Duration::from_secs(9), seconds(9), 0)
    );
}

#[test]
fn an_invalid_setting_is_an_error() {
    let both = [("MLFLOW_TRACKING_INSECURE_TLS", "true"), ("MLFLOW_TRACKING_SERVER_CERT_PATH", "/x.pem")];
    for (target, options, variables, message) in [
        ("http://h", json!({"tokn": "t"}), [].as_slice(), "unknown field `tokn`, expected one of `username`"),
        ("http://h", json!({"timeout": 0}), &[], "`timeout` is `0`: expected a number of seconds"),
        ("http://h", json!({"max_retries": 11}), &[], "maximum allowable retries (10)"),
        ("http://h", json!({"headers": {"a b": "c"}}), &[], "`a b` is not a valid header name"),
        ("http://h", json!({"headers": {"a": "c\nd"}}), &[], "the value of `a` has a character"),
        ("http://h", json!({}), &both, "set only one of `MLFLOW_TRACKING_INSECURE_TLS` and `MLFLOW_TRACKING_SERVER_"),
        ("http://h", json!({"insecure": true, "ca_cert": "x"}), &[], "set only one of `insecure` and `ca_cert`"),
        ("http://h", json!({}), &[("MLFLOW_DEPLOYMENT_PREDICT_TIMEOUT", "1.5")], "failed to convert `1.5`"),
        (
            "http://me:pw@localhost:99999",
            json!({}),
            &[],
            "the target URI is `http://localhost:99999`, which is not a URL: invalid port number; expected a URL such as `http://",
        ),
        ("http://h/?a=1", json!({}), &[], "the target URI has a query"),
    ] {
        let error = config(target, &options, variables).unwrap_err();
        assert_eq!(error.code(), &ErrorCode::INVALID_PARAMETER_VALUE);
        assert!(error.message().contains(message), "{error}");
    }
}

#[test]
fn the_route_of_an_example_is_removed_from_the_target() {
    for (target, base) in [
        ("http://h:5000/endpoints/chat/invocations", "http://h:5000/"),
        ("http://h/pre/gateway/chat/mlflow/invocations", "http://h/pre"),
        ("http://h/api/2.0/endpoints/", "http://h/"),
        ("http://h/pre/gateway/mlflow/v1/chat/completions", "http://h/pre"),
        ("http://h/pre/fix/", "http://h/pre/fix/"),
        ("http://h/endpoints", "http://h/endpoints"),
    ] {
        assert_eq!(config(target, &json!({}), &[]).unwrap().base.as_str(), base);
    }
}

#[test]
fn options_take_precedence_over_the_environment() {
    let variables = [("MLFLOW_TRACKING_SERVER_CERT_PATH", "/env.pem"), ("REQUESTS_CA_BUNDLE", "/bundle.pem")];
    let certificates = |options: Value, variables: &[(&str, &str)]| {
        let connection = config("https://h", &options, variables).unwrap().connection;
        (connection.insecure, connection.ca_certs.map(|path| path.to_str().unwrap().to_owned()))
    };
    let path = |path: &str| Some(path.to_owned());
    assert_eq!(certificates(json!({}), &variables), (false, path("/env.pem")));
    assert_eq!(certificates(json!({}), &variables[1..]), (false, path("/bundle.pem")));
    assert_eq!(certificates(json!({"ca_cert": "/own.pem"}), &variables), (false, path("/own.pem")));
    assert!(certificates(json!({"insecure": true}), &variables).0);
    assert_eq!(certificates(json!({}), &[("MLFLOW_TRACKING_INSECURE_TLS", "1")]), (true, None));
}

#[tokio::test]
async fn workspace_and_traffic_id_are_sent_as_headers() {
    let server = Server::start([Answer::new(200, "{}")]);
    let variables = [("MLFLOW_WORKSPACE", "team-a"), ("MLFLOW_DATABRICKS_TRAFFIC_ID", "tid")];
    gateway(&server.url(), &json!({}), &variables).unwrap().predict(predict("chat")).await.unwrap();
    let request = &server.requests()[0];
    assert_eq!(
        (request.header("X-MLFLOW-WORKSPACE"), request.header("x-databricks-traffic-id")),
        (Some("team-a"), Some("tid"))
    );
}

#[test]
fn manifest_and_help_list_every_option() {
    let manifest = Manifest::parse(crate::PLUGIN.manifest().as_bytes()).unwrap();
    assert_eq!((manifest.name.as_str(), manifest.schemes), ("gateway", vec!["http".to_owned(), "https".to_owned()]));
    let mut listed: Vec<_> =
        manifest.options["properties"].as_object().unwrap().keys().map(|name| format!("`{name}`")).collect();
    let error = config("http://h", &json!({"?": 0}), &[]).unwrap_err();
    let (_, known) = error.message().split_once("expected one of ").unwrap();
    let mut known: Vec<_> = known.split(" at ").next().unwrap().split(", ").collect();
    known.sort_unstable();
    listed.sort_unstable();
    assert_eq!(known, listed);
    for name in listed {
        assert!(Gateway::target_help().contains(&name), "{name} is not in the help");
    }
}

/// Checks that the manifest and the help list every environment variable that the plugin reads. A plugin in a separate
/// process receives only the variables in its manifest.
#[test]
fn manifest_and_help_list_every_variable() {
    let manifest = Manifest::parse(crate::PLUGIN.manifest().as_bytes()).unwrap();
    let read = RefCell::new(BTreeSet::new());
    let note = |name: &str| {
        read.borrow_mut().insert(name.to_uppercase());
        None
    };
    let target = TargetUri::parse("http://h").unwrap();
    Gateway::new(&target, &ClientOptions::default(), &Environment::new(&note)).unwrap();
    for name in read.into_inner() {
        // A CGI server sets this variable. It is not a setting, and every plugin gets it.
        let is_listed = manifest.environment.iter().any(|variable| variable.name == name);
        assert!(is_listed || name == "REQUEST_METHOD", "{name} is read and not listed");
    }
    for name in manifest.environment.iter().map(|variable| &variable.name).filter(|name| name.starts_with("MLFLOW")) {
        assert!(Gateway::target_help().contains(name), "{name}");
    }
}
