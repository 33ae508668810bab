//! Assumes a role: the STS request `AssumeRole`, signed with the access key of another source.

use std::fmt;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use mlflow_deploy_http::{Client, Policy, request, send};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, Secret};
use serde::Deserialize;
use url::form_urlencoded::Serializer;

use crate::{AccessKey, ServiceEndpoints, sign};

/// A role that is assumed with the access key of another source.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Role {
    /// The ARN of the role.
    pub arn: String,
    /// The name of the session in AWS's logs.
    pub session_name: String,
    /// The id that the owner of the role requires.
    pub external_id: Option<String>,
    /// The validity of the access key, in seconds; `None` for an hour.
    pub duration_seconds: Option<u32>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "AssumeRoleResult")]
    result: Assumed,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Assumed {
    credentials: TemporaryKey,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TemporaryKey {
    access_key_id: String,
    secret_access_key: Secret,
    session_token: Secret,
    expiration: String,
}

impl Role {
    /// Returns a role without an external id.
    pub fn new(arn: impl Into<String>, session_name: impl Into<String>) -> Self {
        Self { arn: arn.into(), session_name: session_name.into(), external_id: None, duration_seconds: None }
    }

    /// Assumes the role. `key` is the access key with which the request is signed.
    pub(crate) async fn assume(
        &self,
        key: &AccessKey,
        region: &str,
        endpoints: &ServiceEndpoints,
        (http, policy): (&Client, &Policy),
    ) -> Result<AccessKey> {
        let form = self.form();
        let form_type = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, form_type)]);
        let mut request = request(Method::POST, &endpoints.url("STS", "sts", region)?, headers, form)?;
        sign(&mut request, "sts", region, key).await?;
        let response = send(http, &request, policy).await.map_err(|error| self.failed(&error))?;
        let text = String::from_utf8_lossy(response.payload.bytes());
        // The error of the parser is not shown: it may quote a secret.
        let answer: Answer =
            quick_xml::de::from_str(&text).map_err(|_quotes| self.unexpected(&"not the XML of a key"))?;
        let key = answer.result.credentials;
        let ends = key.expiration.parse::<reqsign::time::Timestamp>().map_err(|error| self.unexpected(&error))?;
        Ok(AccessKey {
            id: key.access_key_id,
            secret: key.secret_access_key,
            session_token: Some(key.session_token),
            expires: Some(ends.as_system_time()),
        })
    }

    /// Returns the body of the request.
    fn form(&self) -> String {
        let mut form = Serializer::new(String::new());
        form.append_pair("Action", "AssumeRole").append_pair("Version", "2011-06-15");
        form.append_pair("RoleArn", &self.arn).append_pair("RoleSessionName", &self.session_name);
        if let Some(id) = &self.external_id {
            form.append_pair("ExternalId", id);
        }
        if let Some(seconds) = self.duration_seconds {
            form.append_pair("DurationSeconds", &seconds.to_string());
        }
        form.finish()
    }

    fn failed(&self, error: &Error) -> Error {
        let reason = error.http().and_then(|http| reason(&http.body)).unwrap_or_else(|| error.message().to_owned());
        let code = match error.http_status() {
            Some(401 | 403) => ErrorCode::PERMISSION_DENIED,
            _ => error.code().clone(),
        };
        let failed = Error::new(code, format!("failed to assume the role `{}`: {reason}", self.arn)).with_cause(error);
        let failed = if error.is_retryable() { failed.retryable() } else { failed };
        match error.http() {
            Some(http) => failed.with_http(http.clone()),
            None => failed,
        }
    }

    fn unexpected(&self, reason: &dyn fmt::Display) -> Error {
        Error::internal(format!("failed to assume the role `{}`: the answer of STS is {reason}", self.arn))
    }
}

/// Returns the code and the message of an error in XML.
fn reason(body: &str) -> Option<String> {
    let part = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>"))?;
        let (text, _) = rest.split_once(&format!("</{name}>"))?;
        quick_xml::escape::unescape(text).ok().map(|text| text.trim().to_owned())
    };
    match (part("Code"), part("Message")) {
        (Some(code), Some(message)) => Some(format!("{code}: {message}")),
        (code, message) => message.or(code),
    }
}
