//! Credentials that a catalog of models issues for one folder and a short time.

use mlflow_deploy_plugin_api::Secret;

/// Credentials for one folder, which a catalog of models issues for a short time.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TemporaryCredentials {
    /// An access key for Amazon S3. `region` is the region of the bucket, if the catalog reports it.
    Aws {
        /// The id of the key.
        key_id: String,
        /// The secret of the key.
        secret: Secret,
        /// The session's token.
        token: Secret,
        /// The region of the bucket.
        region: Option<String>,
    },
    /// A token for Azure Blob Storage.
    Azure(AzureToken),
    /// A token for Google Cloud Storage.
    Gcs(Secret),
}

/// A token for Azure Blob Storage.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AzureToken {
    /// A token for Bearer authentication.
    Bearer(Secret),
    /// A shared access signature, such as `sv=…&sig=…`.
    Sas(Secret),
}
