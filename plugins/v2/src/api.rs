//! The requests to a server, and its answers before they are interpreted.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use mlflow_deploy_http::{Client, Policy, Response, encode_segment, join, request, send};
use mlflow_deploy_plugin_api::{JSON, Result};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::config::Config;
use crate::missing;
use crate::server::ServerInfo;

/// The header with the length of the JSON at the start of a binary body.
pub(crate) const JSON_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// The media type of a body with tensors in binary.
pub(crate) const BINARY: &str = "application/octet-stream";

/// The content that a response to a request for metadata must have, as named in error messages.
pub(crate) const METADATA: &str = "the metadata of the Open Inference Protocol";

/// The connection to one server.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) config: Config,
    http: Client,
    server: OnceCell<ServerInfo>,
}

/// The path of a model, or of one version of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ModelPath {
    pub(crate) name: String,
    path: String,
}

impl ModelPath {
    /// Returns the path of the model `name`. Without a version, the server chooses one.
    pub(crate) fn new(name: &str, version: Option<&str>) -> Result<Self> {
        let mut path = format!("/v2/models/{}", encode_segment(name)?);
        if let Some(version) = version {
            path = format!("{path}/versions/{}", encode_segment(version)?);
        }
        Ok(Self { name: name.to_owned(), path })
    }
}

/// The body of a request for a prediction.
#[derive(Clone, Debug)]
pub(crate) struct InferBody {
    pub(crate) bytes: Bytes,
    /// The length of the JSON at the start of the body, if tensors in binary follow it.
    pub(crate) json_length: Option<usize>,
}

impl Api {
    pub(crate) fn new(config: Config) -> Self {
        let http = Client::new(config.connection.clone());
        Self { config, http, server: OnceCell::new() }
    }

    /// Returns the metadata of the server. A server without this route has none.
    pub(crate) async fn server(&self, policy: &Policy) -> Result<&ServerInfo> {
        let read = || async {
            match self.get("/v2", policy).await {
                Ok(response) => response.parse(METADATA),
                Err(error) if matches!(error.http_status(), Some(404 | 405)) => Ok(ServerInfo::default()),
                Err(error) => Err(error),
            }
        };
        self.server.get_or_try_init(read).await
    }

    /// Returns the metadata of a model.
    pub(crate) async fn metadata(&self, model: &ModelPath, policy: &Policy) -> Result<Response> {
        self.get(&model.path, policy).await.map_err(|error| missing::explained(error, &model.name))
    }

    /// Returns true if a model answers predictions.
    pub(crate) async fn is_ready(&self, model: &ModelPath, policy: &Policy) -> Result<bool> {
        // The caller decides how long to wait for a model that is not ready.
        let policy = Policy { max_retries: 0, ..policy.clone() };
        match self.get(&format!("{}/ready", model.path), &policy).await {
            // KServe answers with JSON.
            Ok(response) => Ok(response.payload.json::<Value>().map_or(true, |answer| answer["ready"] != false)),
            Err(error) if matches!(error.http_status(), Some(400 | 404 | 503)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Requests a prediction.
    pub(crate) async fn infer(&self, model: &ModelPath, body: &InferBody, policy: &Policy) -> Result<Response> {
        let mut headers = self.config.headers.clone();
        let media_type = match body.json_length {
            Some(length) => {
                headers.insert(JSON_LENGTH, HeaderValue::from(length));
                BINARY
            }
            None => JSON,
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        let url = join(&self.config.base, &format!("{}/infer", model.path));
        let request = request(Method::POST, &url, headers, body.bytes.clone())?;
        send(&self.http, &request, policy).await.map_err(|error| missing::explained(error, &model.name))
    }

    /// Sends a request to the repository of models, such as `index`.
    pub(crate) async fn repository(&self, route: &str, body: impl Into<Bytes>, policy: &Policy) -> Result<Response> {
        let headers = self.json_headers();
        let url = join(&self.config.base, &format!("/v2/repository/{route}"));
        send(&self.http, &request(Method::POST, &url, headers, body)?, policy).await
    }

    /// Sends a GET request to a route, such as `/v2/models`.
    pub(crate) async fn get(&self, path: &str, policy: &Policy) -> Result<Response> {
        let url = join(&self.config.base, path);
        send(&self.http, &request(Method::GET, &url, self.config.headers.clone(), "")?, policy).await
    }

    fn json_headers(&self) -> HeaderMap {
        let mut headers = self.config.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        headers
    }
}
