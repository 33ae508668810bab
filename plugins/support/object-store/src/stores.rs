//! The object stores that an environment has credentials for.

use std::path::PathBuf;
use std::sync::Arc;

use mlflow_deploy_http::{Client, Environment, Policy};
use mlflow_deploy_plugin_api::{Error, Result};

use crate::azure::{self, AzureSettings};
use crate::connector::Connector;
use crate::gcs::{self, GcsSettings};
use crate::s3::{self, S3Settings};
use crate::store::Store;
use crate::temporary::TemporaryCredentials;
use crate::url::{Place, StoreUrl};

/// The settings of all object stores, which are read once. No request is sent before a store is used.
#[derive(Clone, Debug)]
pub struct Stores {
    azure: Result<AzureSettings>,
    gcs: Result<GcsSettings>,
    s3: Result<S3Settings>,
    /// The client for S3, whose trust in certificates has variables of its own.
    s3_client: Result<Arc<Client>>,
    client: Result<Arc<Client>>,
}

impl Stores {
    /// Reads the settings in an environment. An invalid setting is an error of the store that it belongs to, on its first
    /// use.
    pub fn new(environment: &Environment<'_>) -> Self {
        const IGNORE_TLS: &str = "MLFLOW_S3_IGNORE_TLS";
        let s3_client = || {
            let insecure = environment.flag(IGNORE_TLS, false)?;
            let ca_bundle = environment.text("AWS_CA_BUNDLE").map(PathBuf::from);
            let connection = environment.connection(insecure, ca_bundle, [IGNORE_TLS, "AWS_CA_BUNDLE"])?;
            Ok(Arc::new(Client::new(connection)))
        };
        let client =
            environment.connection(false, None, [IGNORE_TLS, ""]).map(|settings| Arc::new(Client::new(settings)));
        Self {
            azure: AzureSettings::read(environment),
            gcs: GcsSettings::read(environment),
            s3: client.clone().and_then(|client| S3Settings::read(environment, &client)),
            s3_client: s3_client(),
            client,
        }
    }

    /// Opens the store of a URL. Sends no request.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if a setting of the store is invalid or missing.
    pub fn open(&self, url: &StoreUrl, policy: &Policy) -> Result<Store> {
        self.build(url, policy, None)
    }

    /// Opens the store of a URL with credentials for its folder, in place of those of the environment.
    ///
    /// # Errors
    /// Fails as [`open`](Self::open) does, or if the credentials are those of another kind of store.
    pub fn open_with(&self, url: &StoreUrl, policy: &Policy, credentials: &TemporaryCredentials) -> Result<Store> {
        self.build(url, policy, Some(credentials))
    }

    fn build(&self, url: &StoreUrl, policy: &Policy, credentials: Option<&TemporaryCredentials>) -> Result<Store> {
        let connector = |client: &Result<Arc<Client>>, advice| {
            Ok::<_, Error>(Connector::new(Arc::clone(client.as_ref().map_err(Clone::clone)?), policy, advice))
        };
        let inner = match (&url.place, credentials) {
            (Place::S3 { bucket }, None) => {
                let settings = self.s3.clone()?;
                let connector = connector(&self.s3_client, s3::NO_CREDENTIALS)?;
                return Store::of_s3(url.clone(), settings, bucket, connector);
            }
            (Place::S3 { bucket }, Some(TemporaryCredentials::Aws { key_id, secret, token, region })) => {
                let own = s3::static_credentials(key_id.clone(), secret, Some(token));
                let mut settings = self.s3.clone()?;
                settings.credentials = Some(own);
                if let Some(region) = region {
                    settings = settings.with_region(region);
                }
                let connector = connector(&self.s3_client, s3::NO_CREDENTIALS)?;
                return Store::of_s3(url.clone(), settings, bucket, connector);
            }
            (Place::Gcs { bucket }, None | Some(TemporaryCredentials::Gcs(_))) => {
                let token = credentials.and_then(|credentials| match credentials {
                    TemporaryCredentials::Gcs(token) => Some(token),
                    _ => None,
                });
                let settings = self.gcs.as_ref().map_err(Clone::clone)?;
                settings.build(bucket, connector(&self.client, gcs::NO_CREDENTIALS)?, token)?
            }
            (Place::Azure { container, account }, None | Some(TemporaryCredentials::Azure(_))) => {
                let token = credentials.and_then(|credentials| match credentials {
                    TemporaryCredentials::Azure(token) => Some(token),
                    _ => None,
                });
                let settings = self.azure.as_ref().map_err(Clone::clone)?;
                let connector = connector(&self.client, azure::NO_CREDENTIALS)?;
                settings.build(container, account.as_ref(), connector, token)?
            }
            (_, Some(_)) => {
                return Err(Error::internal(format!("the credentials for `{url}` are those of another kind of store")));
            }
        };
        Ok(Store::of(url.clone(), inner))
    }
}
