//! `databricks-cli`: whoever is logged in with `databricks auth login`.

use std::path::PathBuf;
use std::time::SystemTime;

use mlflow_deploy_http::Credentials;
use mlflow_deploy_plugin_api::{Error, Result, Secret};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::OnceCell;

use crate::auth::{Exchange, Given, Token, command};

/// What is smaller is the older CLI, a script in Python that knows no such tokens.
const MIN_SIZE: u64 = 1 << 20;

#[derive(Debug)]
pub(crate) struct DatabricksCli {
    program: PathBuf,
    profile: Option<String>,
    host: String,
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

/// From this version on it can be told the profile.
const KNOWS_PROFILES: Version = Version { major: 0, minor: 207, patch: 1 };

/// From this version on it can be told to renew the token.
const CAN_RENEW: Version = Version { major: 0, minor: 296, patch: 0 };

#[derive(Deserialize)]
struct Answer {
    access_token: Secret,
    expiry: String,
}

impl DatabricksCli {
    pub(super) fn find(given: &Given<'_>) -> Result<Option<Self>> {
        let options = given.options;
        let path = given.environment.text("PATH").unwrap_or_default();
        let program = match &options.databricks_cli_path {
            Some(own) if own.components().count() > 1 => {
                if !own.is_absolute() || !command::is_program(own, 0) {
                    let message = format!("`{}` is no program: give the whole path of the CLI", own.display());
                    return Err(Error::invalid_parameter(message));
                }
                Some(own.clone())
            }
            Some(name) => command::find(&name.to_string_lossy(), &path, MIN_SIZE),
            None => command::find("databricks", &path, MIN_SIZE),
        };
        Ok(program.map(|program| Self {
            program,
            profile: options.profile.clone(),
            host: given.host.url.as_str().trim_end_matches('/').to_owned(),
            account_id: options.account_id.clone().filter(|_| given.host.is_account()),
            version: OnceCell::new(),
        }))
    }

    pub(super) async fn token(&self, exchange: &Exchange<'_>) -> Result<Token> {
        let version = *self.version.get_or_try_init(|| self.ask_version(exchange)).await?;
        let ran = command::run(&self.program, self.arguments(version), &exchange.policy).await?;
        // What it says may be a token, so it is not repeated.
        let wrong = || Error::internal("`databricks auth token` did not answer with a token in JSON");
        let answer: Answer =
            serde_json::from_slice(&ran.success("databricks auth token")?).map_err(|_secret| wrong())?;
        let expires = OffsetDateTime::parse(&answer.expiry, &Rfc3339).map_err(|error| {
            Error::internal(format!("`databricks auth token` answered with an odd time of expiry: {error}"))
        })?;
        let expires = Some(SystemTime::from(expires));
        Ok(Token { expires, ..Token::new(Credentials::Bearer(answer.access_token)) })
    }

    fn arguments(&self, version: Version) -> Vec<String> {
        // Whoever builds the CLI himself has the newest, and no version.
        let can = |since: Version| version >= since || version == Version::default();
        let mut arguments = vec!["auth", "token"];
        match &self.profile {
            Some(profile) if can(KNOWS_PROFILES) => arguments.extend(["--profile", profile]),
            _ => arguments.extend(["--host", &self.host]),
        }
        if let Some(account_id) = &self.account_id {
            arguments.extend(["--account-id", account_id]);
        }
        if can(CAN_RENEW) {
            arguments.push("--force-refresh");
        }
        arguments.into_iter().map(str::to_owned).collect()
    }

    async fn ask_version(&self, exchange: &Exchange<'_>) -> Result<Version> {
        let arguments = ["version", "--output", "json"].map(str::to_owned).to_vec();
        let ran = command::run(&self.program, arguments, &exchange.policy).await?;
        let stdout = ran.success("databricks version")?;
        serde_json::from_slice(&stdout)
            .map_err(|_odd| Error::internal("`databricks version` did not answer with a version in JSON"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_what_its_version_understands() {
        let cli = |profile: Option<&str>, version: (u32, u32, u32)| {
            let (major, minor, patch) = version;
            let cli = DatabricksCli {
                program: PathBuf::new(),
                profile: profile.map(str::to_owned),
                host: "https://h.test".to_owned(),
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
