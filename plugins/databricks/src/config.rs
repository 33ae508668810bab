//! The configuration of a client, which is read from the target URI, the options and the environment.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use mlflow_deploy_http::{Connection, Environment, Policy, header_name, header_value, secret_header};
use mlflow_deploy_plugin_api::{ClientOptions, Error, Result, TargetUri};

use crate::options::Options;
use crate::workspace::Workspace;

/// The range of valid values for the option `poll_interval`, in seconds.
const POLL_INTERVALS: RangeInclusive<f64> = 0.1..=3600.0;

/// The validated configuration of a client.
#[derive(Debug)]
pub(crate) struct Config {
    /// The workspace, or the error that every operation returns. The error is stored so that a client can be created
    /// without a workspace.
    pub(crate) workspace: Result<Workspace>,
    /// The headers that every request has in addition to the credentials.
    pub(crate) headers: HeaderMap,
    /// The settings of HTTP connections.
    pub(crate) connection: Connection,
    /// The policy for timeouts and retries of all operations except predictions.
    pub(crate) manage: Policy,
    /// The policy for timeouts and retries of predictions.
    pub(crate) predict: Policy,
    /// The time between the first two polls for the state of an endpoint.
    pub(crate) poll_interval: Duration,
}

impl Config {
    /// Reads and validates the configuration of a client.
    pub(crate) fn new(target: &TargetUri, options: &ClientOptions, environment: &Environment<'_>) -> Result<Self> {
        let options: Options = options.parse()?;
        let interval = options.poll_interval.unwrap_or(1.0);
        if !POLL_INTERVALS.contains(&interval) {
            let (min, max) = POLL_INTERVALS.into_inner();
            return Err(Error::invalid_parameter(format!(
                "invalid `poll_interval` `{interval}`: expected {min} to {max} seconds"
            )));
        }
        let mut connection =
            environment.connection(options.insecure, options.ca_cert.clone(), ["insecure", "ca_cert"])?;
        connection.allow_http = options.allow_http;
        Ok(Self {
            headers: headers(&options, environment)?,
            connection,
            manage: manage(&options, environment)?,
            predict: Policy { repeat_post: options.retry_post, ..environment.policy(options.max_retries)? }
                .for_predictions(
                    environment,
                    options.timeout,
                    "the model may need more time for this query: see its parameters",
                )?,
            poll_interval: Duration::from_secs_f64(interval),
            workspace: Workspace::new(target, options, environment),
        })
    }
}

fn headers(options: &Options, environment: &Environment<'_>) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert("x-databricks-endpoints-api-client", HeaderValue::from_static("mlflow-deploy"));
    let variables =
        [("x-mlflow-workspace", "MLFLOW_WORKSPACE"), ("x-databricks-traffic-id", "MLFLOW_DATABRICKS_TRAFFIC_ID")];
    for (name, variable) in variables {
        if let Some(value) = environment.text(variable) {
            headers.insert(HeaderName::from_static(name), header_value(variable, &value)?);
        }
    }
    for (name, value) in &options.headers {
        headers.insert(header_name(name)?, secret_header(name, value)?);
    }
    Ok(headers)
}

fn manage(options: &Options, environment: &Environment<'_>) -> Result<Policy> {
    const PER_ATTEMPT: &str = "MLFLOW_HTTP_REQUEST_TIMEOUT";
    const TOTAL: &str = "MLFLOW_DATABRICKS_ENDPOINT_HTTP_RETRY_TIMEOUT";
    let policy = Policy {
        silence: environment.seconds(PER_ATTEMPT, 120)?,
        total: Some(environment.seconds(TOTAL, 500)?),
        advice: format!("raise `timeout`, `{PER_ATTEMPT}` (for one attempt) or `{TOTAL}` (for all) to wait longer")
            .into(),
        ..environment.policy(options.max_retries)?
    };
    policy.within(options.timeout)
}
