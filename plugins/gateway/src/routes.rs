//! The requests of both servers, and how their answers tell which of the two it is.
//!
//! The *standalone* gateway is a server of its own with a YAML file (`mlflow gateway start`). The *embedded* one is
//! part of a tracking server (`mlflow server`), and has other routes.

use http::Method;
use http::header::CONTENT_TYPE;
use mlflow_deploy_http::{Request, content_type, encode_segment, join, request};
use mlflow_deploy_plugin_api::{Error, Payload, Result};
use serde_json::Value;
use url::Url;

use crate::config::Config;

/// Which of the two servers answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Embedded,
    Standalone,
}

impl Dialect {
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

    pub(crate) fn predict(self, config: &Config, name: &str, inputs: &Payload) -> Result<Request> {
        let segment = encode_segment(name)?;
        let path = match self {
            Self::Standalone => format!("/endpoints/{segment}/invocations"),
            Self::Embedded => format!("/gateway/{segment}/mlflow/invocations"),
        };
        let mut headers = config.headers.clone();
        headers.insert(CONTENT_TYPE, content_type(inputs.content_type())?);
        request(Method::POST, &join(&config.base, &path), headers, inputs.bytes().to_vec())
    }
}

/// One page of the standalone gateway's list. The slash at the end saves a redirect, which behind a proxy would lead
/// elsewhere.
pub(crate) fn page(config: &Config, token: Option<&str>) -> Result<Request> {
    let mut url = join(&config.base, "/api/2.0/endpoints/");
    if let Some(token) = token {
        url.query_pairs_mut().append_pair("page_token", token);
    }
    get(config, &url)
}

/// The embedded gateway's list.
pub(crate) fn embedded_list(config: &Config) -> Result<Request> {
    get(config, &join(&config.base, "/api/3.0/mlflow/gateway/endpoints/list"))
}

/// The embedded gateway's models, which more users may see than its list.
pub(crate) fn models(config: &Config) -> Result<Request> {
    get(config, &join(&config.base, "/gateway/mlflow/v1/models"))
}

fn get(config: &Config, url: &Url) -> Result<Request> {
    request(Method::GET, url, config.headers.clone(), "")
}

/// What a failure says of the route that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// The server has the route, and fails for another reason.
    Known,
    /// The server has no such route.
    Unknown,
    /// The server has no such route, or is a standalone gateway, which has routes for known endpoints alone.
    Unclear,
}

impl Route {
    /// Both servers explain a 404 of their own in JSON: the standalone one as a `detail`, the embedded one as that or
    /// as an `error_code`. `{"detail": "Not Found"}` is how the standalone one's web framework says that it has no
    /// such route.
    pub(crate) fn of(error: &Error) -> Self {
        let Some(http) = error.http().filter(|http| http.status == 404) else { return Self::Known };
        match serde_json::from_str::<Value>(&http.body) {
            Ok(body) if body["detail"] == "Not Found" => Self::Unclear,
            Ok(body) if !body["detail"].is_null() || !body["error_code"].is_null() => Self::Known,
            _ => Self::Unknown,
        }
    }
}
