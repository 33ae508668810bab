//! What a plugin's process sees of the environment: what its manifest declares, and what every program needs.

use std::ffi::OsString;

use mlflow_deploy_plugin_api::manifest::EnvironmentVariable;

/// What every program may see: where things are, which language is spoken, whom to trust, and how the network is
/// reached, with what says that `HTTP_PROXY` came with a request and is not to be believed; and where the system's loader
/// finds libraries, so that it finds the same as in this process.
const NAMES: [&str; 15] = [
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
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
];

/// The same, by how the names begin.
const PREFIXES: [&str; 3] = ["LC_", "XDG_", "SSL_CERT_"];

/// Those of the variables that the plugin may see.
pub(crate) fn seen(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    declared: &[EnvironmentVariable],
) -> Vec<(OsString, OsString)> {
    let is_seen = |name: &OsString| {
        let Some(name) = name.to_str() else { return false };
        NAMES.contains(&name)
            || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || declared.iter().any(|variable| variable.name == name)
    };
    variables.into_iter().filter(|(name, _)| is_seen(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_declared_or_needed_is_seen() {
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
        let seen: Vec<_> =
            seen(variables, &declared).into_iter().map(|(name, _)| name.into_string().unwrap()).collect();
        assert_eq!(seen, all[..7]);
    }
}
