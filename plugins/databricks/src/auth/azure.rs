//! The Azure credential providers: `azure-client-secret`, a Microsoft Entra service principal with a client secret, and
//! `azure-cli`, the login of the Azure CLI `az`.

use std::path::PathBuf;
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::HeaderName;
use mlflow_deploy_http::Credentials;
use mlflow_deploy_plugin_api::call::{self, Level};
use mlflow_deploy_plugin_api::{Error, Result, Secret, program};
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use crate::auth::oauth::{TokenForm, request_token};
use crate::auth::{AuthClient, OidcDiscovery, ProviderContext, Token, command};
use crate::options::Options;

/// The id of the Databricks application in Microsoft Entra.
const DATABRICKS: &str = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d";

/// The request header with the Azure resource id of the workspace.
const RESOURCE_ID: HeaderName = HeaderName::from_static("x-databricks-azure-workspace-resource-id");

/// The request header with the token that proves that a service principal may manage the workspace.
const MANAGEMENT_TOKEN: HeaderName = HeaderName::from_static("x-databricks-azure-sp-management-token");

/// The assumed lifetime of a token for which `az` reports no expiry, in seconds. Only very old versions of `az` report
/// none.
const DEFAULT_LIFETIME: u64 = 300;

/// An Azure cloud, such as the public cloud or the one for the US government.
#[derive(Clone, Debug)]
struct Cloud {
    /// The base URL of Entra's token endpoints.
    login: String,
    /// The URL of Azure Resource Manager.
    management: &'static str,
}

#[derive(Debug)]
pub(crate) struct AzureClientSecret {
    cloud: Cloud,
    tenant_id: String,
    client_id: String,
    client_secret: Secret,
    headers: Vec<(HeaderName, Secret)>,
}

#[derive(Debug)]
pub(crate) struct AzureCli {
    program: PathBuf,
    cloud: Cloud,
    subscription: Option<String>,
    tenant_id: Option<String>,
    headers: Vec<(HeaderName, Secret)>,
}

#[derive(Deserialize)]
struct AzureCliToken {
    #[serde(rename = "accessToken")]
    access_token: Secret,
    /// The time of expiry of the token, in seconds since 1970. The older field `expiresOn` is not used, because it is a
    /// local time without a time zone.
    #[serde(default)]
    expires_on: Value,
}

impl AzureClientSecret {
    pub(super) fn detect(context: &ProviderContext<'_>) -> Result<Option<Self>> {
        let options = context.options;
        let client = options.azure_client_id.clone().zip(options.azure_client_secret.clone());
        let Some((client_id, client_secret)) = client else { return Ok(None) };
        let Some(tenant_id) = options.azure_tenant_id.clone() else {
            return Err(Error::invalid_parameter(
                "the tenant of the Azure service principal is missing: set `azure_tenant_id` or `ARM_TENANT_ID`",
            ));
        };
        let cloud = Cloud::new(options)?;
        Ok(Some(Self { cloud, tenant_id, client_id, client_secret, headers: headers(options) }))
    }

    /// Requests two tokens: one for Databricks, and one that proves that the service principal may manage the
    /// workspace.
    pub(super) async fn token(&self, client: &AuthClient<'_>, _oidc: &OidcDiscovery) -> Result<Token> {
        let management = self.request(client, self.cloud.management).await?;
        let mut token = self.request(client, DATABRICKS).await?;
        token.headers.clone_from(&self.headers);
        if let Credentials::Bearer(secret) = management.credentials {
            token.headers.push((MANAGEMENT_TOKEN, secret));
        }
        token.expires = token.expires.into_iter().chain(management.expires).min();
        Ok(token)
    }

    async fn request(&self, client: &AuthClient<'_>, resource: &str) -> Result<Token> {
        let url = format!("{}{}/oauth2/token", self.cloud.login, self.tenant_id);
        let url = Url::parse(&url)
            .map_err(|error| Error::invalid_parameter(format!("invalid URL `{url}` of the Azure tenant: {error}")))?;
        let form = TokenForm {
            fields: vec![
                ("grant_type", "client_credentials".to_owned()),
                ("client_id", self.client_id.clone()),
                ("resource", resource.to_owned()),
            ],
            secrets: vec![("client_secret", self.client_secret.clone())],
            client: None,
        };
        request_token(client, &url, form).await
    }

    #[cfg(test)]
    pub(super) fn set_login_url(&mut self, login: &str) {
        login.clone_into(&mut self.cloud.login);
    }
}

impl AzureCli {
    pub(super) fn detect(context: &ProviderContext<'_>) -> Result<Option<Self>> {
        let options = context.options;
        let resource = options.azure_workspace_resource_id.as_deref();
        if !context.workspace_url.is_azure() && resource.is_none() {
            return Ok(None);
        }
        let path = context.environment.text("PATH").unwrap_or_default();
        let Some(program) = program::find_in_path("az", &path, 0) else { return Ok(None) };
        Ok(Some(Self {
            program,
            cloud: Cloud::new(options)?,
            // The id has the form `/subscriptions/ID/resourceGroups/…`.
            subscription: resource.and_then(|id| id.split('/').nth(2)).map(str::to_owned),
            tenant_id: options.azure_tenant_id.clone(),
            headers: headers(options),
        }))
    }

    pub(super) async fn token(&self, client: &AuthClient<'_>, _oidc: &OidcDiscovery) -> Result<Token> {
        let cli_token = match self.request(client, DATABRICKS, self.subscription.as_deref()).await {
            // The logged-in user may have access to the workspace but not to the subscription.
            Err(_) if self.subscription.is_some() => self.request(client, DATABRICKS, None).await?,
            cli_token => cli_token?,
        };
        let mut token = Token { headers: self.headers.clone(), ..cli_token.into_token() };
        let Credentials::Bearer(secret) = &token.credentials else { return Ok(token) };
        // Only the token of a user has this claim. A service principal may need the management token.
        if !jwt_claims(secret).contains_key("upn") {
            match self.request(client, self.cloud.management, None).await {
                Ok(management) => token.headers.push((MANAGEMENT_TOKEN, management.access_token)),
                Err(error) => call::log(Level::Debug, format!("failed to get an Azure management token: {error}")),
            }
        }
        Ok(token)
    }

    async fn request(
        &self,
        client: &AuthClient<'_>,
        resource: &str,
        subscription: Option<&str>,
    ) -> Result<AzureCliToken> {
        let mut arguments = vec!["account", "get-access-token", "--resource", resource, "--output", "json"];
        if let Some(subscription) = subscription {
            arguments.extend(["--subscription", subscription]);
        }
        if let Some(tenant_id) = &self.tenant_id {
            arguments.extend(["--tenant", tenant_id]);
        }
        let arguments = arguments.into_iter().map(str::to_owned).collect();
        let output = command::run(&self.program, arguments, &client.policy).await?;
        let stdout = command::success(output, "az account get-access-token")?;
        // The output may contain a token, so the error does not quote it.
        serde_json::from_slice(&stdout)
            .map_err(|_secret| Error::internal("`az account get-access-token` did not print a token as JSON"))
    }
}

impl AzureCliToken {
    fn into_token(self) -> Token {
        let seconds = self.expires_on.as_u64().or_else(|| self.expires_on.as_str()?.parse().ok());
        let token = Token::new(Credentials::Bearer(self.access_token));
        match seconds {
            Some(seconds) => token.expires_after(SystemTime::UNIX_EPOCH, seconds),
            None => token.expires_after(SystemTime::now(), DEFAULT_LIFETIME),
        }
    }
}

impl Cloud {
    /// Returns the configured Azure cloud. The configured name may have the prefix `AZURE` and the suffix `CLOUD`.
    fn new(options: &Options) -> Result<Self> {
        let configured = options.azure_environment.as_deref().unwrap_or("PUBLIC");
        let upper = configured.to_uppercase();
        let name = upper.strip_prefix("AZURE").unwrap_or(&upper);
        let (login, management) = match name.strip_suffix("CLOUD").unwrap_or(name) {
            "PUBLIC" => ("https://login.microsoftonline.com/", "https://management.core.windows.net/"),
            "USGOVERNMENT" => ("https://login.microsoftonline.us/", "https://management.core.usgovcloudapi.net/"),
            "CHINA" => ("https://login.chinacloudapi.cn/", "https://management.core.chinacloudapi.cn/"),
            _ => {
                return Err(Error::invalid_parameter(format!(
                    "unknown Azure cloud `{configured}`: expected `PUBLIC`, `USGOVERNMENT` or `CHINA`"
                )));
            }
        };
        Ok(Self { login: login.to_owned(), management })
    }
}

/// Returns the request header with the Azure resource id of the workspace; an empty list if the id is not configured.
fn headers(options: &Options) -> Vec<(HeaderName, Secret)> {
    let id = options.azure_workspace_resource_id.clone();
    id.map(|id| (RESOURCE_ID, Secret::new(id))).into_iter().collect()
}

/// Returns the claims of a JWT, or an empty map for any other token. Does not verify the signature.
fn jwt_claims(token: &Secret) -> Map<String, Value> {
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
    fn a_cloud_has_several_names() {
        let login = |name: &str| {
            let options = Options { azure_environment: Some(name.to_owned()), ..Options::default() };
            Cloud::new(&options).map(|cloud| cloud.login)
        };
        for name in ["USGOVERNMENT", "AzureUSGovernment", "azureusgovernmentcloud"] {
            assert_eq!(login(name).unwrap(), "https://login.microsoftonline.us/");
        }
        assert_eq!(login("public").unwrap(), "https://login.microsoftonline.com/");
        assert_eq!(login("AzureChinaCloud").unwrap(), "https://login.chinacloudapi.cn/");
        login("mars").unwrap_err();
    }

    #[test]
    fn claims_are_read_from_the_second_part_of_a_jwt() {
        let token = format!("h.{}.s", BASE64_URL_SAFE_NO_PAD.encode(r#"{"upn":"me@x"}"#));
        assert_eq!(jwt_claims(&Secret::new(token))["upn"], "me@x");
        for other in ["", "a.b", "a.!.c", "dapi123"] {
            assert!(jwt_claims(&Secret::new(other)).is_empty());
        }
    }
}
