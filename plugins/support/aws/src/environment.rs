//! The environment variables of AWS that this crate reads, as they are when a client is created.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use mlflow_deploy_http::Environment;
use reqsign::StaticEnv;

/// The names of all variables, apart from those of the services' endpoints.
const NAMES: [&str; 25] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_ENDPOINT_URL",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_ENDPOINT_URL_STS",
    "AWS_ENDPOINT_URL_SSO",
    "HOME",
    "PATH",
];

/// The environment variables of AWS, copied from the environment of a process or of a test.
#[derive(Clone, Default)]
pub struct AwsEnvironment {
    variables: HashMap<String, String>,
}

impl AwsEnvironment {
    /// Copies the variables of AWS. `services` are the services whose endpoints may be set, such as `SAGEMAKER_RUNTIME` for
    /// the variable `AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME`.
    pub fn new(environment: &Environment<'_>, services: &[&str]) -> Self {
        let of_services = services.iter().map(|service| format!("AWS_ENDPOINT_URL_{service}"));
        let names = NAMES.into_iter().map(str::to_owned).chain(of_services);
        Self {
            variables: names.filter_map(|name| Some((environment.text(&name)?, name))).map(|(v, n)| (n, v)).collect(),
        }
    }

    /// Returns the value of a variable; `None` if it is unset or empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// Returns the region of `AWS_REGION` or `AWS_DEFAULT_REGION`.
    pub fn region(&self) -> Option<&str> {
        self.text("AWS_REGION").or_else(|| self.text("AWS_DEFAULT_REGION"))
    }

    /// Returns the home folder.
    pub(crate) fn home(&self) -> Option<PathBuf> {
        self.text("HOME").map(PathBuf::from)
    }

    /// Returns a path whose `~` stands for the home folder.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        match (path.strip_prefix("~/"), self.home()) {
            (Some(below), Some(home)) => home.join(below),
            _ => PathBuf::from(path),
        }
    }

    /// Returns the variables as reqsign's type.
    pub(crate) fn for_reqsign(&self) -> StaticEnv {
        StaticEnv { home_dir: self.home(), envs: self.variables.clone() }
    }
}

/// Shows no variables, because some are secrets.
impl fmt::Debug for AwsEnvironment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AwsEnvironment").finish_non_exhaustive()
    }
}
