//! Azure Blob Storage: reads MLflow's and Azure's environment variables.

use std::sync::Arc;

use mlflow_deploy_http::Environment;
use mlflow_deploy_plugin_api::{Error, Result, Secret};
use object_store::ObjectStore;
use object_store::StaticCredentialProvider;
use object_store::azure::{AzureConfigKey, AzureCredential, MicrosoftAzureBuilder};

use crate::building::{configured, without_retries};
use crate::connection_string::ConnectionString;
use crate::connector::Connector;
use crate::temporary::AzureToken;
use crate::url::Account;

/// The advice of the error for missing credentials.
pub(crate) const NO_CREDENTIALS: &str = "set `AZURE_STORAGE_CONNECTION_STRING`, or `AZURE_STORAGE_ACCESS_KEY`, or `AZURE_STORAGE_SAS_TOKEN`, or \
     `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET`";

/// The variables that the library reads by their names.
const PASSED: [(&str, AzureConfigKey); 5] = [
    ("AZURE_TENANT_ID", AzureConfigKey::AuthorityId),
    ("AZURE_CLIENT_ID", AzureConfigKey::ClientId),
    ("AZURE_CLIENT_SECRET", AzureConfigKey::ClientSecret),
    ("AZURE_FEDERATED_TOKEN_FILE", AzureConfigKey::FederatedTokenFile),
    ("AZURE_AUTHORITY_HOST", AzureConfigKey::AuthorityHost),
];

/// The settings of Azure Blob Storage in an environment.
#[derive(Clone, Debug)]
pub(crate) struct AzureSettings {
    connection: Option<ConnectionString>,
    account: Option<String>,
    key: Option<Secret>,
    sas: Option<Secret>,
    others: Vec<(AzureConfigKey, Secret)>,
}

impl AzureSettings {
    pub(crate) fn read(environment: &Environment<'_>) -> Result<Self> {
        const CONNECTION: &str = "AZURE_STORAGE_CONNECTION_STRING";
        let first = |names: &[&str]| names.iter().find_map(|name| environment.secret(name));
        let connection = environment.secret(CONNECTION).map(|text| ConnectionString::parse(CONNECTION, &text));
        Ok(Self {
            connection: connection.transpose()?,
            account: environment
                .text("AZURE_STORAGE_ACCOUNT_NAME")
                .or_else(|| environment.text("AZURE_STORAGE_ACCOUNT")),
            key: first(&["AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_KEY"]),
            sas: first(&["AZURE_STORAGE_SAS_TOKEN"]),
            others: PASSED.into_iter().filter_map(|(name, key)| Some((key, environment.secret(name)?))).collect(),
        })
    }

    /// Builds a client of a container. `token` is a token for this container, in place of the credentials of the
    /// environment.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if no account is known, or if the credentials are those of another account.
    pub(crate) fn build(
        &self,
        container: &str,
        account: Option<&Account>,
        connector: Connector,
        token: Option<&AzureToken>,
    ) -> Result<Arc<dyn ObjectStore>> {
        let own = self.connection.as_ref().and_then(|connection| connection.account.as_ref()).or(self.account.as_ref());
        let name = account.map(|account| &account.name).or(own).ok_or_else(|| {
            Error::invalid_parameter(
                "the URL of the container names no account: set `AZURE_STORAGE_ACCOUNT_NAME`, or write \
                 `abfss://<container>@<account>.dfs.core.windows.net/<path>`",
            )
        })?;
        let mut builder = MicrosoftAzureBuilder::new()
            .with_container_name(container)
            .with_account(name)
            .with_retry(without_retries())
            .with_http_connector(connector);
        if let Some(account) = account {
            builder = builder.with_endpoint(format!("https://{name}.blob.{}", account.domain));
        }
        if let Some(token) = token {
            let credential = match token {
                AzureToken::Bearer(token) => AzureCredential::BearerToken(token.expose().to_owned()),
                AzureToken::Sas(sas) => sas_token(sas)?,
            };
            builder = builder.with_credentials(Arc::new(StaticCredentialProvider::new(credential)));
            return Ok(Arc::new(configured("Azure Blob Storage", builder.build())?));
        }
        let (key, sas) = match &self.connection {
            Some(connection) => {
                if let Some(endpoint) = connection.endpoint.as_ref().filter(|_| own == Some(name)) {
                    builder = builder.with_endpoint(endpoint.clone());
                }
                (&connection.key, &connection.sas)
            }
            None => (&self.key, &self.sas),
        };
        // A key or a signature is that of one account, and another account must not receive it.
        if let (Some(own), true) = (own, key.is_some() || sas.is_some())
            && own != name
        {
            return Err(Error::invalid_parameter(format!(
                "the credentials in the environment are those of the account `{own}`, but the container is in the account \
                 `{name}`: set the credentials of `{name}`"
            )));
        }
        match (key, sas) {
            (Some(key), _) => builder = builder.with_access_key(key.expose()),
            (None, Some(sas)) => {
                builder = builder.with_credentials(Arc::new(StaticCredentialProvider::new(sas_token(sas)?)));
            }
            (None, None) => {
                for (key, value) in &self.others {
                    builder = builder.with_config(*key, value.expose());
                }
            }
        }
        Ok(Arc::new(configured("Azure Blob Storage", builder.build())?))
    }
}

/// Splits a shared access signature at `&`, then decodes its values. The library's own function decodes first, and so breaks a
/// value with an encoded `&`.
fn sas_token(sas: &Secret) -> Result<AzureCredential> {
    // In a signature, `+` is not a blank.
    let text = sas.expose().trim_start_matches('?').replace('+', "%2B");
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
    if !pairs.iter().any(|(name, _)| name == "sig") {
        let message = "the shared access signature is invalid: expected `sv=…&sig=…`";
        return Err(Error::invalid_parameter(message));
    }
    Ok(AzureCredential::SASToken(pairs))
}
