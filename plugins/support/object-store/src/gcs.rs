//! Google Cloud Storage: reads Google's environment variables.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mlflow_deploy_http::Environment;
use mlflow_deploy_plugin_api::{Result, Secret};
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder};
use object_store::{ObjectStore, StaticCredentialProvider};

use crate::building::{configured, without_retries};
use crate::connector::Connector;
use crate::google_metadata::MetadataToken;

/// The advice of the error for missing credentials.
pub(crate) const NO_CREDENTIALS: &str = "set `GOOGLE_APPLICATION_CREDENTIALS` to the file of a service account, or run \
                                         `gcloud auth application-default login`";

/// The settings of Google Cloud Storage in an environment.
#[derive(Clone, Debug)]
pub(crate) struct GcsSettings {
    /// The URL of an emulator, which needs no credentials.
    emulator: Option<String>,
    /// The file with the credentials of a service account or of a user.
    file: Option<PathBuf>,
    metadata_host: Option<String>,
}

impl GcsSettings {
    pub(crate) fn read(environment: &Environment<'_>) -> Result<Self> {
        let emulator = match environment.text("STORAGE_EMULATOR_HOST") {
            None => None,
            Some(text) => {
                let with_scheme = if text.contains("://") { text } else { format!("http://{text}") };
                let url =
                    mlflow_deploy_http::parse_url("`STORAGE_EMULATOR_HOST`", &with_scheme, "http://localhost:9023")?;
                Some(url.as_str().trim_end_matches('/').to_owned())
            }
        };
        let file = environment.text("GOOGLE_APPLICATION_CREDENTIALS").map(PathBuf::from).or_else(|| {
            let folder = environment.text("CLOUDSDK_CONFIG").map(PathBuf::from);
            let folder = folder.or_else(|| Some(Path::new(&environment.text("HOME")?).join(".config/gcloud")))?;
            Some(folder.join("application_default_credentials.json")).filter(|file| file.is_file())
        });
        Ok(Self { emulator, file, metadata_host: environment.text("GCE_METADATA_HOST") })
    }

    /// Builds a client of a bucket. `token` is a token for this bucket, in place of the credentials of the environment.
    pub(crate) fn build(
        &self,
        bucket: &str,
        connector: Connector,
        token: Option<&Secret>,
    ) -> Result<Arc<dyn ObjectStore>> {
        let mut builder = GoogleCloudStorageBuilder::new().with_bucket_name(bucket).with_retry(without_retries());
        if let Some(emulator) = &self.emulator {
            builder = builder.with_base_url(emulator);
        }
        // Without credentials, the library would read the environment of the process.
        builder = match (token, &self.emulator, &self.file) {
            (Some(token), ..) => builder.with_bearer_token(token.expose()),
            (None, Some(_), _) => {
                let anonymous = StaticCredentialProvider::new(GcpCredential { bearer: String::new() });
                builder.with_credentials(Arc::new(anonymous)).with_skip_signature(true)
            }
            (None, None, Some(file)) => builder.with_application_credentials(file.display().to_string()),
            (None, None, None) => {
                let metadata = MetadataToken::new(connector.clone(), self.metadata_host.as_deref());
                builder.with_credentials(Arc::new(metadata))
            }
        };
        Ok(Arc::new(configured("Google Cloud Storage", builder.with_http_connector(connector).build())?))
    }
}
