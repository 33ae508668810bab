//! `azure-cli`: whoever is logged in with `az login`.

use std::path::PathBuf;
use std::time::SystemTime;

use http::HeaderName;
use mlflow_deploy_http::Credentials;
use mlflow_deploy_plugin_api::call::{self, Level};
use mlflow_deploy_plugin_api::{Error, Result, Secret};
use serde::Deserialize;
use serde_json::Value;

use crate::auth::azure::{Cloud, DATABRICKS, MANAGEMENT_TOKEN, headers};
use crate::auth::{Exchange, Given, Token, command, jwt};

/// How many seconds a token is used of which `az` does not say when it ends; all but very old versions do.
const SHORT: u64 = 300;

#[derive(Debug)]
pub(crate) struct AzureCli {
    program: PathBuf,
    cloud: Cloud,
    subscription: Option<String>,
    tenant_id: Option<String>,
    headers: Vec<(HeaderName, Secret)>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "accessToken")]
    access_token: Secret,
    /// Seconds since 1970. The older `expiresOn` is a local time without its zone.
    #[serde(default)]
    expires_on: Value,
}

impl AzureCli {
    pub(super) fn find(given: &Given<'_>) -> Result<Option<Self>> {
        let options = given.options;
        let resource = options.azure_workspace_resource_id.as_deref();
        if !given.host.is_azure() && resource.is_none() {
            return Ok(None);
        }
        let path = given.environment.text("PATH").unwrap_or_default();
        let Some(program) = command::find("az", &path, 0) else { return Ok(None) };
        Ok(Some(Self {
            program,
            cloud: Cloud::of(options)?,
            // `/subscriptions/ID/resourceGroups/…`
            subscription: resource.and_then(|id| id.split('/').nth(2)).map(str::to_owned),
            tenant_id: options.azure_tenant_id.clone(),
            headers: headers(options),
        }))
    }

    pub(super) async fn token(&self, exchange: &Exchange<'_>) -> Result<Token> {
        let answer = match self.ask(exchange, DATABRICKS, self.subscription.as_deref()).await {
            // Whoever is logged in may not see the subscription, and the workspace all the same.
            Err(_) if self.subscription.is_some() => self.ask(exchange, DATABRICKS, None).await?,
            answer => answer?,
        };
        let mut token = Token { headers: self.headers.clone(), ..answer.into_token() };
        let Credentials::Bearer(secret) = &token.credentials else { return Ok(token) };
        // Only a person has one; anybody else may have to prove that he may manage the workspace.
        if !jwt::claims(secret).contains_key("upn") {
            match self.ask(exchange, self.cloud.management, None).await {
                Ok(management) => token.headers.push((MANAGEMENT_TOKEN, management.access_token)),
                Err(error) => call::log(Level::Debug, format!("no token for Azure's management: {error}")),
            }
        }
        Ok(token)
    }

    async fn ask(&self, exchange: &Exchange<'_>, resource: &str, subscription: Option<&str>) -> Result<Answer> {
        let mut arguments = vec!["account", "get-access-token", "--resource", resource, "--output", "json"];
        if let Some(subscription) = subscription {
            arguments.extend(["--subscription", subscription]);
        }
        if let Some(tenant_id) = &self.tenant_id {
            arguments.extend(["--tenant", tenant_id]);
        }
        let arguments = arguments.into_iter().map(str::to_owned).collect();
        let ran = command::run(&self.program, arguments, &exchange.policy).await?;
        let stdout = ran.success("az account get-access-token")?;
        // What it says may be a token, so it is not repeated.
        serde_json::from_slice(&stdout)
            .map_err(|_secret| Error::internal("`az account get-access-token` did not answer with a token in JSON"))
    }
}

impl Answer {
    fn into_token(self) -> Token {
        let seconds = self.expires_on.as_u64().or_else(|| self.expires_on.as_str()?.parse().ok());
        let token = Token::new(Credentials::Bearer(self.access_token));
        match seconds {
            Some(seconds) => token.until(SystemTime::UNIX_EPOCH, seconds),
            None => token.until(SystemTime::now(), SHORT),
        }
    }
}
