//! The credential providers `env-oidc`, `file-oidc` and `github-oidc`. They exchange an id token of another issuer for
//! a Databricks token.

use std::path::PathBuf;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use mlflow_deploy_http::{Credentials, trim};
use mlflow_deploy_plugin_api::{Error, Result, Secret, blocking, file};
use serde::Deserialize;
use url::Url;

use crate::auth::oauth::{TokenForm, request_token, scope};
use crate::auth::{AuthClient, OidcDiscovery, ProviderContext, Token};

/// The maximum size of a token file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// The parameters of the exchange of an id token for a Databricks token.
#[derive(Debug)]
struct Federation {
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

#[derive(Debug)]
pub(crate) struct GithubOidc {
    /// The URL at which a GitHub workflow requests an id token.
    url: String,
    token: Secret,
    federation: Federation,
}

#[derive(Deserialize)]
struct IdToken {
    value: Secret,
}

impl Federation {
    fn new(context: &ProviderContext<'_>) -> Self {
        Self { client_id: context.options.client_id.clone(), scope: scope(context.options) }
    }

    /// Exchanges an id token for a Databricks token. Without a client id, the federation policy of the Databricks
    /// account selects the service principal.
    async fn exchange(&self, client: &AuthClient<'_>, oidc: &OidcDiscovery, id_token: Secret) -> Result<Token> {
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("scope", &self.scope),
        ];
        let fields = fields.into_iter().chain(self.client_id.as_deref().map(|id| ("client_id", id)));
        let form = TokenForm {
            fields: fields.map(|(name, value)| (name, value.to_owned())).collect(),
            secrets: vec![("subject_token", id_token)],
            client: None,
        };
        request_token(client, oidc.token_endpoint(client).await?, form).await
    }
}

impl EnvOidc {
    pub(super) fn detect(context: &ProviderContext<'_>) -> Result<Option<Self>> {
        let variable = context.options.oidc_token_env.as_deref().unwrap_or("DATABRICKS_OIDC_TOKEN");
        let token = context.environment.secret(variable);
        Ok(token.map(|token| Self { token, federation: Federation::new(context) }))
    }

    pub(super) async fn token(&self, client: &AuthClient<'_>, oidc: &OidcDiscovery) -> Result<Token> {
        self.federation.exchange(client, oidc, self.token.clone()).await
    }
}

impl FileOidc {
    pub(super) fn detect(context: &ProviderContext<'_>) -> Result<Option<Self>> {
        let path = context.options.oidc_token_filepath.clone();
        Ok(path.map(|path| Self { path, federation: Federation::new(context) }))
    }

    /// Exchanges the id token in the file for a Databricks token. Reads the file each time, because another process
    /// renews the id token.
    pub(super) async fn token(&self, client: &AuthClient<'_>, oidc: &OidcDiscovery) -> Result<Token> {
        let path = self.path.clone();
        let id_token = blocking(move || {
            let text = file::read_text(&path, MAX_FILE).map_err(|error| {
                Error::invalid_parameter(format!("failed to read the token in `{}`: {error}", path.display()))
            })?;
            match trim(&text) {
                "" => Err(Error::invalid_parameter(format!("the token file `{}` is empty", path.display()))),
                token => Ok(Secret::new(token)),
            }
        });
        self.federation.exchange(client, oidc, id_token.await?).await
    }
}

impl GithubOidc {
    pub(super) fn detect(context: &ProviderContext<'_>) -> Result<Option<Self>> {
        let url = context.environment.text("ACTIONS_ID_TOKEN_REQUEST_URL");
        let token = context.environment.secret("ACTIONS_ID_TOKEN_REQUEST_TOKEN");
        let both = url.zip(token).filter(|_| context.options.client_id.is_some());
        Ok(both.map(|(url, token)| Self { url, token, federation: Federation::new(context) }))
    }

    pub(super) async fn token(&self, client: &AuthClient<'_>, oidc: &OidcDiscovery) -> Result<Token> {
        let mut url = Url::parse(&self.url).map_err(|error| {
            Error::invalid_parameter(format!("`ACTIONS_ID_TOKEN_REQUEST_URL` is not a URL: {error}"))
        })?;
        let audience = oidc.audience(client).await?;
        url.query_pairs_mut().append_pair("audience", &audience);
        let bearer = Credentials::Bearer(self.token.clone()).header_of("`ACTIONS_ID_TOKEN_REQUEST_TOKEN`")?;
        let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
        let id_token: IdToken = client.get(&url, headers, "an id token").await?;
        self.federation.exchange(client, oidc, id_token.value).await
    }
}
