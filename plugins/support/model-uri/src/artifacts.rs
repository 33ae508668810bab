//! Artifacts that a server hands out: how a folder is asked for what is in it, and a file for its content.

use http::{HeaderMap, Method};
use mlflow_deploy_http::{Request, encode_segment, join, redact_url, request};
use mlflow_deploy_plugin_api::{Error, Result};
use url::Url;

/// A folder on a server.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    /// The URL of all artifacts of the server, which ends in `/mlflow-artifacts/artifacts`.
    pub(crate) base: Url,
    /// The folder's path below it, as names.
    pub(crate) path: Vec<String>,
    /// How the server knows the client.
    pub(crate) headers: HeaderMap,
    /// Whether another server named this one, so that it gets no credentials.
    pub(crate) is_stranger: bool,
}

impl Folder {
    /// Asks what is in a folder below this one.
    pub(crate) fn list(&self, below: &[String]) -> Result<Request> {
        let mut url = self.base.clone();
        let path: Vec<_> = self.path.iter().chain(below).map(String::as_str).collect();
        url.query_pairs_mut().append_pair("path", &path.join("/"));
        request(Method::GET, &url, self.headers.clone(), "")
    }

    /// Asks for a file below this folder.
    pub(crate) fn file(&self, below: &[String]) -> Result<Request> {
        request(Method::GET, &self.url(below)?, self.headers.clone(), "")
    }

    /// The error as a user can understand it who did not choose this server.
    pub(crate) fn explain(&self, error: Error) -> Error {
        if !self.is_stranger || !matches!(error.http_status(), Some(401 | 403)) {
            return error;
        }
        let shown = self.url(&[]).map_or_else(|_| redact_url(&self.base), |url| redact_url(&url));
        let message = format!(
            "{error}; the tracking server names this server, and your credentials are kept from it: where you trust it, \
             give `{shown}` as the model URI"
        );
        let http = error.http().cloned().unwrap_or_default();
        Error::new(error.code().clone(), message).with_http(http)
    }

    fn url(&self, below: &[String]) -> Result<Url> {
        let segments: Vec<_> = self.path.iter().chain(below).map(|name| encode_segment(name)).collect::<Result<_>>()?;
        Ok(join(&self.base, &segments.join("/")))
    }
}

/// Shows where it is.
impl std::fmt::Display for Folder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", redact_url(&self.base), self.path.join("/"))
    }
}
