//! Tests of signatures, and of all sources of credentials against scripted servers.

mod metadata;
mod profiles;
mod signatures;
mod sources;

use std::fs;
use std::sync::Arc;

use mlflow_deploy_http::{Backoff, Client, Connection, Environment, Policy};
use mlflow_deploy_plugin_api::{Error, Result};
use tempfile::TempDir;

use crate::{AccessKey, AwsEnvironment, CredentialProvider, Role};

/// A home folder, and the environment variables of a test.
struct Home {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

impl Home {
    /// Returns an empty home folder. The metadata service is off.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap().to_owned();
        let path = ("PATH".to_owned(), "/usr/bin:/bin".to_owned());
        let variables = vec![("HOME".to_owned(), home), path];
        Self { folder, variables }.with("AWS_EC2_METADATA_DISABLED", "true")
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(each, _)| each != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes a file below the home folder.
    fn file(self, path: &str, text: &str) -> Self {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn environment(&self) -> AwsEnvironment {
        let lookup = |name: &str| self.variables.iter().find(|(each, _)| each == name).map(|(_, value)| value.clone());
        AwsEnvironment::new(&Environment::new(&lookup), &[])
    }

    fn provider(&self) -> CredentialProvider {
        let http = Arc::new(Client::new(Connection::default()));
        let backoff = Backoff::Mlflow { factor: 0.0, jitter: 0.0 };
        let policy = Policy { max_retries: 1, backoff, ..Policy::default() };
        CredentialProvider::new(&self.environment(), None, "eu-west-1", &http, &policy)
    }

    async fn key(&self) -> Result<AccessKey> {
        self.provider().access_key().await
    }

    async fn role_key(&self, arn: &str) -> Result<AccessKey> {
        self.provider().with_role(Role::new(arn, "session")).access_key().await
    }
}

/// Returns the three parts of a key.
fn parts(key: &AccessKey) -> [&str; 3] {
    [&key.id, key.secret.expose(), key.session_token.as_ref().map_or("", |token| token.expose())]
}

/// Fails if an error shows one of these secrets.
fn assert_hidden(error: &Error, secrets: &[&str]) {
    let shown = format!("{error} {error:?}");
    for secret in secrets {
        assert!(!shown.contains(secret), "`{secret}` is in {shown}");
    }
}
