//! Tokens of a machine in Google's cloud, which its metadata service tells.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::Method;
use mlflow_deploy_plugin_api::{Error, Secret};
use object_store::client::{CredentialProvider, HttpRequestBody, HttpService};
use object_store::gcp::GcpCredential;
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::connector::Connector;

/// The time before its end at which a token is replaced.
const MARGIN: Duration = Duration::from_secs(60);

/// A provider of tokens of the machine's service account.
pub(crate) struct MetadataToken {
    connector: Connector,
    url: String,
    last: Mutex<Option<(Arc<GcpCredential>, Instant)>>,
}

impl MetadataToken {
    /// Creates a provider. `host` is the host of the metadata service, if the user has set it.
    pub(crate) fn new(connector: Connector, host: Option<&str>) -> Self {
        let host = host.unwrap_or("metadata.google.internal");
        let url = format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/token");
        Self { connector, url, last: Mutex::default() }
    }

    async fn request(&self) -> Result<(GcpCredential, Duration), Error> {
        #[derive(Deserialize)]
        struct Answer {
            access_token: Secret,
            expires_in: u64,
        }
        let request = http::Request::builder().method(Method::GET).uri(&self.url).header("Metadata-Flavor", "Google");
        let request = request.body(HttpRequestBody::empty());
        let request = request.map_err(|error| Error::invalid_parameter(format!("`GCE_METADATA_HOST`: {error}")))?;
        let failed = |error: &dyn std::error::Error| Error::internal("failed to read a token").with_cause(error);
        let body = match self.connector.call(request).await {
            Ok(answer) => answer.into_body().bytes().await.map_err(|error| failed(&error))?,
            Err(error) => {
                let own = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<Error>());
                return Err(own.cloned().unwrap_or_else(|| failed(&error)));
            }
        };
        let Ok(answer) = serde_json::from_slice::<Answer>(&body) else {
            return Err(Error::internal(format!("`{}` did not answer with a token", self.url)));
        };
        let credential = GcpCredential { bearer: answer.access_token.expose().to_owned() };
        Ok((credential, Duration::from_secs(answer.expires_in)))
    }
}

#[async_trait]
impl CredentialProvider for MetadataToken {
    type Credential = GcpCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<GcpCredential>> {
        let mut last = self.last.lock().await;
        if let Some((credential, until)) = &*last
            && *until > Instant::now()
        {
            return Ok(Arc::clone(credential));
        }
        let asked = Instant::now();
        let requested = self.request().await;
        let (credential, lifetime) =
            requested.map_err(|error| object_store::Error::Generic { store: "GCS", source: Box::new(error) })?;
        let credential = Arc::new(credential);
        *last = Some((Arc::clone(&credential), asked + lifetime.saturating_sub(MARGIN)));
        Ok(credential)
    }
}

/// Omits the token.
impl std::fmt::Debug for MetadataToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("MetadataToken").field("url", &self.url).finish_non_exhaustive()
    }
}
