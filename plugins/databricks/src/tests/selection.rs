//! Tests how the client selects the workspace and the credentials from options, environment variables and profiles.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;

const PROFILES: &str = "[DEFAULT]\nhost = default.test\ntoken = d\n\n[p]\nhost = p.test\ntoken = p\n\n[m2m]\n\
                        host = m2m.test\nclient_id = i\nclient_secret = s\n";

fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join(".databrickscfg");
    fs::write(&path, PROFILES).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
    home
}

/// Returns the host of the selected workspace and the selected authentication type, or the error message.
fn selected(target: &str, options: &Value, variables: &[(&str, &str)]) -> std::result::Result<String, String> {
    let home = home();
    let with_home: Vec<_> = variables.iter().copied().chain([("HOME", home.path().to_str().unwrap())]).collect();
    let client = client(target, options, &with_home).unwrap();
    match client.config.workspace {
        Ok(workspace) => Ok(format!("{} {}", workspace.base().host_str().unwrap(), workspace.auth_type())),
        Err(error) => Err(error.message().replace(home.path().to_str().unwrap(), "~")),
    }
}

#[test]
fn options_take_precedence_over_the_environment_and_both_over_profiles() {
    let host = ("DATABRICKS_HOST", "env.test");
    let token = ("DATABRICKS_TOKEN", "e");
    let profile = ("DATABRICKS_CONFIG_PROFILE", "p");
    for (target, options, variables, expected) in [
        ("databricks", json!({}), vec![], "default.test pat"),
        ("databricks", json!({}), vec![host, token], "env.test pat"),
        ("databricks", json!({}), vec![profile], "p.test pat"),
        ("databricks", json!({}), vec![profile, token], "p.test pat"),
        ("databricks", json!({"host": "o.test", "token": "o"}), vec![host, token, profile], "o.test pat"),
        ("databricks", json!({"profile": "m2m"}), vec![host, token], "m2m.test oauth-m2m"),
        ("databricks://m2m", json!({}), vec![host, token, profile], "m2m.test oauth-m2m"),
        ("databricks", json!({"client_id": "i", "client_secret": "s"}), vec![host, token], "env.test oauth-m2m"),
        ("databricks", json!({"auth_type": "pat"}), vec![host, token, ("ARM_CLIENT_ID", "a")], "env.test pat"),
    ] {
        assert_eq!(selected(target, &options, &variables).as_deref(), Ok(expected), "{target} {options} {variables:?}");
    }
}

#[test]
fn a_missing_or_conflicting_setting_is_an_error() {
    let host = ("DATABRICKS_HOST", "env.test");
    for (target, options, variables, message) in [
        ("databricks", json!({"config_file": "/nowhere"}), vec![], "no workspace is configured: set the option `host`"),
        ("databricks", json!({}), vec![host], "no credentials for `https://env.test/` are configured: `pat` needs"),
        (
            "databricks://q",
            json!({}),
            vec![],
            "unknown profile `q` of `~/.databrickscfg`: expected one of `DEFAULT`, `p`, `m2m`",
        ),
        (
            "databricks",
            json!({}),
            vec![host, ("DATABRICKS_TOKEN", "t"), ("ARM_CLIENT_ID", "a")],
            "conflicting credentials `azure` and `pat`: unset all but one",
        ),
        (
            "databricks",
            json!({"auth_type": "oauth-m2m"}),
            vec![host],
            "no credentials for `https://env.test/` are \
            configured: `oauth-m2m` needs `client_id` and `client_secret`",
        ),
        ("databricks", json!({"auth_type": "magic"}), vec![host], "unknown auth type `magic`: expected one of `pat`"),
        ("databricks", json!({"auth_type": "external-browser"}), vec![host], "log in with `databricks auth login`"),
        ("databricks", json!({}), vec![host, ("GOOGLE_CREDENTIALS", "{}")], "not supported: use `oauth-m2m`"),
        ("databricks", json!({"azure_client_id": "a", "azure_client_secret": "b"}), vec![host], "`azure_tenant_id`"),
    ] {
        let error = selected(target, &options, &variables).unwrap_err();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn missing_credentials_are_an_invalid_parameter() {
    for options in [json!({"config_file": "/nowhere"}), json!({"host": "h.test"})] {
        let error = client("databricks", &options, &[]).unwrap().config.workspace.unwrap_err();
        assert_eq!(error.code(), &ErrorCode::INVALID_PARAMETER_VALUE, "{error}");
    }
}

#[test]
fn providers_are_tried_in_databricks_order() {
    let host = ("DATABRICKS_HOST", "env.test");
    let principal = [("DATABRICKS_CLIENT_ID", "i"), ("DATABRICKS_CLIENT_SECRET", "s")];
    let workflow = [("ACTIONS_ID_TOKEN_REQUEST_URL", "https://g.test"), ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t")];
    let id_token = ("DATABRICKS_OIDC_TOKEN", "jwt");
    let variables = [&[host, id_token], principal.as_slice(), &workflow].concat();
    assert_eq!(selected("databricks", &json!({}), &variables).as_deref(), Ok("env.test oauth-m2m"));
    let variables = [&[host, id_token], &principal[..1], &workflow].concat();
    assert_eq!(selected("databricks", &json!({}), &variables).as_deref(), Ok("env.test env-oidc"));
    let variables = [&[host], &principal[..1], workflow.as_slice()].concat();
    assert_eq!(selected("databricks", &json!({}), &variables).as_deref(), Ok("env.test github-oidc"));
}
