//! Tests the options, the environment variables and the target URI.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use mlflow_deploy_http::is_loopback;
use mlflow_deploy_plugin_api::manifest::Manifest;

use super::*;
use crate::config::Config;

const KEY: (&str, &str) = ("OPENAI_API_KEY", "sk-test");

fn config(target: &str, options: &Value, variables: &[(&str, &str)]) -> Result<Config> {
    let lookup = |name: &str| variables.iter().find(|(each, _)| *each == name).map(|(_, value)| (*value).to_owned());
    Config::new(&TargetUri::parse(target)?, &ClientOptions::new(options)?, &Environment::new(&lookup))
}

#[test]
fn the_base_url_comes_from_the_target_the_options_or_the_environment() {
    let mlflow = ("OPENAI_API_BASE", "http://localhost:1/v1");
    let openai = ("OPENAI_BASE_URL", "https://two.test/v1/");
    let option = json!({"base_url": "https://own.test/a"});
    for (target, options, variables, base) in [
        ("openai", json!({}), vec![KEY], "https://api.openai.com/v1"),
        ("openai", json!({}), vec![openai], "https://two.test/v1/"),
        ("openai", json!({}), vec![openai, mlflow], "http://localhost:1/v1"),
        ("OpenAI", option, vec![openai, mlflow], "https://own.test/a"),
        ("openai://far.test/v1", json!({}), vec![mlflow], "https://far.test/v1"),
        ("openai://far.test:8000", json!({}), vec![], "https://far.test:8000/"),
        ("openai://localhost:8000/v1", json!({}), vec![], "http://localhost:8000/v1"),
        ("openai://127.0.0.1/v1", json!({}), vec![], "http://127.0.0.1/v1"),
        ("openai://[::1]:8/v1", json!({}), vec![], "http://[::1]:8/v1"),
        ("openai://http://localhost:8/v1", json!({}), vec![], "http://localhost:8/v1"),
        ("openai://https://far.test/v1/chat/completions", json!({}), vec![], "https://far.test/v1"),
    ] {
        let server = config(target, &options, &variables).unwrap().server;
        assert_eq!(server.base.as_str(), base);
        assert_eq!(server.base.scheme() == "http", is_loopback(&server.base));
        let models = server.url("models", "").unwrap();
        assert_eq!(models.as_str(), format!("{}/models", base.trim_end_matches('/')));
    }
}

#[test]
fn timeouts_are_mlflow_s_and_can_be_set() {
    let seconds = Duration::from_secs;
    let defaults = config("openai", &json!({}), &[KEY]).unwrap();
    assert_eq!((defaults.look_up.silence, defaults.look_up.total), (seconds(300), Some(seconds(600))));
    assert_eq!((defaults.predict.silence, defaults.predict.total), (seconds(120), Some(seconds(600))));
    assert_eq!((defaults.predict.max_retries, defaults.predict.repeat_post), (5, false));
    let variables = [
        KEY,
        ("MLFLOW_DEPLOYMENT_CLIENT_HTTP_REQUEST_TIMEOUT", "1"),
        ("MLFLOW_DEPLOYMENT_PREDICT_TIMEOUT", "2"),
        ("MLFLOW_DEPLOYMENT_PREDICT_TOTAL_TIMEOUT", "3"),
    ];
    let read = config("openai", &json!({}), &variables).unwrap();
    assert_eq!(
        (read.look_up.silence, read.predict.silence, read.predict.total),
        (seconds(1), seconds(2), Some(seconds(3)))
    );
    let with_options =
        config("openai", &json!({"timeout": 9, "max_retries": 0, "retry_post": true}), &variables).unwrap();
    assert_eq!(
        (with_options.look_up.silence, with_options.predict.silence, with_options.predict.total),
        (seconds(9), seconds(9), Some(seconds(9)))
    );
    assert_eq!((with_options.predict.max_retries, with_options.predict.repeat_post), (0, true));
}

#[test]
fn organization_and_project_are_sent_as_headers() {
    let headers = |options: Value, variables: &[(&str, &str)]| {
        let headers = config("openai", &options, &[variables, &[KEY]].concat()).unwrap().headers;
        ["openai-organization", "openai-project"]
            .map(|name| headers.get(name).map(|value| value.to_str().unwrap().to_owned()))
    };
    let some = |text: &str| Some(text.to_owned());
    let all = [("OPENAI_ORGANIZATION", "org1"), ("OPENAI_ORG_ID", "org2"), ("OPENAI_PROJECT_ID", "proj")];
    assert_eq!(headers(json!({}), &[]), [None, None]);
    assert_eq!(headers(json!({}), &all), [some("org2"), some("proj")]);
    assert_eq!(headers(json!({}), &all[..1]), [some("org1"), None]);
    assert_eq!(headers(json!({"organization": "o", "project": "p"}), &all), [some("o"), some("p")]);
}

#[test]
fn an_invalid_setting_is_an_error() {
    for (target, options, message) in [
        ("openai", json!({"tokn": "t"}), "unknown field `tokn`, expected one of `base_url`"),
        ("openai", json!({"timeout": 0}), "`timeout` is `0`: expected a number of seconds"),
        ("openai", json!({"max_retries": 11}), "invalid `max_retries` `11`: expected 0 to 10"),
        ("openai", json!({"headers": {"a b": "c"}}), "`a b` is not a valid header name"),
        ("openai", json!({"organization": "c\nd"}), "the value of `organization` has a character"),
        ("openai", json!({"insecure": true, "ca_cert": "x"}), "set only one of `insecure` and `ca_cert`"),
        ("openai", json!({"base_url": "far.test/v1"}), "`base_url` is `far.test/v1`, which is not a URL: relative URL"),
        (
            "openai://far.test:99999",
            json!({}),
            "the server of the target URI is `https://far.test:99999`, which is not a",
        ),
        ("openai", json!({"base_url": "localhost:9/v1"}), "`base_url` has no scheme: expected a URL such as"),
        ("openai", json!({"base_url": "ftp://far.test"}), "`base_url` has the scheme `ftp`"),
        ("openai", json!({"base_url": "https://far.test?key=s3cret"}), "`base_url` has a query"),
        ("openai", json!({"base_url": "https://far.test?api-version=v"}), "for Azure, set `api_type`"),
        (
            "openai://me:s3cret@far.test",
            json!({}),
            "the server of the target URI contains a user name or password: set `api_key`",
        ),
        (
            "openai://far.test",
            json!({"base_url": "https://h"}),
            "conflicting servers in the target URI and in `base_url`",
        ),
        ("openai:profile", json!({}), "the target URI has no host: expected `openai` or `openai://HOST"),
        ("openai://", json!({}), "the target URI has no host"),
    ] {
        let error = config(target, &options, &[KEY]).unwrap_err();
        assert_eq!(error.code(), &ErrorCode::INVALID_PARAMETER_VALUE);
        assert!(error.message().contains(message), "{error}");
        assert!(!error.message().contains("s3cret"), "{error}");
    }
}

#[test]
fn manifest_and_help_list_every_option() {
    let manifest = Manifest::parse(crate::PLUGIN.manifest().as_bytes()).unwrap();
    assert_eq!((manifest.name.as_str(), manifest.schemes), ("openai", vec!["openai".to_owned()]));
    let options = manifest.options["properties"].as_object().unwrap();
    let mut listed: Vec<_> = options.keys().map(|name| format!("`{name}`")).collect();
    let error = config("openai", &json!({"?": 0}), &[]).unwrap_err();
    let (_, known) = error.message().split_once("expected one of ").unwrap();
    let mut known: Vec<_> = known.split(" at ").next().unwrap().split(", ").collect();
    known.sort_unstable();
    listed.sort_unstable();
    assert_eq!(known, listed);
    let help = OpenAi::target_help();
    for name in listed {
        assert!(help.contains(&name), "{name} is not in the help");
    }
    assert!(options.values().all(|option| option["description"].is_string()));
    assert_eq!(options["api_key"]["writeOnly"], true);
}

#[test]
fn the_manifest_describes_the_config_of_predictions() {
    let manifest = Manifest::parse(crate::PLUGIN.manifest().as_bytes()).unwrap();
    let operations: Vec<_> = manifest.config.keys().collect();
    assert_eq!(operations, ["predict", "predict_stream"]);
    for schema in manifest.config.values() {
        let keys: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["task", "route"]);
        for task in schema["properties"]["task"]["enum"].as_array().unwrap() {
            serde_json::from_value::<crate::request_body::Task>(task.clone()).unwrap();
        }
    }
}

#[test]
fn manifest_and_help_list_every_variable() {
    let read = RefCell::new(BTreeSet::new());
    let note = |name: &str| {
        read.borrow_mut().insert(name.to_uppercase());
        None
    };
    let options = [
        json!({}),
        json!({"base_url": "https://h"}),
        json!({"base_url": "https://h/openai/v1"}),
        json!({"base_url": "https://h/openai/v1", "api_key": "k"}),
    ];
    for (api_type, options) in
        ["openai", "azure", "azure_ad"].iter().flat_map(|kind| options.iter().map(move |each| (kind, each)))
    {
        let mut options = options.clone();
        options["api_type"] = json!(api_type);
        let options = ClientOptions::new(&options).unwrap();
        // Only the variables that it reads matter, so an error is ignored.
        drop(Config::new(&TargetUri::parse("openai").unwrap(), &options, &Environment::new(&note)));
    }
    drop(Config::new(&TargetUri::parse("openai").unwrap(), &ClientOptions::default(), &Environment::new(&note)));
    let mut read = read.into_inner();
    // Set by a CGI server; not a setting.
    read.remove("REQUEST_METHOD");
    let manifest = Manifest::parse(crate::PLUGIN.manifest().as_bytes()).unwrap();
    let listed: BTreeSet<_> = manifest.environment.iter().map(|variable| variable.name.clone()).collect();
    assert_eq!(read, listed);
    for name in listed {
        assert!(OpenAi::target_help().contains(&format!("`{name}`")), "{name} is not in the help");
    }
}
