//! `model-serving`: the token that Databricks puts into the container of a model that it serves.

use std::path::PathBuf;
use std::time::SystemTime;

use mlflow_deploy_http::{Credentials, Environment};
use mlflow_deploy_plugin_api::{Error, Result, Secret, blocking, file};
use serde::Deserialize;

use crate::auth::{Exchange, Given, Token};

/// The file with the token is not larger, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// How many seconds a token is used before the file is read again.
const FRESH: u64 = 300;

#[derive(Debug)]
pub(crate) struct ModelServing {
    path: PathBuf,
}

#[derive(Deserialize)]
struct File {
    #[serde(rename = "OAUTH_TOKEN")]
    tokens: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "oauthTokenValue")]
    value: Secret,
}

/// The workspace that a model's container belongs to.
pub(crate) fn host(environment: &Environment<'_>) -> Option<String> {
    if !is_inside(environment) {
        return None;
    }
    ["DATABRICKS_MODEL_SERVING_HOST_URL", "DB_MODEL_SERVING_HOST_URL"].iter().find_map(|name| environment.text(name))
}

fn is_inside(environment: &Environment<'_>) -> bool {
    let flags = ["IS_IN_DB_MODEL_SERVING_ENV", "IS_IN_DATABRICKS_MODEL_SERVING_ENV"];
    flags.iter().any(|name| environment.text(name).is_some_and(|value| value == "true"))
}

impl ModelServing {
    pub(super) fn find(given: &Given<'_>) -> Result<Option<Self>> {
        let folder = given.environment.text("SERVING_CREDENTIALS_DIR");
        let folder = folder.map_or_else(|| PathBuf::from("/var/credentials-secret"), PathBuf::from);
        let path = folder.join("model-dependencies-oauth-token");
        Ok((is_inside(given.environment) && path.exists()).then_some(Self { path }))
    }

    pub(super) async fn token(&self, _exchange: &Exchange<'_>) -> Result<Token> {
        let path = self.path.clone();
        let secret = blocking(move || {
            let shown = path.display();
            let text = file::read(&path, MAX_FILE)
                .map_err(|error| Error::internal(format!("failed to read the token in `{shown}`: {error}")))?;
            let read = serde_json::from_slice::<File>(&text).ok();
            let entry = read.and_then(|file| file.tokens.into_iter().next());
            entry.map(|entry| entry.value).ok_or_else(|| Error::internal(format!("`{shown}` has no token in it")))
        });
        Ok(Token::new(Credentials::Bearer(secret.await?)).until(SystemTime::now(), FRESH))
    }
}
