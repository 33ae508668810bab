//! `metadata-service`: a service on this machine that knows a token, as IDEs start one. Its URL is a secret itself.

use std::time::SystemTime;

use http::{HeaderMap, HeaderValue, Method};
use mlflow_deploy_http::{Credentials, Policy, header_value, hide, request};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, Secret};
use serde::Deserialize;
use url::Url;

use crate::auth::{Exchange, Given, Token};

#[derive(Debug)]
pub(crate) struct MetadataService {
    url: Secret,
}

#[derive(Deserialize)]
struct Answer {
    access_token: Secret,
    expires_on: u64,
}

impl MetadataService {
    pub(super) fn find(given: &Given<'_>) -> Result<Option<Self>> {
        let url = given.options.metadata_service_url.clone();
        Ok(url.map(|url| Self { url }))
    }

    pub(super) async fn token(&self, exchange: &Exchange<'_>) -> Result<Token> {
        let url = Url::parse(self.url.expose())
            .map_err(|error| Error::invalid_parameter(format!("`metadata_service_url` is not a URL: {error}")))?;
        let mut headers = HeaderMap::new();
        headers.insert("x-databricks-metadata-version", HeaderValue::from_static("1"));
        let host = exchange.site.host.url.as_str().trim_end_matches('/');
        headers.insert("x-databricks-host", header_value("host", host)?);
        let mut request = request(Method::GET, &url, headers, "")?;
        hide(&mut request, [self.url.clone()]);
        // A retry would be said with its URL. The service is on this machine, and there is little to wait for.
        let policy = Policy { max_retries: 0, ..exchange.policy.clone() };
        let once = Exchange { policy, ..*exchange };
        let answer: Answer = once.json(&request).await.map_err(|error| without_url(&error))?;
        let token = Token::new(Credentials::Bearer(answer.access_token));
        Ok(token.until(SystemTime::UNIX_EPOCH, answer.expires_on))
    }
}

/// What the service answered, without its URL: whoever knows that can ask for tokens.
fn without_url(error: &Error) -> Error {
    if *error.code() == ErrorCode::INVALID_PARAMETER_VALUE {
        return error.clone();
    }
    let status = error.http_status().map_or_else(String::new, |status| format!(", it answered with status {status}"));
    let message = format!("the service at `metadata_service_url` gave no token{status}; is it still running?");
    Error::new(error.code().clone(), message)
}
