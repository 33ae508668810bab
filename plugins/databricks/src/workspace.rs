//! A workspace: where it is, and the headers that say who asks.

use http::HeaderMap;
use mlflow_deploy_http::{Client, Environment, Policy, header_value};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, TargetUri};
use url::Url;

use crate::auth::{Exchange, Given, Kind, Site, Tokens, choose, model_serving_host};
use crate::options::Options;
use crate::workspace_url::Host;

/// A workspace and the credentials for it.
#[derive(Debug)]
pub(crate) struct Workspace {
    site: Site,
    kind: Kind,
    tokens: Tokens,
}

impl Workspace {
    /// Finds out which workspace is meant, and which credentials are there. Files are read; nobody is asked.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where something is wrong or missing, credentials among it.
    pub(crate) fn new(target: &TargetUri, mut options: Options, environment: &Environment<'_>) -> Result<Self> {
        options.profile = options.profile.or(profile(target)?);
        let mut options = options.complete(environment)?;
        options.host = options.host.or_else(|| model_serving_host(environment));
        let Some(host) = &options.host else {
            return Err(Error::invalid_parameter(
                "no workspace is configured: give `host` as an option, set `DATABRICKS_HOST`, or name a profile of \
                 `~/.databrickscfg`, as in `databricks://PROFILE`",
            ));
        };
        let host = Host::parse(host)?;
        let kind = choose(&Given { options: &options, environment, host: &host })?;
        Ok(Self { site: Site::new(host, &options), kind, tokens: Tokens::default() })
    }

    /// What the paths of the API follow.
    pub(crate) fn base(&self) -> &Url {
        &self.site.host.url
    }

    /// The headers that say who asks, and of which workspace, where its id is known.
    ///
    /// # Errors
    /// What kept the credentials from giving a token.
    pub(crate) async fn headers(&self, http: &Client, policy: &Policy) -> Result<HeaderMap> {
        let renew = || async {
            let token = self.kind.token(&Exchange::new(http, policy, &self.site)).await;
            token.map_err(|error| error.with_detail("auth_type", self.kind.name()))
        };
        let mut headers = self.tokens.headers(renew).await?;
        if let Some(id) = self.site.workspace_id() {
            headers.insert("x-databricks-org-id", header_value("workspace_id", id)?);
        }
        Ok(headers)
    }

    /// The kind of credentials that was chosen.
    #[cfg(test)]
    pub(crate) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Asks for Entra's tokens at a server of the test's.
    #[cfg(test)]
    pub(crate) fn log_in_at(&mut self, login: &str) {
        self.kind.log_in_at(login);
    }

    /// Lets the token come to its end.
    #[cfg(test)]
    pub(crate) fn age_token(&self) {
        self.tokens.age(true);
    }
}

/// The profile that a target names: `databricks://PROFILE`.
fn profile(target: &TargetUri) -> Result<Option<String>> {
    let Some((_scheme, rest)) = target.as_str().split_once(':') else { return Ok(None) };
    let profile = rest.strip_prefix("//").map(|rest| rest.trim_end_matches('/')).unwrap_or_default();
    if profile.contains(':') {
        return Err(Error::new(
            ErrorCode::NOT_IMPLEMENTED,
            "a target with a scope and a prefix reads secrets that are there only inside Databricks: name a profile, as \
             in `databricks://PROFILE`",
        ));
    }
    if profile.is_empty() || profile.contains('/') {
        return Err(Error::invalid_parameter(format!(
            "`{target}` names no profile: expected `databricks` or `databricks://PROFILE`"
        )));
    }
    Ok(Some(profile.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_names_a_profile_or_nothing() {
        let of = |uri: &str| profile(&TargetUri::parse(uri).unwrap());
        assert_eq!(of("databricks").unwrap(), None);
        assert_eq!(of("databricks://prof").unwrap().as_deref(), Some("prof"));
        assert_eq!(of("databricks://prof/").unwrap().as_deref(), Some("prof"));
        assert_eq!(of("databricks://scope:prefix").unwrap_err().code(), &ErrorCode::NOT_IMPLEMENTED);
        for wrong in ["databricks:/x", "databricks://", "databricks:", "databricks://a/b"] {
            assert_eq!(of(wrong).unwrap_err().code(), &ErrorCode::INVALID_PARAMETER_VALUE, "{wrong}");
        }
    }
}
