//! Who may enter: a personal access token that is always good, and OAuth tokens for a service principal.

use std::collections::HashSet;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use crate::answer::Answer;
use crate::databricks::api::refusal;
use crate::server::Request;

/// The personal access token.
pub const TOKEN: &str = "dapi-a-token-for-tests";

/// The id of the service principal.
pub const CLIENT_ID: &str = "a-client-for-tests";

/// The secret of the service principal.
pub const CLIENT_SECRET: &str = "dose-a-secret-for-tests";

/// The id of the workspace.
pub const WORKSPACE_ID: &str = "1234567890";

/// The tokens that are good.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    good: HashSet<String>,
    given: usize,
}

impl Tokens {
    pub(super) fn given(&self) -> usize {
        self.given
    }

    pub(super) fn end(&mut self) {
        self.good.clear();
    }

    /// Whether a request may enter.
    pub(super) fn allow(&self, request: &Request) -> bool {
        let bearer = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        bearer.is_some_and(|token| token == TOKEN || self.good.contains(token))
    }

    /// Gives a token for the secret of the service principal, or for an id token.
    pub(super) fn give(&mut self, request: &Request) -> Answer {
        let form = request.text();
        let has = |field: &str| form.split('&').any(|each| each == field);
        let client = BASE64_STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"));
        let is_principal = has("grant_type=client_credentials")
            && request.header("authorization") == Some(format!("Basic {client}").as_str());
        let is_federated = has("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange")
            && has("subject_token=an-id-token-for-tests")
            && has(&format!("client_id={CLIENT_ID}"));
        if !(is_principal || is_federated) || !has("scope=all-apis") {
            let said = json!({"error": "invalid_client", "error_description": format!("who is this? {form}")});
            return Answer::new(401, said.to_string());
        }
        self.given += 1;
        let token = format!("eyJ-an-oauth-token-for-tests-{}", self.given);
        self.good.insert(token.clone());
        let given = json!({"access_token": token, "token_type": "Bearer", "expires_in": 3600, "scope": "all-apis"});
        Answer::new(200, given.to_string())
    }
}

/// What the host says of itself, and where tokens come from.
pub(super) fn discovery(request: &Request) -> Answer {
    let base = format!("http://{}", request.header("host").unwrap_or_default());
    match request.path.as_str() {
        "/.well-known/databricks-config" => Answer::new(
            200,
            json!({"oidc_endpoint": format!("{base}/oidc"), "workspace_id": WORKSPACE_ID, "cloud": "AWS"}).to_string(),
        ),
        "/oidc/.well-known/oauth-authorization-server" => Answer::new(
            200,
            json!({
                "issuer": format!("{base}/oidc"),
                "authorization_endpoint": format!("{base}/oidc/v1/authorize"),
                "token_endpoint": format!("{base}/oidc/v1/token"),
            })
            .to_string(),
        ),
        _ => refusal(404, "ENDPOINT_NOT_FOUND", "No API found").into(),
    }
}
