//! The credential providers in the order in which Databricks tries them, and the selection of one of them.

use mlflow_deploy_plugin_api::{Error, ErrorCode, Result};

use crate::auth::ambient::{MetadataService, ModelServing};
use crate::auth::azure::{AzureCli, AzureClientSecret};
use crate::auth::databricks_cli::DatabricksCli;
use crate::auth::oauth::OauthM2m;
use crate::auth::oidc::{EnvOidc, FileOidc, GithubOidc};
use crate::auth::static_credentials::{Basic, Pat};
use crate::auth::{AuthClient, OidcDiscovery, ProviderContext, Token};

/// Declares the credential providers, each with its type, its `auth_type` and its requirements.
macro_rules! providers {
    ($($provider:ident, $name:literal, $requirements:literal;)*) => {
        /// A credential provider: a source of access tokens.
        #[derive(Debug)]
        pub(crate) enum CredentialProvider {
            $($provider($provider),)*
        }

        /// The `auth_type` and the requirements of each credential provider, in the order in which they are tried.
        const PROVIDERS: &[(&str, &str)] = &[$(($name, $requirements)),*];

        impl CredentialProvider {
            /// Returns the `auth_type` of this credential provider.
            pub(crate) fn name(&self) -> &'static str {
                match self {
                    $(Self::$provider(_) => $name,)*
                }
            }

            /// Gets a token from the provider.
            pub(crate) async fn token(&self, client: &AuthClient<'_>, oidc: &OidcDiscovery) -> Result<Token> {
                match self {
                    $(Self::$provider(provider) => provider.token(client, oidc).await,)*
                }
            }
        }

        /// Returns the first credential provider that is configured. If `auth_type` is given, only the provider with
        /// that name is tried.
        fn first(context: &ProviderContext<'_>, auth_type: Option<&str>) -> Result<Option<CredentialProvider>> {
            $(
                if auth_type.is_none_or(|auth_type| auth_type == $name)
                    && let Some(provider) = $provider::detect(context)?
                {
                    return Ok(Some(CredentialProvider::$provider(provider)));
                }
            )*
            Ok(None)
        }
    };
}

providers! {
    Pat, "pat", "`token`";
    Basic, "basic", "`username` and `password`";
    MetadataService, "metadata-service", "`metadata_service_url`";
    OauthM2m, "oauth-m2m", "`client_id` and `client_secret`";
    EnvOidc, "env-oidc", "a token in `DATABRICKS_OIDC_TOKEN`";
    FileOidc, "file-oidc", "a token in the file `oidc_token_filepath`";
    GithubOidc, "github-oidc", "`client_id`, and a GitHub workflow with the permission `id-token: write`";
    AzureClientSecret, "azure-client-secret", "`azure_client_id`, `azure_client_secret` and `azure_tenant_id`";
    AzureCli, "azure-cli", "a workspace on Azure, and `az` on the `PATH`";
    DatabricksCli, "databricks-cli", "the Databricks CLI on the `PATH` or as `databricks_cli_path`";
    ModelServing, "model-serving", "the container of a model that Databricks serves";
}

#[cfg(test)]
impl CredentialProvider {
    /// Sets the URL for Entra's token requests to that of a test server.
    pub(crate) fn set_login_url(&mut self, login: &str) {
        if let Self::AzureClientSecret(provider) = self {
            provider.set_login_url(login);
        }
    }
}

/// The auth types of Databricks' Python SDK that this plugin does not support, each with advice for a replacement.
const UNSUPPORTED: [(&str, &str); 7] = [
    ("external-browser", "log in with `databricks auth login`, and set the auth type `databricks-cli`"),
    ("github-oidc-azure", "set the auth type `github-oidc`, or log in with `az` and set `azure-cli`"),
    ("azure-devops-oidc", "write the id token to a file, and set the auth type `file-oidc`"),
    ("runtime", "set the auth type `oauth-m2m` or `pat`"),
    ("runtime-oauth", "set the auth type `oauth-m2m` or `pat`"),
    ("google-credentials", "set the auth type `oauth-m2m`"),
    ("google-id", "set the auth type `oauth-m2m`"),
];

/// Returns the first credential provider that is configured. If `auth_type` is set, only the provider with that name is
/// tried.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` if no provider is configured, or if `auth_type` is unknown. `NOT_IMPLEMENTED` if
/// `auth_type` is not supported.
pub(crate) fn select(context: &ProviderContext<'_>) -> Result<CredentialProvider> {
    let auth_type = context.options.auth_type.as_deref();
    if let Some(auth_type) = auth_type {
        if let Some((name, replacement)) = UNSUPPORTED.iter().find(|(name, _)| *name == auth_type) {
            let message = format!("the auth type `{name}` is not supported: {replacement}");
            return Err(Error::new(ErrorCode::NOT_IMPLEMENTED, message));
        }
        if !PROVIDERS.iter().any(|(name, _)| *name == auth_type) {
            let known = PROVIDERS.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            return Err(Error::invalid_parameter(format!("unknown auth type `{auth_type}`: expected one of {known}")));
        }
    }
    first(context, auth_type)?.ok_or_else(|| {
        let tried = PROVIDERS.iter().filter(|(name, _)| auth_type.is_none_or(|auth_type| auth_type == *name));
        let requirements: Vec<_> = tried.map(|(name, requirements)| format!("`{name}` needs {requirements}")).collect();
        missing(context, &requirements.join("; "))
    })
}

fn missing(context: &ProviderContext<'_>, requirements: &str) -> Error {
    let options = context.options;
    let google = options.google_credentials.is_some() || options.google_service_account.is_some();
    let hint = if google { "; Google credentials are not supported: use `oauth-m2m`" } else { "" };
    let url = &context.workspace_url.url;
    Error::invalid_parameter(format!("no credentials for `{url}` are configured: {requirements}{hint}"))
}
