//! Credential providers whose credentials do not expire: `pat`, a personal access token, and `basic`, a user name and a
//! password.

use mlflow_deploy_http::Credentials;
use mlflow_deploy_plugin_api::{Result, Secret};

use crate::auth::{AuthClient, OidcDiscovery, ProviderContext, Token};

#[derive(Debug)]
pub(crate) struct Pat(Secret);

#[derive(Debug)]
pub(crate) struct Basic {
    username: String,
    password: Secret,
}

impl Pat {
    pub(super) fn detect(context: &ProviderContext<'_>) -> Result<Option<Self>> {
        const VARIABLE: &str = "DATABRICKS_TOKEN";
        let Some(token) = context.options.token.clone() else { return Ok(None) };
        let is_variable = context.environment.secret(VARIABLE).as_ref() == Some(&token);
        let source = if is_variable { VARIABLE } else { "token" };
        // The token is checked here, because the server's error would not name the setting.
        Credentials::Bearer(token.clone()).header_of(&format!("`{source}`"))?;
        Ok(Some(Self(token)))
    }

    pub(super) async fn token(&self, _client: &AuthClient<'_>, _oidc: &OidcDiscovery) -> Result<Token> {
        Ok(Token::new(Credentials::Bearer(self.0.clone())))
    }
}

impl Basic {
    pub(super) fn detect(context: &ProviderContext<'_>) -> Result<Option<Self>> {
        let both = context.options.username.clone().zip(context.options.password.clone());
        Ok(both.map(|(username, password)| Self { username, password }))
    }

    pub(super) async fn token(&self, _client: &AuthClient<'_>, _oidc: &OidcDiscovery) -> Result<Token> {
        Ok(Token::new(Credentials::Basic(self.username.clone(), self.password.clone())))
    }
}
