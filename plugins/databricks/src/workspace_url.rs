//! The address of a workspace, as people write it, and what it says of the cloud.

use mlflow_deploy_http::parse_url;
use mlflow_deploy_plugin_api::{Error, Result};
use url::Url;

/// The domains that workspaces on Azure have.
const AZURE: [&str; 3] = [".azuredatabricks.net", ".databricks.azure.us", ".databricks.azure.cn"];

/// A workspace's, or an account's, address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// Scheme, host, port and path.
    pub(crate) url: Url,
    /// The workspace's id, where the address was copied from a browser.
    pub(crate) workspace_id: Option<String>,
}

impl Host {
    /// Reads an address: `https://` may be left out, and so may everything after the host.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where it is none.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let mut url = parse_url("the host", &whole, "https://adb-1.2.azuredatabricks.net")?;
        if !matches!(url.scheme(), "http" | "https") {
            let scheme = url.scheme();
            return Err(Error::invalid_parameter(format!("the host's scheme is `{scheme}`: expected `https`")));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::invalid_parameter(
                "the host has a user name in it: give credentials as options, or in the environment",
            ));
        }
        let workspace_id = url.query_pairs().find(|(key, _)| key == "o").map(|(_, id)| id.into_owned());
        url.set_query(None);
        url.set_fragment(None);
        Ok(Self { url, workspace_id })
    }

    /// Whether it is a workspace on Azure.
    pub(crate) fn is_azure(&self) -> bool {
        self.url.host_str().is_some_and(|host| AZURE.iter().any(|domain| host.ends_with(domain)))
    }

    /// Whether it is an account's address, and no workspace's.
    pub(crate) fn is_account(&self) -> bool {
        self.url.host_str().is_some_and(|host| host.starts_with("accounts.") || host.starts_with("accounts-dod."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_people_write_it() {
        for (text, url, workspace_id) in [
            ("adb-1.2.azuredatabricks.net", "https://adb-1.2.azuredatabricks.net/", None),
            ("https://h.test:443/?o=12#/x", "https://h.test/", Some("12")),
            ("https://h.test/path/", "https://h.test/path/", None),
            (" http://127.0.0.1:5000/ ", "http://127.0.0.1:5000/", None),
            ("https://[::1]:443", "https://[::1]/", None),
        ] {
            let host = Host::parse(text).unwrap();
            assert_eq!((host.url.as_str(), host.workspace_id.as_deref()), (url, workspace_id), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for (text, message) in [
            ("h.test:99999", "the host is `https://h.test:99999`, which is not a URL: invalid port number"),
            ("https://me:s3cret@h.test:x", "the host is `https://h.test:x`, which is not a URL"),
            ("", "the host is `https://`, which is not a URL: empty host; expected a URL such as `https://adb-"),
            ("ftp://h.test", "the host's scheme is `ftp`"),
            ("https://me:s3cret@h.test", "the host has a user name in it"),
        ] {
            let error = Host::parse(text).unwrap_err();
            assert!(error.message().starts_with(message), "{error}");
            assert!(!error.message().contains("s3cret"));
        }
    }

    #[test]
    fn the_domain_tells_the_cloud() {
        let is = |text| Host::parse(text).map(|host| (host.is_azure(), host.is_account())).unwrap();
        assert_eq!(is("adb-1.2.azuredatabricks.net"), (true, false));
        assert_eq!(is("x.databricks.azure.cn"), (true, false));
        assert_eq!(is("accounts.cloud.databricks.com"), (false, true));
        assert_eq!(is("x.cloud.databricks.com"), (false, false));
    }
}
