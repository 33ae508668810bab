//! The URL of a Databricks workspace or account.

use mlflow_deploy_http::parse_url;
use mlflow_deploy_plugin_api::{Error, Result, call};
use url::Url;

/// The domains of the workspaces on Azure, in the public and the national clouds.
const AZURE_DOMAINS: [&str; 3] = [".azuredatabricks.net", ".databricks.azure.us", ".databricks.azure.cn"];

/// The URL of a Databricks workspace or account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WorkspaceUrl {
    /// The scheme, the host and the port, without path and query.
    pub(crate) url: Url,
    /// The id of the workspace, from the query parameter `o`. A URL from the address bar of a browser has this
    /// parameter.
    pub(crate) workspace_id: Option<String>,
}

impl WorkspaceUrl {
    /// Parses the URL of a workspace or account. The default scheme is `https`. Ignores the path with a warning,
    /// because the API is at the root of the host.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the text is not an `http` or `https` URL or has a user name or password.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let mut url = parse_url("`host`", &whole, "https://adb-1.2.azuredatabricks.net")?;
        if !matches!(url.scheme(), "http" | "https") {
            let scheme = url.scheme();
            return Err(Error::invalid_parameter(format!("unsupported scheme `{scheme}` of `host`: expected `https`")));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::invalid_parameter(
                "`host` contains a user name or password: set credentials as options or in the environment",
            ));
        }
        let workspace_id = url.query_pairs().find(|(key, _)| key == "o").map(|(_, id)| id.into_owned());
        if url.path() != "/" {
            call::warn(format!("`host` has the path `{}`, which is ignored: the API is at the root", url.path()));
            url.set_path("/");
        }
        url.set_query(None);
        url.set_fragment(None);
        Ok(Self { url, workspace_id })
    }

    /// Returns true if this is the URL of a workspace on Azure.
    pub(crate) fn is_azure(&self) -> bool {
        self.url.host_str().is_some_and(|host| AZURE_DOMAINS.iter().any(|domain| host.ends_with(domain)))
    }

    /// Returns true if this is the URL of an account, not of a workspace.
    pub(crate) fn is_account(&self) -> bool {
        self.url.host_str().is_some_and(|host| host.starts_with("accounts.") || host.starts_with("accounts-dod."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_optional_and_the_path_is_dropped() {
        for (text, url, workspace_id) in [
            ("adb-1.2.azuredatabricks.net", "https://adb-1.2.azuredatabricks.net/", None),
            ("https://h.test:443/?o=12#/x", "https://h.test/", Some("12")),
            ("https://h.test/login.html?o=34&next_url=%2Fml", "https://h.test/", Some("34")),
            ("h.test/ml/endpoints/chat/", "https://h.test/", None),
            ("https://h.test/browse/folders/1?o=5#x", "https://h.test/", Some("5")),
            (" http://127.0.0.1:5000/ ", "http://127.0.0.1:5000/", None),
            ("https://[::1]:443", "https://[::1]/", None),
        ] {
            let host = WorkspaceUrl::parse(text).unwrap();
            assert_eq!((host.url.as_str(), host.workspace_id.as_deref()), (url, workspace_id), "{text}");
        }
    }

    #[test]
    fn an_invalid_url_is_an_error() {
        for (text, message) in [
            ("h.test:99999", "`host` is `https://h.test:99999`, which is not a URL: invalid port number"),
            ("https://me:s3cret@h.test:x", "`host` is `https://h.test:x`, which is not a URL"),
            ("", "`host` is `https://`, which is not a URL: empty host; expected a URL such as `https://adb-"),
            ("ftp://h.test", "unsupported scheme `ftp` of `host`"),
            ("https://me:s3cret@h.test", "`host` contains a user name or password"),
        ] {
            let error = WorkspaceUrl::parse(text).unwrap_err();
            assert!(error.message().starts_with(message), "{error}");
            assert!(!error.message().contains("s3cret"));
        }
    }

    #[test]
    fn azure_and_accounts_are_recognized_by_their_domain() {
        let is = |text| WorkspaceUrl::parse(text).map(|host| (host.is_azure(), host.is_account())).unwrap();
        assert_eq!(is("adb-1.2.azuredatabricks.net"), (true, false));
        assert_eq!(is("x.databricks.azure.cn"), (true, false));
        assert_eq!(is("accounts.cloud.databricks.com"), (false, true));
        assert_eq!(is("x.cloud.databricks.com"), (false, false));
    }
}
