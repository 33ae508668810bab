//! Builds the requests for the artifacts on a server: for the listing of a folder, and for the content of a file.

use http::{HeaderMap, Method};
use mlflow_deploy_http::{Request, encode_segment, join, redact_url, request};
use mlflow_deploy_plugin_api::{Error, Result};
use url::Url;

use crate::rest::API;

/// The end of the path in the URL of a server's artifacts.
pub(crate) const ARTIFACTS: &str = "/mlflow-artifacts/artifacts";

/// The REST API of a server with artifacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// The files of a Databricks workspace (DBFS).
    Dbfs,
    /// The artifacts of an MLflow server.
    Mlflow,
}

/// A folder of artifacts on a server.
#[derive(Clone, Debug)]
pub(crate) struct RemoteFolder {
    /// The URL of the server's artifacts, which ends in `/mlflow-artifacts/artifacts`, or the URL of a Databricks workspace.
    pub(crate) base: Url,
    /// The path of the folder below `base`, as a list of file names.
    pub(crate) path: Vec<String>,
    /// The headers with the credentials for the server.
    pub(crate) headers: HeaderMap,
    /// True if another server named this server, which then receives no credentials.
    pub(crate) is_untrusted: bool,
    pub(crate) protocol: Protocol,
}

impl RemoteFolder {
    /// Returns the name of an entry in the listing of a folder. Databricks lists absolute paths.
    pub(crate) fn name_of(&self, below: &[String], entry: String) -> String {
        if self.protocol == Protocol::Mlflow {
            return entry;
        }
        let folder: Vec<_> = self.path.iter().chain(below).map(String::as_str).collect();
        let name = entry.strip_prefix(&format!("/{}/", folder.join("/"))).map(str::to_owned);
        name.unwrap_or(entry)
    }

    /// Returns the request that lists a folder. `below` is the path of that folder relative to this one.
    pub(crate) fn list(&self, below: &[String]) -> Result<Request> {
        let path: Vec<_> = self.path.iter().chain(below).map(String::as_str).collect();
        let (mut url, path) = match self.protocol {
            Protocol::Dbfs => (join(&self.base, "/api/2.0/dbfs/list"), format!("/{}", path.join("/"))),
            Protocol::Mlflow => (self.base.clone(), path.join("/")),
        };
        url.query_pairs_mut().append_pair("path", &path);
        request(Method::GET, &url, self.headers.clone(), "")
    }

    /// Returns the request for the content of a file. `below` is the path of the file relative to this folder.
    pub(crate) fn file(&self, below: &[String]) -> Result<Request> {
        request(Method::GET, &self.url(below)?, self.headers.clone(), "")
    }

    /// Returns the request for information about the server; `None` if the URL is not that of an MLflow server.
    pub(crate) fn server_info(&self) -> Result<Option<Request>> {
        let Some(prefix) = self.base.path().strip_suffix(ARTIFACTS).and_then(|path| path.strip_suffix(API)) else {
            return Ok(None);
        };
        let mut url = self.base.clone();
        url.set_path(&format!("{prefix}/api/3.0/mlflow/server-info"));
        request(Method::GET, &url, self.headers.clone(), "").map(Some)
    }

    /// Returns the request for a signed URL of a file. `below` is the path of the file relative to this folder.
    pub(crate) fn presigned(&self, below: &[String]) -> Result<Request> {
        let mut url = self.url(below)?;
        let path = url.path().replacen(ARTIFACTS, "/mlflow-artifacts/presigned", 1);
        url.set_path(&path);
        request(Method::GET, &url, self.headers.clone(), "")
    }

    /// Adds an explanation to an authentication error of a server that received no credentials because another server
    /// named it. Returns any other error unchanged.
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
        let root = if self.protocol == Protocol::Dbfs { "dbfs/" } else { "" };
        Ok(join(&self.base, &format!("{root}{}", segments.join("/"))))
    }
}

/// Shows the URL of the folder without secrets.
impl std::fmt::Display for RemoteFolder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", redact_url(&self.base), self.path.join("/"))
    }
}
