//! The kinds of credentials in Databricks' order, and the choice among them.

use mlflow_deploy_http::Environment;
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result};

use crate::auth::azure_cli::AzureCli;
use crate::auth::azure_client_secret::AzureClientSecret;
use crate::auth::basic::Basic;
use crate::auth::databricks_cli::DatabricksCli;
use crate::auth::github_oidc::GithubOidc;
use crate::auth::metadata_service::MetadataService;
use crate::auth::model_serving::ModelServing;
use crate::auth::oauth_m2m::OauthM2m;
use crate::auth::oidc::{EnvOidc, FileOidc};
use crate::auth::pat::Pat;
use crate::auth::{Exchange, Token};
use crate::options::Options;
use crate::workspace_url::Host;

/// What there is to choose from.
#[derive(Debug)]
pub(crate) struct Given<'a> {
    pub(crate) options: &'a Options,
    pub(crate) environment: &'a Environment<'a>,
    pub(crate) host: &'a Host,
}

/// Declares the kinds: the name, what it needs, and the type that is made of what is given, where that is enough.
macro_rules! kinds {
    ($($kind:ident, $name:literal, $needs:literal;)*) => {
        /// Credentials of one kind.
        #[derive(Debug)]
        pub(crate) enum Kind {
            $($kind($kind),)*
        }

        /// Every kind that is supported, with what it needs, in the order in which they are tried.
        const KINDS: &[(&str, &str)] = &[$(($name, $needs)),*];

        impl Kind {
            /// The kind's name, as in `auth_type`.
            pub(crate) fn name(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => $name,)*
                }
            }

            /// Gets a token.
            pub(crate) async fn token(&self, exchange: &Exchange<'_>) -> Result<Token> {
                match self {
                    $(Self::$kind(kind) => kind.token(exchange).await,)*
                }
            }
        }

        /// The first kind for which all is there, among those of this name where one is forced.
        fn first(given: &Given<'_>, forced: Option<&str>) -> Result<Option<Kind>> {
            $(
                if forced.is_none_or(|forced| forced == $name)
                    && let Some(kind) = $kind::find(given)?
                {
                    return Ok(Some(Kind::$kind(kind)));
                }
            )*
            Ok(None)
        }
    };
}

kinds! {
    Pat, "pat", "`token`";
    Basic, "basic", "`username` and `password`";
    MetadataService, "metadata-service", "`metadata_service_url`";
    OauthM2m, "oauth-m2m", "`client_id` and `client_secret`";
    EnvOidc, "env-oidc", "a token in `DATABRICKS_OIDC_TOKEN`";
    FileOidc, "file-oidc", "a token in the file `oidc_token_filepath`";
    GithubOidc, "github-oidc", "`client_id`, in a GitHub workflow that may ask for an id token";
    AzureClientSecret, "azure-client-secret", "`azure_client_id`, `azure_client_secret` and `azure_tenant_id`";
    AzureCli, "azure-cli", "a workspace on Azure, and `az` on the `PATH`";
    DatabricksCli, "databricks-cli", "the Databricks CLI on the `PATH` or as `databricks_cli_path`";
    ModelServing, "model-serving", "to run in a model's container on Databricks";
}

#[cfg(test)]
impl Kind {
    /// Asks for Entra's tokens at a server of the test's.
    pub(crate) fn log_in_at(&mut self, login: &str) {
        if let Self::AzureClientSecret(kind) = self {
            kind.log_in_at(login);
        }
    }
}

/// The kinds that work in Python alone, and what to use in their place.
const ELSEWHERE: [(&str, &str); 7] = [
    ("external-browser", "log in with `databricks auth login` and use `databricks-cli`"),
    ("github-oidc-azure", "use `github-oidc`, or log in with `az` and use `azure-cli`"),
    ("azure-devops-oidc", "write the id token to a file and use `file-oidc`"),
    ("runtime", "use `oauth-m2m` or `pat`"),
    ("runtime-oauth", "use `oauth-m2m` or `pat`"),
    ("google-credentials", "use `oauth-m2m`"),
    ("google-id", "use `oauth-m2m`"),
];

/// The credentials to use.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` where nothing is given that would do: nobody was asked, and nobody refused. `NOT_IMPLEMENTED` for a kind that is not supported.
pub(crate) fn choose(given: &Given<'_>) -> Result<Kind> {
    let forced = given.options.auth_type.as_deref();
    if let Some(forced) = forced {
        if let Some((name, instead)) = ELSEWHERE.iter().find(|(name, _)| *name == forced) {
            let message = format!("credentials of the kind `{name}` are not supported here: {instead}");
            return Err(Error::new(ErrorCode::NOT_IMPLEMENTED, message));
        }
        if !KINDS.iter().any(|(name, _)| *name == forced) {
            let known = KINDS.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            return Err(Error::invalid_parameter(format!("`{forced}` is no kind of credentials: expected {known}")));
        }
    }
    first(given, forced)?.ok_or_else(|| {
        let tried = KINDS.iter().filter(|(name, _)| forced.is_none_or(|forced| forced == *name));
        none_found(given, &tried.map(|(name, needs)| format!("`{name}` needs {needs}")).collect::<Vec<_>>())
    })
}

fn none_found(given: &Given<'_>, tried: &[String]) -> Error {
    let google = given.options.google_credentials.is_some() || given.options.google_service_account.is_some();
    let hint = if google { "; Google's credentials are not supported here: use `oauth-m2m`" } else { "" };
    let host = &given.host.url;
    let tried = tried.join("; ");
    Error::invalid_parameter(format!("no credentials for `{host}` are configured: {tried}{hint}"))
}
