//! Selects the environment variables of a plugin's process: those that its manifest declares, those that the host also
//! allows, and those that every program needs.

use std::ffi::OsString;

use mlflow_deploy_plugin_api::manifest::EnvironmentVariable;
use mlflow_deploy_plugin_api::trust::TRUSTED_OWNERS;

/// The environment variables that every plugin sees, such as folders, proxies and the search path of the dynamic
/// loader. `REQUEST_METHOD` belongs to the proxies: a CGI program sees it and then ignores `HTTP_PROXY`, which a client
/// could set.
const NAMES: [&str; 18] = [
    "HOME",
    "PATH",
    "TMPDIR",
    "LANG",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "REQUEST_METHOD",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "RUST_BACKTRACE",
    "RUST_LIB_BACKTRACE",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    TRUSTED_OWNERS,
];

/// The prefixes of further environment variables that every plugin sees.
const PREFIXES: [&str; 3] = ["LC_", "XDG_", "SSL_CERT_"];

/// Returns the environment variables that the plugin may see.
pub(crate) fn filter(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    declared: &[EnvironmentVariable],
    allowed: &[String],
) -> Vec<(OsString, OsString)> {
    let is_visible = |name: &OsString| {
        let Some(name) = name.to_str() else { return allowed.iter().any(|allowed| allowed == "*") };
        NAMES.contains(&name)
            || allowed.iter().any(|allowed| matches(allowed, name))
            || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || declared.iter().any(|variable| variable.name == name)
    };
    variables.into_iter().filter(|(name, _)| is_visible(name)).collect()
}

/// Returns true if `allowed` is the name of the variable, or is `PREFIX*` with a prefix of the name.
fn matches(allowed: &str, name: &str) -> bool {
    allowed.strip_suffix('*').map_or(allowed == name, |prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_declared_allowed_and_common_variables_are_visible() {
        let declared: Vec<EnvironmentVariable> =
            serde_json::from_str(r#"[{"name": "MY_TOKEN", "secret": true}, {"name": "MY_HOST"}]"#).unwrap();
        let all = [
            "HOME",
            "LC_ALL",
            "XDG_STATE_HOME",
            "SSL_CERT_FILE",
            "no_proxy",
            "REQUEST_METHOD",
            "MY_TOKEN",
            "OTHER_TOKEN",
            "LCD",
        ];
        let variables = all.map(|name| (OsString::from(name), OsString::from("v")));
        let visible = |allowed: &[&str]| -> Vec<_> {
            let allowed: Vec<_> = allowed.iter().map(|&allowed| allowed.to_owned()).collect();
            let visible = filter(variables.clone(), &declared, &allowed).into_iter();
            visible.map(|(name, _)| name.into_string().unwrap()).collect()
        };
        let common = &all[..7];
        assert_eq!(visible(&[]), common);
        assert_eq!(visible(&["OTHER", "OTHER_TOKEN_", "other_token"]), common);
        for allowed in ["OTHER_TOKEN", "OTHER_*", "OTHER_TOKEN*"] {
            assert_eq!(visible(&[allowed]), [common, &["OTHER_TOKEN"]].concat(), "{allowed}");
        }
        assert_eq!(visible(&["*"]), all);
    }
}
