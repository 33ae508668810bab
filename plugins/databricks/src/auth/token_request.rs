//! What a kind of credentials asks with, when it needs a token.

use std::time::Duration;

use http::{HeaderMap, Method};
use mlflow_deploy_http::{Client, Policy, Request, redact_url, request, send};
use mlflow_deploy_plugin_api::{Error, Result};
use serde::de::DeserializeOwned;
use url::Url;

use crate::auth::Site;

/// How long a server that gives tokens may stay silent.
const SILENCE: Duration = Duration::from_secs(30);

/// The connections and the patience of the request that needs a token.
#[derive(Debug)]
pub(crate) struct Exchange<'a> {
    pub(crate) http: &'a Client,
    pub(crate) policy: Policy,
    pub(crate) site: &'a Site,
}

impl<'a> Exchange<'a> {
    /// To ask for the same token twice does no harm, unlike to predict twice.
    pub(crate) fn new(http: &'a Client, policy: &Policy, site: &'a Site) -> Self {
        let silence = policy.silence.min(SILENCE);
        Self { http, policy: Policy { silence, repeat_post: true, ..policy.clone() }, site }
    }

    /// Gets a JSON document.
    pub(crate) async fn get<T: DeserializeOwned>(&self, url: &Url, headers: HeaderMap) -> Result<T> {
        self.json(&request(Method::GET, url, headers, "")?).await
    }

    /// Sends a request that is answered with JSON. What is wrong with that is said without its text: it may hold a token.
    pub(crate) async fn json<T: DeserializeOwned>(&self, request: &Request) -> Result<T> {
        let answer = send(self.http, request, &self.policy).await?;
        serde_json::from_slice(answer.payload.bytes()).map_err(|error| {
            let place = format!("line {} column {}", error.line(), error.column());
            let what = if error.is_data() { "lacks something, or has it in another form" } else { "is not JSON" };
            let url = Url::parse(&request.uri().to_string()).map_or_else(|_none| String::new(), |url| redact_url(&url));
            Error::internal(format!("the answer of `{url}` {what}, at {place}"))
        })
    }
}
