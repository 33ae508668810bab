//! Parses the address of a server. Users may paste an address that ends with a route, or one from Azure's portal that
//! contains a deployment and a query.

use mlflow_deploy_http::parse_url;
use mlflow_deploy_plugin_api::{Error, Result};
use url::Url;

/// The base URL of OpenAI's own API.
pub(crate) const OPENAI_BASE: &str = "https://api.openai.com/v1";

/// The address of a server, and the name of the setting that contains it.
#[derive(Debug)]
pub(crate) struct Address {
    setting: String,
    text: String,
}

/// The parts of an Azure OpenAI address.
#[derive(Debug, PartialEq)]
pub(crate) struct AzureAddress {
    /// The URL of the Azure resource. For Azure's v1 API, the URL ends with `/openai/v1`.
    pub(crate) base: Url,
    pub(crate) is_v1: bool,
    pub(crate) deployment: Option<String>,
    pub(crate) version: Option<String>,
}

impl Address {
    pub(crate) fn new(setting: &str, text: impl Into<String>) -> Self {
        Self { setting: setting.to_owned(), text: text.into() }
    }

    /// Returns the base URL of a server with OpenAI's routes. Removes a route at the end of the address, such as
    /// `/chat/completions`.
    pub(crate) fn openai(&self) -> Result<Url> {
        const ROUTES: [&str; 4] = ["/chat/completions", "/completions", "/embeddings", "/responses"];
        let mut url = self.url()?;
        if url.query().is_some() {
            let hint = match api_version(&url) {
                Some(_) => "; for Azure, set `api_type` or `OPENAI_API_TYPE` to `azure`",
                None => "",
            };
            return Err(self.invalid(&format!("has a query or a fragment: expected only a host and a path{hint}")));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        // A base URL may end in `/models`, but not in `/v1/models`.
        let models = path.strip_suffix("/models").filter(|base| base.ends_with("/v1"));
        // The start of the route for chats; a base URL may end in `/chat`, but not in `/v1/chat`.
        let chat = path.strip_suffix("/chat").filter(|base| base.ends_with("/v1"));
        if let Some(base) = models.or(chat).or_else(|| ROUTES.iter().find_map(|route| path.strip_suffix(route))) {
            url.set_path(base);
        }
        Ok(url)
    }

    /// Returns the parts of an Azure OpenAI address. Removes the route that follows `/openai`, because each request
    /// adds its own route.
    pub(crate) fn azure(&self) -> Result<AzureAddress> {
        let mut url = self.url()?;
        let version = api_version(&url);
        if url.query_pairs().any(|(name, _)| name != "api-version") {
            return Err(
                self.invalid("has a query: expected the URL of the resource, such as `https://NAME.openai.azure.com`")
            );
        }
        url.set_query(None);
        let segments: Vec<_> = url.path().split('/').filter(|segment| !segment.is_empty()).collect();
        let Some(openai) = segments.iter().position(|segment| *segment == "openai") else {
            return Ok(AzureAddress { base: url, is_v1: false, deployment: None, version });
        };
        let rest = &segments[openai + 1..];
        let is_v1 = rest.first() == Some(&"v1");
        let deployment = match rest {
            ["deployments", name, ..] => Some(percent_decoded(name)),
            _ => None,
        };
        let kept = segments[..if is_v1 { openai + 2 } else { openai }].join("/");
        url.set_path(&kept);
        Ok(AzureAddress { base: url, is_v1, deployment, version })
    }

    /// Parses the address as a URL, which may have a query. Fails if the scheme is neither `http` nor `https`, or if
    /// the URL contains a user name, a password or a fragment.
    pub(crate) fn url(&self) -> Result<Url> {
        let url = parse_url(&self.setting, &self.text, OPENAI_BASE)?;
        if !self.text.contains("://") {
            return Err(self.invalid("has no scheme: expected a URL such as `http://localhost:8000/v1`"));
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(self.invalid(&format!("has the scheme `{}`: expected `https` or `http`", url.scheme())));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(self.invalid("contains a user name or password: set `api_key` instead"));
        }
        if url.fragment().is_some() {
            return Err(self.invalid("has a query or a fragment: expected only a host and a path"));
        }
        Ok(url)
    }

    fn invalid(&self, why: &str) -> Error {
        Error::invalid_parameter(format!("{} {why}", self.setting))
    }
}

fn api_version(url: &Url) -> Option<String> {
    url.query_pairs().find(|(name, _)| name == "api-version").map(|(_, version)| version.into_owned())
}

fn percent_decoded(segment: &str) -> String {
    // A path segment is decoded in the same way as a query value, except for `+`.
    let query = format!("name={}", segment.replace('+', "%2B"));
    url::form_urlencoded::parse(query.as_bytes()).next().map(|(_, name)| name.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_at_the_end_of_a_base_url_is_removed() {
        for (text, base) in [
            ("http://h/v1/chat/completions", "http://h/v1"),
            ("http://h/v1/chat/completions/", "http://h/v1"),
            ("http://h/v1/chat", "http://h/v1"),
            ("http://h/v1/chat/", "http://h/v1"),
            ("http://h/v1/completions", "http://h/v1"),
            ("http://h/v1/embeddings", "http://h/v1"),
            ("http://h/v1/models", "http://h/v1"),
            ("http://h/responses", "http://h/"),
            ("http://h/v1/", "http://h/v1/"),
            ("http://h/models", "http://h/models"),
            ("http://h/chat", "http://h/chat"),
        ] {
            assert_eq!(Address::new("`base_url`", text).openai().unwrap().as_str(), base);
        }
    }

    #[test]
    fn an_address_of_azure_is_split_into_its_parts() {
        for (text, base, is_v1, deployment, version) in [
            ("https://h.test", "https://h.test/", false, None, None),
            ("https://h.test/openai/", "https://h.test/", false, None, None),
            ("https://h.test/pre/openai", "https://h.test/pre", false, None, None),
            ("https://h.test/pre/fix", "https://h.test/pre/fix", false, None, None),
            ("https://h.test/openai/deployments/my%20gpt+4", "https://h.test/", false, Some("my gpt+4"), None),
            (
                "https://h.test/openai/deployments/d/chat/completions?api-version=2024-02-01",
                "https://h.test/",
                false,
                Some("d"),
                Some("2024-02-01"),
            ),
            ("https://h.test/openai/responses?api-version=v", "https://h.test/", false, None, Some("v")),
            ("https://h.test/openai/v1", "https://h.test/openai/v1", true, None, None),
            ("https://h.test/openai/v1/chat/completions", "https://h.test/openai/v1", true, None, None),
        ] {
            let expected = AzureAddress {
                base: Url::parse(base).unwrap(),
                is_v1,
                deployment: deployment.map(str::to_owned),
                version: version.map(str::to_owned),
            };
            assert_eq!(Address::new("`base_url`", text).azure().unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn an_unexpected_query_is_an_error_without_its_value() {
        for text in ["https://h.test?api-version=v&key=s3cret", "https://h.test/#s3cret"] {
            let azure = Address::new("`base_url`", text).azure().unwrap_err();
            let openai = Address::new("`base_url`", text).openai().unwrap_err();
            for error in [azure, openai] {
                assert!(error.message().contains("has a query"), "{error}");
                assert!(!error.message().contains("s3cret"), "{error}");
            }
        }
    }
}
