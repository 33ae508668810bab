//! Requests for the artifacts of a server: listings of folders, and the content of files.

use http::{HeaderMap, Method};
use mlflow_deploy_http::{Request, encode_segment, join, redact_url, request};
use mlflow_deploy_plugin_api::{Error, Result};
use url::Url;

use crate::rest::API;

/// The path at which a server's artifacts URL ends.
pub(crate) const ARTIFACTS: &str = "/mlflow-artifacts/artifacts";

/// A folder on a server.
#[derive(Clone, Debug)]
pub(crate) struct RemoteFolder {
    /// The URL of the server's artifacts, which ends in `/mlflow-artifacts/artifacts`.
    pub(crate) base: Url,
    /// The folder's path below the URL, as file names.
    pub(crate) path: Vec<String>,
    /// The headers with the credentials.
    pub(crate) headers: HeaderMap,
    /// True if another server named this server. It then receives no credentials.
    pub(crate) is_untrusted: bool,
}

impl RemoteFolder {
    /// Returns the request to list a folder below this one.
    pub(crate) fn list(&self, below: &[String]) -> Result<Request> {
        let mut url = self.base.clone();
        let path: Vec<_> = self.path.iter().chain(below).map(String::as_str).collect();
        url.query_pairs_mut().append_pair("path", &path.join("/"));
        request(Method::GET, &url, self.headers.clone(), "")
    }

    /// Returns the request for a file below this folder.
    pub(crate) fn file(&self, below: &[String]) -> Result<Request> {
        request(Method::GET, &self.url(below)?, self.headers.clone(), "")
    }

    /// Returns the request for the server's information; `None` if the URL is not that of an MLflow server.
    pub(crate) fn server_info(&self) -> Result<Option<Request>> {
        let Some(prefix) = self.base.path().strip_suffix(ARTIFACTS).and_then(|path| path.strip_suffix(API)) else {
            return Ok(None);
        };
        let mut url = self.base.clone();
        url.set_path(&format!("{prefix}/api/3.0/mlflow/server-info"));
        request(Method::GET, &url, self.headers.clone(), "").map(Some)
    }

    /// Returns the request to sign the URL of a file below this folder.
    pub(crate) fn presigned(&self, below: &[String]) -> Result<Request> {
        let mut url = self.url(below)?;
        let path = url.path().replacen(ARTIFACTS, "/mlflow-artifacts/presigned", 1);
        url.set_path(&path);
        request(Method::GET, &url, self.headers.clone(), "")
    }

    /// Adds an explanation to an authentication error of a server that another server named.
    pub(crate) fn explain(&self, error: Error) -> Error {
        if !self.is_untrusted || !matches!(error.http_status(), Some(401 | 403)) {
            return error;
        }
        let shown = self.url(&[]).map_or_else(|_| redact_url(&self.base), |url| redact_url(&url));
        let message = format!(
            "{error}; your credentials were not sent, because the tracking server named this server: if you trust it, \
             use `{shown}` as the model URI"
        );
        let http = error.http().cloned().unwrap_or_default();
        Error::new(error.code().clone(), message).with_http(http)
    }

    fn url(&self, below: &[String]) -> Result<Url> {
        let segments: Vec<_> = self.path.iter().chain(below).map(|name| encode_segment(name)).collect::<Result<_>>()?;
        Ok(join(&self.base, &segments.join("/")))
    }
}

/// Shows the URL without secrets.
impl std::fmt::Display for RemoteFolder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", redact_url(&self.base), self.path.join("/"))
    }
}
