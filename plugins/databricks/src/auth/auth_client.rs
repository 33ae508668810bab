//! The HTTP client for token requests.

use std::time::Duration;

use http::{HeaderMap, Method};
use mlflow_deploy_http::{Client, Policy, Request, redact_url, request, send};
use mlflow_deploy_plugin_api::Result;
use serde::de::DeserializeOwned;
use url::Url;

/// The maximum time to wait for the next byte from a token server.
const MAX_SILENCE: Duration = Duration::from_secs(30);

/// Sends token requests. The time that they take counts towards the time limit of the request that needs the token.
#[derive(Debug)]
pub(crate) struct AuthClient<'a> {
    pub(crate) http: &'a Client,
    pub(crate) policy: Policy,
}

impl<'a> AuthClient<'a> {
    /// Creates a client that also retries POST requests. Unlike a prediction, a token may be requested twice.
    pub(crate) fn new(http: &'a Client, policy: &Policy) -> Self {
        let silence = policy.silence.min(MAX_SILENCE);
        Self { http, policy: Policy { silence, repeat_post: true, ..policy.clone() } }
    }

    /// Returns a client with the same connections but another policy for timeouts and retries.
    pub(crate) fn with_policy(&self, policy: Policy) -> Self {
        Self { http: self.http, policy }
    }

    /// Sends a GET request and parses the JSON of the response; see [`json`](Self::json) for the details.
    pub(crate) async fn get<T: DeserializeOwned>(&self, url: &Url, headers: HeaderMap, expected: &str) -> Result<T> {
        self.json(&request(Method::GET, url, headers, "")?, expected).await
    }

    /// Sends a request and parses the JSON of the response. `expected` names the document in errors, such as `a token`.
    ///
    /// # Errors
    /// Fails with the error of the request, or with `INTERNAL_ERROR` if the document cannot be parsed. Errors do not
    /// quote the response, which may contain a token.
    pub(crate) async fn json<T: DeserializeOwned>(&self, request: &Request, expected: &str) -> Result<T> {
        // A POST is not redirected, because only the chosen endpoint may receive the secrets in its form.
        let follow_redirects = self.policy.follow_redirects && *request.method() == Method::GET;
        let policy = Policy { follow_redirects, ..self.policy.clone() };
        let response = send(self.http, request, &policy).await?;
        response.parse(&format!("{expected} at `{}`", redact_url(request.url())))
    }
}
