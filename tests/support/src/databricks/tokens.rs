//! Authentication in the fake Databricks workspace: a personal access token that never expires, and OAuth tokens for a
//! service principal.

use std::collections::HashSet;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use crate::answer::Answer;
use crate::databricks::api_error::ApiError;
use crate::server::Request;

/// The personal access token of the workspace, which never expires.
pub const TOKEN: &str = "dapi-a-token-for-tests";

/// The client id of the workspace's service principal.
pub const CLIENT_ID: &str = "a-client-for-tests";

/// The client secret of the workspace's service principal.
pub const CLIENT_SECRET: &str = "dose-a-secret-for-tests";

/// The id of the fake Databricks workspace.
pub const WORKSPACE_ID: &str = "1234567890";

/// The OAuth tokens that are valid, and the number of issued tokens.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    valid: HashSet<String>,
    issued: usize,
}

impl Tokens {
    pub(super) fn issued(&self) -> usize {
        self.issued
    }

    pub(super) fn expire_all(&mut self) {
        self.valid.clear();
    }

    /// Returns true if a request contains the personal access token or a valid OAuth token.
    pub(super) fn allows(&self, request: &Request) -> bool {
        let bearer = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        bearer.is_some_and(|token| token == TOKEN || self.valid.contains(token))
    }

    /// Replies with a new OAuth token if the request contains the secret of the service principal or the id token of
    /// the tests. Replies with an error otherwise.
    pub(super) fn issue(&mut self, request: &Request) -> Answer {
        let form = request.text();
        let has = |field: &str| form.split('&').any(|each| each == field);
        let client = BASE64_STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"));
        let is_principal = has("grant_type=client_credentials")
            && request.header("authorization") == Some(format!("Basic {client}").as_str());
        let is_federated = has("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange")
            && has("subject_token=an-id-token-for-tests")
            && has(&format!("client_id={CLIENT_ID}"));
        if !(is_principal || is_federated) || !has("scope=all-apis") {
            let error = json!({"error": "invalid_client", "error_description": format!("unknown client: {form}")});
            return Answer::new(401, error.to_string());
        }
        self.issued += 1;
        let token = format!("eyJ-an-oauth-token-for-tests-{}", self.issued);
        self.valid.insert(token.clone());
        let reply = json!({"access_token": token, "token_type": "Bearer", "expires_in": 3600, "scope": "all-apis"});
        Answer::new(200, reply.to_string())
    }
}

/// Replies to a request for a discovery document, either of the workspace or of its OAuth server.
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
        _ => ApiError::new(404, "ENDPOINT_NOT_FOUND", "No API found").into(),
    }
}
