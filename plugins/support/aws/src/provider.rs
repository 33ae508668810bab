//! Fetches the access key of the chosen source, and caches it until it ends.

use std::sync::Arc;
use std::time::SystemTime;

use mlflow_deploy_http::{Client, Policy};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Redactor, Result, blocking, call};
use reqsign::aws::{
    AssumeRoleWithWebIdentityCredentialProvider, ECSCredentialProvider, IMDSv2CredentialProvider,
    ProcessCredentialProvider, SSOCredentialProvider,
};
use reqsign::{ErrorKind, ProvideCredential};
use tokio::sync::Mutex;

use crate::context::{context, metadata_client, metadata_policy};
use crate::source::Source;
use crate::{AccessKey, AwsEnvironment, Role, ServiceEndpoints};

/// A source of access keys for one client. All its clones share one cache.
#[derive(Clone, Debug)]
pub struct CredentialProvider {
    settings: Arc<Settings>,
    cached: Arc<Mutex<Option<AccessKey>>>,
}

#[derive(Clone, Debug)]
struct Settings {
    environment: AwsEnvironment,
    profile: Option<String>,
    region: String,
    role: Option<Role>,
    http: Arc<Client>,
    policy: Policy,
}

impl CredentialProvider {
    /// Creates a provider. Reads no file and sends no request. `profile` precedes the keys in the environment. `region` is the
    /// region of STS.
    pub fn new(
        environment: &AwsEnvironment,
        profile: Option<&str>,
        region: &str,
        http: &Arc<Client>,
        policy: &Policy,
    ) -> Self {
        let settings = Settings {
            environment: environment.clone(),
            profile: profile.map(str::to_owned),
            region: region.to_owned(),
            role: None,
            http: Arc::clone(http),
            policy: policy.clone(),
        };
        Self { settings: Arc::new(settings), cached: Arc::default() }
    }

    /// Returns a provider, with a cache of its own, of the keys of a role. The role is assumed with the credentials of this
    /// provider.
    #[must_use]
    pub fn with_role(&self, role: Role) -> Self {
        let settings = Settings { role: Some(role), ..(*self.settings).clone() };
        Self { settings: Arc::new(settings), cached: Arc::default() }
    }

    /// Returns an access key that is valid for two minutes or more. Fetches it unless it is cached. Concurrent callers wait for
    /// one fetch.
    ///
    /// # Errors
    /// - `INVALID_PARAMETER_VALUE` if no source is set up, or if its settings are not valid.
    /// - `UNAUTHENTICATED` or `PERMISSION_DENIED` if the source denies credentials.
    /// - The error of the request if the source cannot be reached.
    pub async fn access_key(&self) -> Result<AccessKey> {
        let mut cached = self.cached.lock().await;
        if let Some(key) = &*cached
            && key.is_fresh(SystemTime::now())
        {
            return Ok(key.clone());
        }
        let key = self.settings.fetch().await?;
        call::hide(&Redactor::new(key.secrets()));
        *cached = Some(key.clone());
        Ok(key)
    }
}

impl Settings {
    async fn fetch(&self) -> Result<AccessKey> {
        let (environment, profile) = (self.environment.clone(), self.profile.clone());
        // Choosing blocks, because it reads files.
        let chosen = blocking(move || Source::choose(&environment, profile.as_deref())).await?;
        match &self.role {
            None => self.key(&chosen).await,
            Some(role) => {
                let base = self.key(&chosen).await?;
                self.assume(role, &base).await
            }
        }
    }

    /// Returns the access key of a source. The roles of profiles are assumed one after another.
    async fn key(&self, source: &Source) -> Result<AccessKey> {
        let (mut roles, mut base) = (Vec::new(), source);
        while let Source::Role { role, base: below } = base {
            roles.push(role);
            base = below;
        }
        let mut key = self.first_key(base).await?;
        for role in roles.into_iter().rev() {
            key = self.assume(role, &key).await?;
        }
        Ok(key)
    }

    async fn first_key(&self, source: &Source) -> Result<AccessKey> {
        let context = |http, policy| context(&self.environment, http, policy);
        let plain = context(&self.http, &self.policy);
        let found = match source {
            Source::Key { key, .. } => return Ok(key.clone()),
            Source::Role { role, .. } => return Err(Error::internal(format!("the role `{}` has no source", role.arn))),
            Source::Container => {
                let metadata = context(&metadata_client(), &metadata_policy(&self.policy));
                ECSCredentialProvider::new().provide_credential(&metadata).await
            }
            Source::Instance => {
                let metadata = context(&metadata_client(), &metadata_policy(&self.policy));
                IMDSv2CredentialProvider::new().provide_credential(&metadata).await
            }
            Source::Program { command, .. } => {
                ProcessCredentialProvider::new().with_command(command.expose()).provide_credential(&plain).await
            }
            Source::Sso(sso) => {
                let provider = SSOCredentialProvider::new()
                    .with_account_id(&sso.account_id)
                    .with_region(&sso.region)
                    .with_role_name(&sso.role_name)
                    .with_start_url(&sso.token_name);
                provider.provide_credential(&plain).await
            }
            Source::WebIdentity { role, token_file } => {
                let token_file = self.environment.path(token_file);
                AssumeRoleWithWebIdentityCredentialProvider::with_config(role.arn.clone(), token_file)
                    .with_role_session_name(role.session_name.clone())
                    .with_region(self.region.clone())
                    .with_regional_sts_endpoint()
                    .provide_credential(&plain)
                    .await
            }
        };
        match found {
            Ok(Some(credential)) => Ok(credential.into()),
            Ok(None) => Err(missing(source)),
            // Its settings are complete, so that this is the error for a token that is missing or has ended.
            Err(error) if matches!(source, Source::Sso(_)) && error.kind() == ErrorKind::ConfigInvalid => {
                Err(missing(source))
            }
            Err(error) => Err(failed(source, &error)),
        }
    }

    async fn assume(&self, role: &Role, base: &AccessKey) -> Result<AccessKey> {
        call::hide(&Redactor::new(base.secrets()));
        role.assume(base, &self.region, &ServiceEndpoints::new(&self.environment), (&self.http, &self.policy)).await
    }
}

/// Returns the error for a source that has no credentials.
fn missing(source: &Source) -> Error {
    let hint = match source {
        Source::Sso(sso) => format!("its token is missing or has ended: run `aws sso login --profile {}`", sso.profile),
        _ => "it has none".to_owned(),
    };
    Error::new(ErrorCode::UNAUTHENTICATED, format!("no AWS credentials from {source}: {hint}"))
}

/// Returns the error for a source that failed.
fn failed(source: &Source, error: &reqsign::Error) -> Error {
    let mut causes = std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| error.source());
    let own = causes.find_map(|cause| cause.downcast_ref::<Error>());
    let (code, reason, is_retryable) = match own {
        Some(own) => (own.code().clone(), own.message().to_owned(), own.is_retryable()),
        None => {
            let code = match error.kind() {
                ErrorKind::CredentialInvalid => ErrorCode::UNAUTHENTICATED,
                ErrorKind::PermissionDenied => ErrorCode::PERMISSION_DENIED,
                ErrorKind::ConfigInvalid | ErrorKind::RequestInvalid => ErrorCode::INVALID_PARAMETER_VALUE,
                ErrorKind::RateLimited => ErrorCode::TEMPORARILY_UNAVAILABLE,
                ErrorKind::Unexpected if error.to_string().starts_with("ExpiredToken") => ErrorCode::UNAUTHENTICATED,
                ErrorKind::Unexpected => ErrorCode::INTERNAL_ERROR,
            };
            (code, error.to_string(), error.is_retryable())
        }
    };
    let message = match source {
        // This is the last source, which is asked because no other one is set up.
        Source::Instance => format!(
            "no AWS credentials found: set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or `AWS_PROFILE`; {source} \
             does not answer either: {reason}"
        ),
        _ => format!("no AWS credentials from {source}: {reason}"),
    };
    let failed = Error::new(code, message);
    if is_retryable { failed.retryable() } else { failed }
}
