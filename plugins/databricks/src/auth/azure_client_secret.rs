//! `azure-client-secret`: a service principal with a secret of Microsoft Entra's.

use http::HeaderName;
use mlflow_deploy_http::Credentials;
use mlflow_deploy_plugin_api::{Error, Result, Secret};
use url::Url;

use crate::auth::azure::{Cloud, DATABRICKS, MANAGEMENT_TOKEN, headers};
use crate::auth::grant::{self, Form};
use crate::auth::{Exchange, Given, Token};

#[derive(Debug)]
pub(crate) struct AzureClientSecret {
    cloud: Cloud,
    tenant_id: String,
    client_id: String,
    client_secret: Secret,
    headers: Vec<(HeaderName, Secret)>,
}

impl AzureClientSecret {
    pub(super) fn find(given: &Given<'_>) -> Result<Option<Self>> {
        let options = given.options;
        let client = options.azure_client_id.clone().zip(options.azure_client_secret.clone());
        let Some((client_id, client_secret)) = client else { return Ok(None) };
        let Some(tenant_id) = options.azure_tenant_id.clone() else {
            return Err(Error::invalid_parameter(
                "the service principal's tenant is not known: give it as `azure_tenant_id` or `ARM_TENANT_ID`",
            ));
        };
        let cloud = Cloud::of(options)?;
        Ok(Some(Self { cloud, tenant_id, client_id, client_secret, headers: headers(options) }))
    }

    /// Two tokens: one for Databricks, and one that proves that the principal may manage the workspace.
    pub(super) async fn token(&self, exchange: &Exchange<'_>) -> Result<Token> {
        let management = self.ask(exchange, self.cloud.management).await?;
        let mut token = self.ask(exchange, DATABRICKS).await?;
        token.headers.clone_from(&self.headers);
        if let Credentials::Bearer(secret) = management.credentials {
            token.headers.push((MANAGEMENT_TOKEN, secret));
        }
        token.expires = token.expires.into_iter().chain(management.expires).min();
        Ok(token)
    }

    async fn ask(&self, exchange: &Exchange<'_>, resource: &str) -> Result<Token> {
        let url = format!("{}{}/oauth2/token", self.cloud.login, self.tenant_id);
        let url = Url::parse(&url)
            .map_err(|error| Error::invalid_parameter(format!("the tenant's URL `{url}` is not one: {error}")))?;
        let form = Form {
            fields: vec![
                ("grant_type", "client_credentials".to_owned()),
                ("client_id", self.client_id.clone()),
                ("resource", resource.to_owned()),
            ],
            secrets: vec![("client_secret", self.client_secret.clone())],
            client: None,
        };
        grant::ask(exchange, &url, form).await
    }

    #[cfg(test)]
    pub(super) fn log_in_at(&mut self, login: &str) {
        login.clone_into(&mut self.cloud.login);
    }
}
