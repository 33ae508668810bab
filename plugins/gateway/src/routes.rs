//! The requests to both kinds of gateway, and the classification of errors that reveal the kind.
//!
//! A *standalone* gateway is a separate server (`mlflow gateway start`). An *embedded* gateway is part of a tracking
//! server (`mlflow server`) and has other routes.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use mlflow_deploy_http::{Request, content_type, encode_segment, join, request};
use mlflow_deploy_plugin_api::{Error, Payload, Result};
use serde_json::Value;
use url::Url;

use crate::config::Config;

/// The kind of gateway, which determines the routes of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Embedded,
    Standalone,
}

impl Dialect {
    /// Returns the request that gets the record of the endpoint `name`.
    pub(crate) fn get_endpoint(self, config: &Config, name: &str) -> Result<Request> {
        let segment = encode_segment(name)?;
        let url = match self {
            Self::Standalone => join(&config.base, &format!("/api/2.0/endpoints/{segment}")),
            Self::Embedded => {
                let mut url = join(&config.base, "/api/3.0/mlflow/gateway/endpoints/get");
                url.query_pairs_mut().append_pair("name", name);
                url
            }
        };
        get(config, &url)
    }

    /// Returns the request for a prediction of the endpoint `name`.
    pub(crate) fn predict(self, config: &Config, name: &str, inputs: &Inputs) -> Result<Request> {
        let segment = encode_segment(name)?;
        let path = match self {
            Self::Standalone => format!("/endpoints/{segment}/invocations"),
            Self::Embedded => format!("/gateway/{segment}/mlflow/invocations"),
        };
        let mut headers = config.headers.clone();
        headers.insert(CONTENT_TYPE, inputs.content_type.clone());
        request(Method::POST, &join(&config.base, &path), headers, inputs.bytes.clone())
    }
}

/// The inputs of a prediction. The requests of both dialects share the bytes.
#[derive(Debug)]
pub(crate) struct Inputs {
    content_type: HeaderValue,
    bytes: Bytes,
}

impl Inputs {
    pub(crate) fn new(payload: Payload) -> Result<Self> {
        Ok(Self { content_type: content_type(payload.content_type())?, bytes: payload.into_bytes().into() })
    }
}

/// Returns the request for one page of a standalone gateway's list of endpoints. The path ends with a slash. Without
/// it, the server would send a redirect, whose URL is wrong behind a proxy.
pub(crate) fn page(config: &Config, token: Option<&str>) -> Result<Request> {
    let mut url = join(&config.base, "/api/2.0/endpoints/");
    if let Some(token) = token {
        url.query_pairs_mut().append_pair("page_token", token);
    }
    get(config, &url)
}

/// Returns the request for the list of an embedded gateway's endpoints.
pub(crate) fn embedded_list(config: &Config) -> Result<Request> {
    get(config, &join(&config.base, "/api/3.0/mlflow/gateway/endpoints/list"))
}

/// Returns the request for the list of an embedded gateway's models. Some users may read this list, but not the list of
/// endpoints.
pub(crate) fn models(config: &Config) -> Result<Request> {
    get(config, &join(&config.base, "/gateway/mlflow/v1/models"))
}

fn get(config: &Config, url: &Url) -> Result<Request> {
    request(Method::GET, url, config.headers.clone(), "")
}

/// The existence of a failed request's route, as far as the error reveals it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// The server has the route. The request failed for another reason.
    Known,
    /// The server does not have the route.
    Unknown,
    /// The server does not have the route, or it is a standalone gateway without the requested endpoint.
    Unclear,
}

impl Route {
    /// Returns what the error of a request reveals about its route. A gateway that has the route answers 404 with a
    /// JSON object that contains `detail` (standalone) or `error_code` (embedded). The body `{"detail": "Not Found"}`
    /// is unclear, because a standalone gateway also sends it if the route is missing.
    pub(crate) fn of(error: &Error) -> Self {
        let Some(http) = error.http().filter(|http| http.status == 404) else { return Self::Known };
        match serde_json::from_str::<Value>(&http.body) {
            Ok(body) if body["detail"] == "Not Found" => Self::Unclear,
            Ok(body) if !body["detail"].is_null() || !body["error_code"].is_null() => Self::Known,
            _ => Self::Unknown,
        }
    }
}
