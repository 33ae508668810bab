//! `env-oidc` and `file-oidc`: a token of another issuer, from the environment or a file, exchanged for one of
//! Databricks'.

use std::path::PathBuf;

use mlflow_deploy_plugin_api::{Error, Result, Secret, blocking, file};

use crate::auth::grant::{self, Form, scope};
use crate::auth::{Exchange, Given, Token};

/// No file with a token is larger, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// What is asked for with a token of another issuer.
#[derive(Debug)]
pub(super) struct Federation {
    client_id: Option<String>,
    scope: String,
}

#[derive(Debug)]
pub(crate) struct EnvOidc {
    token: Secret,
    federation: Federation,
}

#[derive(Debug)]
pub(crate) struct FileOidc {
    path: PathBuf,
    federation: Federation,
}

impl Federation {
    pub(super) fn new(given: &Given<'_>) -> Self {
        Self { client_id: given.options.client_id.clone(), scope: scope(given.options) }
    }

    /// Exchanges the token. Without a client's id, it stands for whoever the account says.
    pub(super) async fn exchange(&self, exchange: &Exchange<'_>, token: Secret) -> Result<Token> {
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("scope", &self.scope),
        ];
        let fields = fields.into_iter().chain(self.client_id.as_deref().map(|id| ("client_id", id)));
        let form = Form {
            fields: fields.map(|(name, value)| (name, value.to_owned())).collect(),
            secrets: vec![("subject_token", token)],
            client: None,
        };
        grant::ask(exchange, exchange.site.token_endpoint(exchange).await?, form).await
    }
}

impl EnvOidc {
    pub(super) fn find(given: &Given<'_>) -> Result<Option<Self>> {
        let variable = given.options.oidc_token_env.as_deref().unwrap_or("DATABRICKS_OIDC_TOKEN");
        let token = given.environment.secret(variable);
        Ok(token.map(|token| Self { token, federation: Federation::new(given) }))
    }

    pub(super) async fn token(&self, exchange: &Exchange<'_>) -> Result<Token> {
        self.federation.exchange(exchange, self.token.clone()).await
    }
}

impl FileOidc {
    pub(super) fn find(given: &Given<'_>) -> Result<Option<Self>> {
        let path = given.options.oidc_token_filepath.clone();
        Ok(path.map(|path| Self { path, federation: Federation::new(given) }))
    }

    /// The file is read each time: whoever writes it renews it.
    pub(super) async fn token(&self, exchange: &Exchange<'_>) -> Result<Token> {
        let path = self.path.clone();
        let token = blocking(move || {
            let text = file::read_text(&path, MAX_FILE).map_err(|error| {
                Error::invalid_parameter(format!("failed to read the token in `{}`: {error}", path.display()))
            })?;
            match text.trim() {
                "" => Err(Error::invalid_parameter(format!("the file `{}` has no token in it", path.display()))),
                token => Ok(Secret::new(token)),
            }
        });
        self.federation.exchange(exchange, token.await?).await
    }
}
