//! The credential provider `databricks-cli`, which uses the login of the Databricks CLI (`databricks auth login`).

use std::path::PathBuf;
use std::time::SystemTime;

use mlflow_deploy_http::Credentials;
use mlflow_deploy_plugin_api::{Error, Result, Secret, program};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::OnceCell;

use crate::auth::{AuthClient, OidcDiscovery, ProviderContext, Token, command};

/// The minimum size of the Databricks CLI's program file, in bytes. A smaller file is the legacy CLI, a Python script
/// without the command `auth token`.
const MIN_SIZE: u64 = 1 << 20;

#[derive(Debug)]
pub(crate) struct DatabricksCli {
    program: PathBuf,
    profile: Option<String>,
    workspace_url: String,
    account_id: Option<String>,
    version: OnceCell<Version>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "PascalCase")]
struct Version {
    major: u32,
    minor: u32,
    patch: u32,
}

/// The first version of the Databricks CLI with the option `--profile`.
const PROFILE_SINCE: Version = Version { major: 0, minor: 207, patch: 1 };

/// The first version of the Databricks CLI with the option `--force-refresh`.
const FORCE_REFRESH_SINCE: Version = Version { major: 0, minor: 296, patch: 0 };

#[derive(Deserialize)]
struct DatabricksCliToken {
    access_token: Secret,
    expiry: String,
}

impl DatabricksCli {
    pub(super) fn detect(context: &ProviderContext<'_>) -> Result<Option<Self>> {
        let options = context.options;
        let path = context.environment.text("PATH").unwrap_or_default();
        let program = match &options.databricks_cli_path {
            Some(cli) if cli.components().count() > 1 => {
                if !cli.is_absolute() || !program::is_executable(cli, 0) {
                    let message = format!(
                        "`{}` is not an executable file: set `databricks_cli_path` to the absolute path of the CLI",
                        cli.display()
                    );
                    return Err(Error::invalid_parameter(message));
                }
                Some(cli.clone())
            }
            Some(name) => program::find_in_path(&name.to_string_lossy(), &path, MIN_SIZE),
            None => program::find_in_path("databricks", &path, MIN_SIZE),
        };
        Ok(program.map(|program| Self {
            program,
            profile: options.profile.clone(),
            workspace_url: context.workspace_url.url.as_str().trim_end_matches('/').to_owned(),
            account_id: options.account_id.clone().filter(|_| context.workspace_url.is_account()),
            version: OnceCell::new(),
        }))
    }

    pub(super) async fn token(&self, client: &AuthClient<'_>, _oidc: &OidcDiscovery) -> Result<Token> {
        let version = *self.version.get_or_try_init(|| self.query_version(client)).await?;
        let output = command::run(&self.program, self.arguments(version), &client.policy).await?;
        // The output may contain a token, so the error does not quote it.
        let invalid = || Error::internal("`databricks auth token` did not print a token as JSON");
        let token: DatabricksCliToken =
            serde_json::from_slice(&command::success(output, "databricks auth token")?).map_err(|_secret| invalid())?;
        let expires = OffsetDateTime::parse(&token.expiry, &Rfc3339).map_err(|error| {
            Error::internal(format!("`databricks auth token` printed an invalid `expiry`: {error}"))
        })?;
        let expires = Some(SystemTime::from(expires));
        Ok(Token { expires, ..Token::new(Credentials::Bearer(token.access_token)) })
    }

    fn arguments(&self, version: Version) -> Vec<String> {
        // A CLI that was built from source has the version 0.0.0 and every option.
        let supports = |since: Version| version >= since || version == Version::default();
        let mut arguments = vec!["auth", "token"];
        match &self.profile {
            Some(profile) if supports(PROFILE_SINCE) => arguments.extend(["--profile", profile]),
            _ => arguments.extend(["--host", &self.workspace_url]),
        }
        if let Some(account_id) = &self.account_id {
            arguments.extend(["--account-id", account_id]);
        }
        if supports(FORCE_REFRESH_SINCE) {
            arguments.push("--force-refresh");
        }
        arguments.into_iter().map(str::to_owned).collect()
    }

    async fn query_version(&self, client: &AuthClient<'_>) -> Result<Version> {
        let arguments = ["version", "--output", "json"].map(str::to_owned).to_vec();
        let output = command::run(&self.program, arguments, &client.policy).await?;
        let stdout = command::success(output, "databricks version")?;
        serde_json::from_slice(&stdout)
            .map_err(|_invalid| Error::internal("`databricks version` did not print a version as JSON"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_depend_on_the_version() {
        let cli = |profile: Option<&str>, version: (u32, u32, u32)| {
            let (major, minor, patch) = version;
            let cli = DatabricksCli {
                program: PathBuf::new(),
                profile: profile.map(str::to_owned),
                workspace_url: "https://h.test".to_owned(),
                account_id: None,
                version: OnceCell::new(),
            };
            cli.arguments(Version { major, minor, patch }).join(" ")
        };
        assert_eq!(cli(Some("p"), (0, 207, 0)), "auth token --host https://h.test");
        assert_eq!(cli(Some("p"), (0, 207, 1)), "auth token --profile p");
        assert_eq!(cli(Some("p"), (1, 0, 0)), "auth token --profile p --force-refresh");
        assert_eq!(cli(None, (0, 0, 0)), "auth token --host https://h.test --force-refresh");
    }
}
