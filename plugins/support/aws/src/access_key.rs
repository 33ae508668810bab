//! An access key, with which requests are signed.

use std::time::{Duration, SystemTime};

use mlflow_deploy_plugin_api::Secret;
use reqsign::aws::Credential;

/// The time before the end of its validity at which an access key is replaced.
const RENEW_BEFORE_END: Duration = Duration::from_secs(120);

/// An access key of AWS, with which requests are signed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccessKey {
    /// The id of the key, which is not a secret.
    pub id: String,
    /// The secret key.
    pub secret: Secret,
    /// The token of a temporary key.
    pub session_token: Option<Secret>,
    /// The time at which a temporary key ends.
    pub expires: Option<SystemTime>,
}

impl AccessKey {
    /// Returns a key that does not expire.
    pub fn new(id: impl Into<String>, secret: Secret, session_token: Option<Secret>) -> Self {
        Self { id: id.into(), secret, session_token, expires: None }
    }

    /// Returns the parts of the key that must not be printed.
    pub fn secrets(&self) -> impl Iterator<Item = Secret> {
        [Some(self.secret.clone()), self.session_token.clone()].into_iter().flatten()
    }

    /// Returns true if the key is valid for two more minutes.
    pub(crate) fn is_fresh(&self, now: SystemTime) -> bool {
        self.expires.is_none_or(|expires| expires > now + RENEW_BEFORE_END)
    }

    /// Returns the key as reqsign's type, without its end.
    pub(crate) fn credential(&self) -> Credential {
        Credential {
            access_key_id: self.id.clone(),
            secret_access_key: self.secret.expose().to_owned(),
            session_token: self.session_token.as_ref().map(|token| token.expose().to_owned()),
            expires_in: None,
        }
    }
}

impl From<Credential> for AccessKey {
    fn from(credential: Credential) -> Self {
        Self {
            id: credential.access_key_id,
            secret: Secret::new(credential.secret_access_key),
            session_token: credential.session_token.filter(|token| !token.is_empty()).map(Secret::new),
            expires: credential.expires_in.map(reqsign::time::Timestamp::as_system_time),
        }
    }
}
