//! Databricks' unified authentication, which selects one of several credential providers.
//!
//! [`select`] returns the first configured credential provider. It may read files, but sends no requests and runs no
//! programs. The selected provider sends requests or runs programs when the first request of the client needs a token.

mod ambient;
mod auth_client;
mod azure;
mod command;
mod context;
mod databricks_cli;
mod oauth;
mod oidc;
mod oidc_discovery;
mod provider_chain;
mod static_credentials;
mod token;

pub(crate) use ambient::model_serving_url;
pub(crate) use auth_client::AuthClient;
pub(crate) use context::ProviderContext;
pub(crate) use oidc_discovery::OidcDiscovery;
pub(crate) use provider_chain::{CredentialProvider, select};
pub(crate) use token::{Token, TokenCache};
