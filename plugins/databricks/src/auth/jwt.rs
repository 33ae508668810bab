//! What a token says of itself. Nothing is verified: whoever made it is not in question here.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use mlflow_deploy_plugin_api::Secret;
use serde_json::{Map, Value};

/// The claims of a token; none where it is no JWT.
pub(super) fn claims(token: &Secret) -> Map<String, Value> {
    let decode = || {
        let payload = token.expose().split('.').nth(1)?;
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?).ok()
    };
    decode().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_in_the_middle() {
        let token = format!("h.{}.s", BASE64_URL_SAFE_NO_PAD.encode(r#"{"upn":"me@x"}"#));
        assert_eq!(claims(&Secret::new(token))["upn"], "me@x");
        for other in ["", "a.b", "a.!.c", "dapi123"] {
            assert!(claims(&Secret::new(other)).is_empty());
        }
    }
}
