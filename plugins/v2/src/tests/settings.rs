//! Tests the options and the environment variables of the plugin.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use mlflow_deploy_plugin_api::manifest::Manifest;

use super::*;
use crate::config::Config as ClientConfig;

fn config(options: &Value, variables: &[(&str, &str)]) -> Result<ClientConfig> {
    let lookup = |name: &str| variables.iter().find(|(each, _)| *each == name).map(|(_, value)| (*value).to_owned());
    ClientConfig::new(&TargetUri::parse("v2://h")?, &ClientOptions::new(options)?, &Environment::new(&lookup))
}

#[test]
fn the_environment_and_options_set_the_timeouts() {
    let variables = [
        ("MLFLOW_DEPLOYMENT_CLIENT_HTTP_REQUEST_TIMEOUT", "1"),
        ("MLFLOW_DEPLOYMENT_PREDICT_TIMEOUT", "2"),
        ("MLFLOW_DEPLOYMENT_PREDICT_TOTAL_TIMEOUT", "3"),
        ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "4"),
    ];
    let seconds = Duration::from_secs;
    let read = config(&json!({}), &variables).unwrap();
    assert_eq!((read.manage.silence, read.predict.silence), (seconds(1), seconds(2)));
    assert_eq!((read.predict.total, read.predict.max_retries), (Some(seconds(3)), 4));
    assert!(read.manage.repeat_post && !read.predict.repeat_post);
    let options = json!({"timeout": 9, "max_retries": 0, "retry_post": true});
    let read = config(&options, &variables).unwrap();
    assert_eq!((read.manage.total, read.predict.total), (Some(seconds(9)), Some(seconds(9))));
    assert!(read.predict.repeat_post && read.predict.max_retries == 0);
}

#[test]
fn an_invalid_setting_is_an_error() {
    for (options, message) in [
        (json!({"tokn": "t"}), "unknown field `tokn`, expected one of `username`"),
        (json!({"timeout": 0}), "`timeout` is `0`: expected a number of seconds"),
        (json!({"max_retries": 11}), "maximum allowable retries (10)"),
        (json!({"headers": {"a b": "c"}}), "`a b` is not a valid header name"),
        (json!({"insecure": true, "ca_cert": "x"}), "set only one of `insecure` and `ca_cert`"),
        (json!({"token": "a\nb"}), "the option `token` contains a line break"),
    ] {
        let error = config(&options, &[]).unwrap_err();
        assert_eq!(error.code(), &ErrorCode::INVALID_PARAMETER_VALUE);
        assert!(error.message().contains(message), "{error}");
    }
}

#[test]
fn wrong_settings_of_the_tracking_server_concern_only_new_deployments() {
    let both = [("MLFLOW_TRACKING_INSECURE_TLS", "true"), ("MLFLOW_TRACKING_SERVER_CERT_PATH", "/x.pem")];
    let error = config(&json!({}), &both).unwrap().tracking.unwrap_err();
    assert!(error.message().contains("set only one of `MLFLOW_TRACKING_INSECURE_TLS`"), "{error}");
}

#[test]
fn manifest_and_help_list_every_option() {
    let manifest = Manifest::parse(crate::PLUGIN.manifest().as_bytes()).unwrap();
    assert_eq!(manifest.name, "v2");
    let mut listed: Vec<_> =
        manifest.options["properties"].as_object().unwrap().keys().map(|name| format!("`{name}`")).collect();
    let error = config(&json!({"?": 0}), &[]).unwrap_err();
    let (_, known) = error.message().split_once("expected one of ").unwrap();
    let mut known: Vec<_> = known.split(" at ").next().unwrap().split(", ").collect();
    known.sort_unstable();
    listed.sort_unstable();
    assert_eq!(known, listed);
    for name in listed {
        assert!(V2::target_help().contains(&name), "{name} is not in the help");
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
    let target = TargetUri::parse("v2://h").unwrap();
    V2::new(&target, &ClientOptions::default(), &Environment::new(&note)).unwrap();
    for name in read.into_inner() {
        // A CGI server sets this variable. It is not a setting, and every plugin gets it.
        let is_listed = manifest.environment.iter().any(|variable| variable.name == name);
        assert!(is_listed || name == "REQUEST_METHOD", "{name} is read and not listed");
    }
    for name in manifest.environment.iter().map(|variable| &variable.name).filter(|name| name.starts_with("MLFLOW")) {
        assert!(V2::target_help().contains(name), "{name}");
    }
}
