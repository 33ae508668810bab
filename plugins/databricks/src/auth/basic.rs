//! `basic`: a user name and a password, where a workspace still takes them.

use mlflow_deploy_http::Credentials;
use mlflow_deploy_plugin_api::{Result, Secret};

use crate::auth::{Exchange, Given, Token};

#[derive(Debug)]
pub(crate) struct Basic {
    username: String,
    password: Secret,
}

impl Basic {
    pub(super) fn find(given: &Given<'_>) -> Result<Option<Self>> {
        let both = given.options.username.clone().zip(given.options.password.clone());
        Ok(both.map(|(username, password)| Self { username, password }))
    }

    pub(super) async fn token(&self, _exchange: &Exchange<'_>) -> Result<Token> {
        Ok(Token::new(Credentials::Basic(self.username.clone(), self.password.clone())))
    }
}
