//! `oauth-m2m`: a service principal with a secret of Databricks'.

use mlflow_deploy_plugin_api::{Result, Secret};

use crate::auth::grant::{self, Form, scope};
use crate::auth::{Exchange, Given, Token};

#[derive(Debug)]
pub(crate) struct OauthM2m {
    client_id: String,
    client_secret: Secret,
    scope: String,
}

impl OauthM2m {
    pub(super) fn find(given: &Given<'_>) -> Result<Option<Self>> {
        let both = given.options.client_id.clone().zip(given.options.client_secret.clone());
        Ok(both.map(|(client_id, client_secret)| Self { client_id, client_secret, scope: scope(given.options) }))
    }

    pub(super) async fn token(&self, exchange: &Exchange<'_>) -> Result<Token> {
        let form = Form {
            fields: vec![("grant_type", "client_credentials".to_owned()), ("scope", self.scope.clone())],
            client: Some((self.client_id.clone(), self.client_secret.clone())),
            ..Form::default()
        };
        grant::ask(exchange, exchange.site.token_endpoint(exchange).await?, form).await
    }
}
