//! The configuration of a client, from the target URI, the client options and the environment.

use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mlflow_deploy_aws::{AwsEnvironment, check_region};
use mlflow_deploy_http::{Connection, Environment, Policy};
use mlflow_deploy_model_uri::{Tracking, TrackingOptions};
use mlflow_deploy_plugin_api::{ClientOptions, Error, Result, Secret, TargetUri};
use serde::Deserialize;

use crate::failure::THROTTLED;

/// The region of a target without a region, as in MLflow.
const DEFAULT_REGION: &str = "us-west-2";

/// The range of valid values for the option `poll_interval`, in seconds.
const POLL_INTERVALS: RangeInclusive<f64> = 0.05..=60.0;

/// The number of retries, unless an option or a variable sets another one.
const MAX_RETRIES: u32 = 4;

/// The maximum time of one request that manages resources, with its retries.
const MANAGE_TOTAL: Duration = Duration::from_secs(120);

/// The services whose URLs variables may replace.
const SERVICES: [&str; 6] = ["APPLICATION_AUTO_SCALING", "ECR", "IAM", "S3", "SAGEMAKER", "SAGEMAKER_RUNTIME"];

/// The client options of the plugin. They take precedence over environment variables.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    profile: Option<String>,
    timeout: Option<f64>,
    max_retries: Option<i64>,
    retry_post: bool,
    poll_interval: Option<f64>,
    ca_cert: Option<PathBuf>,
    client_cert: Option<PathBuf>,
    insecure: bool,
    tracking_uri: Option<Secret>,
    registry_uri: Option<Secret>,
    tracking_username: Option<String>,
    tracking_password: Option<Secret>,
    tracking_token: Option<Secret>,
}

/// The variables that the client of S3 reads, apart from those for credentials and the region.
const STORAGE: [&str; 13] = [
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL",
    "AWS_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
];

/// The validated configuration of a client.
pub(crate) struct Config {
    /// The region of the target.
    pub(crate) region: String,
    /// The role that is assumed for all requests, unless a config names another one.
    pub(crate) role: Option<String>,
    /// The profile whose credentials are used.
    pub(crate) profile: Option<String>,
    /// The variables of AWS.
    pub(crate) aws: AwsEnvironment,
    /// The settings of all connections.
    pub(crate) connection: Connection,
    /// The time limits and retries of requests that manage resources.
    pub(crate) manage: Policy,
    /// The time limits and retries of predictions.
    pub(crate) predict: Policy,
    /// The time between two polls of a change.
    pub(crate) poll_interval: Duration,
    /// The image of `MLFLOW_SAGEMAKER_DEPLOY_IMG_URL`.
    pub(crate) image: Option<String>,
    /// The variables for proxies that MLflow's client passes on to the containers, with their values.
    pub(crate) proxies: Vec<(&'static str, String)>,
    /// The variables for the client of S3.
    pub(crate) storage: Arc<HashMap<String, String>>,
    /// The servers from which models are fetched, or the error of their settings, which only a fetch returns.
    pub(crate) tracking: Result<Tracking>,
}

impl Config {
    /// Reads and validates the configuration of a client.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the target URI, an option or a variable is invalid.
    pub(crate) fn new(target: &TargetUri, options: &ClientOptions, environment: &Environment<'_>) -> Result<Self> {
        let options: Options = options.parse()?;
        let (region, role) = place(target)?;
        let interval = options.poll_interval.unwrap_or(5.0);
        if !POLL_INTERVALS.contains(&interval) {
            let (min, max) = POLL_INTERVALS.into_inner();
            let message = format!("invalid `poll_interval` `{interval}`: expected {min} to {max} seconds");
            return Err(Error::invalid_parameter(message));
        }
        let ca_certs = options.ca_cert.clone().or_else(|| environment.text("AWS_CA_BUNDLE").map(PathBuf::from));
        let mut connection = environment.connection(options.insecure, ca_certs, ["insecure", "ca_cert"])?;
        connection.client_cert.clone_from(&options.client_cert);
        let mut policy = environment.policy(options.max_retries)?;
        if options.max_retries.is_none() && environment.text("MLFLOW_HTTP_REQUEST_MAX_RETRIES").is_none() {
            policy.max_retries = MAX_RETRIES;
        }
        policy.retry_error_codes = (&THROTTLED).into();
        // A redirect would need another signature.
        policy.follow_redirects = false;
        let manage =
            Policy { total: Some(MANAGE_TOTAL), advice: "raise `timeout` to wait longer".into(), ..policy.clone() };
        Ok(Self {
            region,
            role,
            aws: AwsEnvironment::new(environment, &SERVICES),
            connection,
            manage: manage.within(options.timeout)?,
            predict: Policy { repeat_post: options.retry_post, ..policy }.for_predictions(
                environment,
                options.timeout,
                "the endpoint may need more instances for its load",
            )?,
            poll_interval: Duration::from_secs_f64(interval),
            image: environment.text("MLFLOW_SAGEMAKER_DEPLOY_IMG_URL"),
            proxies: ["http_proxy", "https_proxy", "no_proxy"]
                .into_iter()
                .filter_map(|name| Some((name, environment.text(name)?)))
                .collect(),
            storage: Arc::new(storage(&options, environment)),
            tracking: tracking(&options, environment),
            profile: options.profile,
        })
    }
}

/// Shows no variables, because the URL of a proxy may have a password.
impl fmt::Debug for Config {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Config").field("region", &self.region).field("role", &self.role).finish_non_exhaustive()
    }
}

/// Returns the variables for the client of S3.
fn storage(options: &Options, environment: &Environment<'_>) -> HashMap<String, String> {
    let mut variables: HashMap<_, _> =
        STORAGE.into_iter().filter_map(|name| Some((name.to_owned(), environment.text(name)?))).collect();
    if let Some(file) = &options.ca_cert {
        variables.insert("AWS_CA_BUNDLE".to_owned(), file.display().to_string());
    }
    if options.insecure {
        variables.retain(|name, _| !name.ends_with("CA_BUNDLE"));
        variables.insert("MLFLOW_S3_IGNORE_TLS".to_owned(), "true".to_owned());
    }
    variables
}

/// Returns the region and the role of a target URI: `sagemaker`, `sagemaker:/REGION` or `sagemaker:/REGION/ROLE_ARN`.
fn place(target: &TargetUri) -> Result<(String, Option<String>)> {
    let path = target.suffix().trim_matches('/');
    if path.is_empty() {
        return Ok((DEFAULT_REGION.to_owned(), None));
    }
    let (region, role) = path.split_once('/').unwrap_or((path, ""));
    if region.starts_with("arn") {
        return Err(Error::invalid_parameter(
            "the target has the ARN of a role without a region: expected `sagemaker:/REGION/ROLE_ARN`, such as \
             `sagemaker:/us-east-1/arn:aws:iam::123456789012:role/deploy`",
        ));
    }
    check_region(region)?;
    let role = role.trim_matches('/');
    if !role.is_empty() {
        check_role("the target", role)?;
    }
    Ok((region.to_owned(), (!role.is_empty()).then(|| role.to_owned())))
}

/// Fails if a text is not the ARN of a role. `source` names the setting.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE`, with an example.
pub(crate) fn check_role(source: &str, arn: &str) -> Result<()> {
    if arn.starts_with("arn:") && arn.is_ascii() && arn.len() <= 2048 && !arn.contains(char::is_whitespace) {
        return Ok(());
    }
    let shown: String = arn.chars().take(100).collect();
    Err(Error::invalid_parameter(format!(
        "invalid role `{}` in {source}: expected an ARN, such as `arn:aws:iam::123456789012:role/deploy`",
        mlflow_deploy_plugin_api::text::line(&shown)
    )))
}

fn tracking(options: &Options, environment: &Environment<'_>) -> Result<Tracking> {
    let options = TrackingOptions {
        tracking_uri: options.tracking_uri.clone(),
        registry_uri: options.registry_uri.clone(),
        username: options.tracking_username.clone(),
        password: options.tracking_password.clone(),
        token: options.tracking_token.clone(),
        max_retries: options.max_retries,
        ..TrackingOptions::default()
    };
    Tracking::new(options, environment)
}
