//! The configuration of a client, from the target URI, the client options and the environment.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use mlflow_deploy_http::{Connection, Credentials, Environment, Policy, header_name, parse_url, secret_header};
use mlflow_deploy_model_uri::{Tracking, TrackingOptions};
use mlflow_deploy_plugin_api::{ClientOptions, Error, Result, Secret, TargetUri};
use serde::Deserialize;
use url::Url;

use crate::address;

/// The range of valid values for the option `poll_interval`, in seconds.
const POLL_INTERVALS: RangeInclusive<f64> = 0.05..=60.0;

/// The number of retries, unless an option or a variable sets another one. With MLflow's seven, the error for an address
/// without a cluster would take minutes.
const MAX_RETRIES: u32 = 2;

/// The maximum time of one request to the dashboard, with its retries. The first one starts Serve.
const DASHBOARD_TOTAL: Duration = Duration::from_secs(300);

/// The client options of the plugin. They take precedence over environment variables.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    address: Option<String>,
    https: bool,
    token: Option<Secret>,
    headers: BTreeMap<String, Secret>,
    serve_url: Option<String>,
    serve_headers: BTreeMap<String, Secret>,
    timeout: Option<f64>,
    max_retries: Option<i64>,
    retry_post: bool,
    poll_interval: Option<f64>,
    ca_cert: Option<PathBuf>,
    client_cert: Option<PathBuf>,
    insecure: bool,
    tracking_uri: Option<Secret>,
    registry_uri: Option<Secret>,
    max_model_files: Option<u64>,
    max_model_bytes: Option<u64>,
    tracking_username: Option<String>,
    tracking_password: Option<Secret>,
    tracking_token: Option<Secret>,
}

/// The validated configuration of a client.
#[derive(Debug)]
pub(crate) struct Config {
    /// The URL of the cluster's dashboard.
    pub(crate) dashboard: Url,
    /// The headers of every request to the dashboard, with the credentials.
    pub(crate) headers: HeaderMap,
    /// The URL of Serve's HTTP proxy, instead of the one that the cluster names.
    pub(crate) serve_url: Option<Url>,
    /// The headers of every prediction.
    pub(crate) serve_headers: HeaderMap,
    /// The settings of all connections.
    pub(crate) connection: Connection,
    /// The time limits and retries of requests to the dashboard.
    pub(crate) manage: Policy,
    /// The time limits and retries of predictions.
    pub(crate) predict: Policy,
    /// The time between two polls of a change.
    pub(crate) poll_interval: Duration,
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
        let dashboard = address::dashboard(target, options.address.as_deref(), options.https, environment)?;
        let interval = options.poll_interval.unwrap_or(1.0);
        if !POLL_INTERVALS.contains(&interval) {
            let (min, max) = POLL_INTERVALS.into_inner();
            let message = format!("invalid `poll_interval` `{interval}`: expected {min} to {max} seconds");
            return Err(Error::invalid_parameter(message));
        }
        let mut connection =
            environment.connection(options.insecure, options.ca_cert.clone(), ["insecure", "ca_cert"])?;
        connection.client_cert.clone_from(&options.client_cert);
        let mut policy = environment.policy(options.max_retries)?;
        if options.max_retries.is_none() && environment.text("MLFLOW_HTTP_REQUEST_MAX_RETRIES").is_none() {
            policy.max_retries = MAX_RETRIES;
        }
        let manage =
            Policy { total: Some(DASHBOARD_TOTAL), advice: "raise `timeout` to wait longer".into(), ..policy.clone() };
        Ok(Self {
            headers: dashboard_headers(&options, environment)?,
            serve_headers: headers(&options.serve_headers)?,
            serve_url: options.serve_url.as_deref().map(serve_url).transpose()?,
            connection,
            manage: manage.within(options.timeout)?,
            predict: Policy { repeat_post: options.retry_post, ..policy }.for_predictions(
                environment,
                options.timeout,
                "the model may need more replicas for its load",
            )?,
            poll_interval: Duration::from_secs_f64(interval),
            tracking: tracking(options, environment),
            dashboard,
        })
    }
}

fn dashboard_headers(options: &Options, environment: &Environment<'_>) -> Result<HeaderMap> {
    let mut sent = HeaderMap::new();
    let token = match &options.token {
        Some(token) => Some((token.clone(), "the option `token`")),
        None => environment.secret("RAY_AUTH_TOKEN").map(|token| (token, "`RAY_AUTH_TOKEN`")),
    };
    if let Some((token, source)) = token {
        sent.insert(AUTHORIZATION, Credentials::Bearer(token).header_of(source)?);
    }
    sent.extend(headers(&options.headers)?);
    Ok(sent)
}

fn headers(named: &BTreeMap<String, Secret>) -> Result<HeaderMap> {
    named.iter().map(|(name, value)| Ok((header_name(name)?, secret_header(name, value)?))).collect()
}

fn serve_url(text: &str) -> Result<Url> {
    const EXAMPLE: &str = "http://localhost:8000";
    let url = parse_url("the option `serve_url`", text, EXAMPLE)?;
    let is_plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if !matches!(url.scheme(), "http" | "https") || !is_plain {
        return Err(Error::invalid_parameter(format!(
            "the option `serve_url` is not the URL of Serve's HTTP proxy: expected `http` or `https` without a user and a \
             query, such as `{EXAMPLE}`; set credentials in the option `serve_headers`"
        )));
    }
    Ok(url)
}

fn tracking(options: Options, environment: &Environment<'_>) -> Result<Tracking> {
    let options = TrackingOptions {
        tracking_uri: options.tracking_uri,
        registry_uri: options.registry_uri,
        username: options.tracking_username,
        password: options.tracking_password,
        token: options.tracking_token,
        max_retries: options.max_retries,
        max_model_files: options.max_model_files,
        max_model_bytes: options.max_model_bytes,
        ..TrackingOptions::default()
    };
    Tracking::new(options, environment)
}
