//! What a plugin's process sees of the environment: what its manifest declares, what it is allowed, and what every
//! program needs.

use std::ffi::OsString;

use mlflow_deploy_plugin_api::manifest::EnvironmentVariable;
use mlflow_deploy_plugin_api::trust::TRUSTED_OWNERS;

/// What every program may see: where things are, which language is spoken, whom to trust, and how the network is
/// reached; and where the system's loader finds libraries, so that it finds the same as in this process. With the
/// proxies goes what forbids to believe `HTTP_PROXY`: where there is a `REQUEST_METHOD`, a stranger has set it.
const NAMES: [&str; 16] = [
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
    TRUSTED_OWNERS,
];

/// The same, by how the names begin.
const PREFIXES: [&str; 3] = ["LC_", "XDG_", "SSL_CERT_"];

/// Those of the variables that the plugin may see.
pub(crate) fn seen(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    declared: &[EnvironmentVariable],
    allowed: &[String],
) -> Vec<(OsString, OsString)> {
    let is_seen = |name: &OsString| {
        let Some(name) = name.to_str() else { return allowed.iter().any(|allowed| allowed == "*") };
        NAMES.contains(&name)
            || allowed.iter().any(|allowed| matches(allowed, name))
            || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || declared.iter().any(|variable| variable.name == name)
    };
    variables.into_iter().filter(|(name, _)| is_seen(name)).collect()
}

/// Whether a variable is what is allowed: the name itself, or `PREFIX*` for all that begin so.
fn matches(allowed: &str, name: &str) -> bool {
    allowed.strip_suffix('*').map_or(allowed == name, |prefix| name.starts_with(prefix))
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
        let seen = |allowed: &[&str]| -> Vec<_> {
            let allowed: Vec<_> = allowed.iter().map(|&allowed| allowed.to_owned()).collect();
            let seen = seen(variables.clone(), &declared, &allowed).into_iter();
            seen.map(|(name, _)| name.into_string().unwrap()).collect()
        };
        let mine = &all[..7];
        assert_eq!(seen(&[]), mine);
        assert_eq!(seen(&["OTHER", "OTHER_TOKEN_", "other_token"]), mine);
        for allowed in ["OTHER_TOKEN", "OTHER_*", "OTHER_TOKEN*"] {
            assert_eq!(seen(&[allowed]), [mine, &["OTHER_TOKEN"]].concat(), "{allowed}");
        }
        assert_eq!(seen(&["*"]), all);
    }
}
