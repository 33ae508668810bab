//! `pat`: a personal access token.

use mlflow_deploy_http::Credentials;
use mlflow_deploy_plugin_api::{Result, Secret};

use crate::auth::{Exchange, Given, Token};

#[derive(Debug)]
pub(crate) struct Pat(Secret);

impl Pat {
    pub(super) fn find(given: &Given<'_>) -> Result<Option<Self>> {
        Ok(given.options.token.clone().map(Self))
    }

    pub(super) async fn token(&self, _exchange: &Exchange<'_>) -> Result<Token> {
        Ok(Token::new(Credentials::Bearer(self.0.clone())))
    }
}
