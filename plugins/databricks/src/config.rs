//! What a client knows before it asks anything: from the target URI, its options, and the environment.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use mlflow_deploy_http::{Connection, Environment, Policy, header_name, header_value, secret_header};
use mlflow_deploy_plugin_api::{ClientOptions, Error, Result, TargetUri};

use crate::options::Options;
use crate::workspace::Workspace;

/// The shortest and the longest `poll_interval`, in seconds.
const POLL_INTERVALS: (f64, f64) = (0.1, 3600.0);

/// All of it, checked.
#[derive(Debug)]
pub(crate) struct Config {
    /// The workspace; or what is wrong with it, which every operation answers. A client can be made without.
    pub(crate) workspace: Result<Workspace>,
    /// What goes with every request, beside the credentials.
    pub(crate) headers: HeaderMap,
    /// How connections are made.
    pub(crate) connection: Connection,
    /// The policy of everything but predictions.
    pub(crate) manage: Policy,
    /// The policy of predictions.
    pub(crate) predict: Policy,
    /// How long to wait before an endpoint is looked at again, at first.
    pub(crate) poll_interval: Duration,
}

impl Config {
    /// Reads everything that there is to know.
    pub(crate) fn new(target: &TargetUri, options: &ClientOptions, environment: &Environment<'_>) -> Result<Self> {
        let options: Options = options.parse()?;
        let interval = options.poll_interval.unwrap_or(1.0);
        let (shortest, longest) = POLL_INTERVALS;
        if !(shortest..=longest).contains(&interval) {
            return Err(Error::invalid_parameter(format!(
                "`poll_interval` is `{interval}`: expected seconds, {shortest} to {longest}"
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
    const ONE: &str = "MLFLOW_HTTP_REQUEST_TIMEOUT";
    const ALL: &str = "MLFLOW_DATABRICKS_ENDPOINT_HTTP_RETRY_TIMEOUT";
    let policy = Policy {
        silence: environment.seconds(ONE, 120)?,
        total: Some(environment.seconds(ALL, 500)?),
        advice: format!("raise `timeout`, `{ONE}` (for one attempt) or `{ALL}` (for all) to wait longer").into(),
        ..environment.policy(options.max_retries)?
    };
    policy.within(options.timeout)
}
