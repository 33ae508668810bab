//! Who the client is: Databricks' unified authentication, one file for each kind of credentials.
//!
//! [`choose`] finds the first kind for which everything is there. It touches files at most; servers and programs are
//! asked when the first request needs a token.

mod azure;
mod azure_cli;
mod azure_client_secret;
mod basic;
mod command;
mod databricks_cli;
mod github_oidc;
mod grant;
mod jwt;
mod metadata_service;
mod model_serving;
mod oauth_m2m;
mod oidc;
mod oidc_discovery;
mod pat;
mod provider_chain;
mod token;
mod token_request;

pub(crate) use model_serving::host as model_serving_host;
pub(crate) use oidc_discovery::Site;
pub(crate) use provider_chain::{Given, Kind, choose};
pub(crate) use token::{Token, Tokens};
pub(crate) use token_request::Exchange;
