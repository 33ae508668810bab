//! Access keys for S3 from every source that boto3 has: the environment, profiles, single sign-on, roles, and metadata
//! services.

use std::sync::Arc;

use async_trait::async_trait;
use mlflow_deploy_aws::CredentialProvider;
use object_store::aws::AwsCredential;

/// A provider of access keys for the library.
#[derive(Debug)]
pub(crate) struct AwsKeys(pub(crate) CredentialProvider);

#[async_trait]
impl object_store::CredentialProvider for AwsKeys {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let key = self.0.access_key().await;
        let key = key.map_err(|error| object_store::Error::Generic { store: "S3", source: Box::new(error) })?;
        Ok(Arc::new(AwsCredential {
            key_id: key.id,
            secret_key: key.secret.expose().to_owned(),
            token: key.session_token.map(|token| token.expose().to_owned()),
        }))
    }
}
