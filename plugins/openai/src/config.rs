//! The configuration of a client, from the target URI, the client options and the environment.

use std::time::Duration;

use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue};
use mlflow_deploy_http::{Backoff, Connection, Environment, Policy, header_name, header_value, secret_header};
use mlflow_deploy_plugin_api::{ClientOptions, Error, JSON, Result, Secret, TargetUri};

use crate::auth;
use crate::options::Options;
use crate::server::Server;

/// The default of the client option `max_retries`.
const DEFAULT_RETRIES: u32 = 5;

/// The largest allowed value of the client option `max_retries`.
const MAX_RETRIES: u32 = 10;

/// The validated configuration of a client.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) server: Server,
    /// The headers of every request, including the credentials.
    pub(crate) headers: HeaderMap,
    /// The settings of all connections to the server, such as proxies and certificates.
    pub(crate) connection: Connection,
    /// The retry policy of requests that list or get models.
    pub(crate) look_up: Policy,
    /// The retry policy of requests for predictions.
    pub(crate) predict: Policy,
}

impl Config {
    /// Reads and validates the target URI, the options and the environment. Reads no files.
    pub(crate) fn new(target: &TargetUri, options: &ClientOptions, environment: &Environment<'_>) -> Result<Self> {
        let options: Options = options.parse()?;
        let server = Server::new(target, &options, environment)?;
        let policy = policy(&options)?;
        Ok(Self {
            headers: headers(&options, &server, environment)?,
            server,
            connection: connection(&options, environment)?,
            look_up: policy.clone().for_lookups(environment, options.timeout)?,
            predict: policy.for_predictions(
                environment,
                options.timeout,
                "the model may need more time for this query: use `predict_stream`",
            )?,
        })
    }
}

fn headers(options: &Options, server: &Server, environment: &Environment<'_>) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static(JSON));
    for (name, option, value, variables) in [
        ("OpenAI-Organization", "organization", &options.organization, &["OPENAI_ORG_ID", "OPENAI_ORGANIZATION"][..]),
        ("OpenAI-Project", "project", &options.project, &["OPENAI_PROJECT_ID"]),
    ] {
        let variable = || variables.iter().find_map(|name| Some((*name, environment.text(name)?)));
        if let Some((source, value)) = value.clone().map(|value| (option, value)).or_else(variable) {
            headers.insert(header_name(name)?, header_value(source, &value)?);
        }
    }
    headers.extend(auth::header(options, server, environment)?);
    const CUSTOM: &str = "OPENAI_CUSTOM_HEADERS";
    let lines = environment.text(CUSTOM).unwrap_or_default();
    for (name, value) in lines.lines().filter_map(|line| line.split_once(':')) {
        let (name, value) = (name.trim(), Secret::new(value.trim()));
        let invalid = |error: Error| Error::invalid_parameter(format!("`{CUSTOM}` is wrong: {}", error.message()));
        let header = header_name(name).map_err(invalid)?;
        headers.insert(header, secret_header(name, &value).map_err(invalid)?);
    }
    for (name, value) in &options.headers {
        headers.insert(header_name(name)?, secret_header(name, value)?);
    }
    Ok(headers)
}

fn connection(options: &Options, environment: &Environment<'_>) -> Result<Connection> {
    let mut connection = environment.connection(options.insecure, options.ca_cert.clone(), ["insecure", "ca_cert"])?;
    connection.client_cert.clone_from(&options.client_cert);
    connection.allow_http = options.allow_http;
    Ok(connection)
}

/// Returns the retry policy for all requests.
///
/// Source: the Python package `openai`, as MLflow configures it. There are two differences. By default, this policy
/// does not repeat a POST request after a timeout or a lost connection. It never repeats a request after the error
/// `insufficient_quota`.
fn policy(options: &Options) -> Result<Policy> {
    let max_retries = options.max_retries.unwrap_or(DEFAULT_RETRIES);
    if max_retries > MAX_RETRIES {
        let message = format!("invalid `max_retries` `{max_retries}`: expected 0 to {MAX_RETRIES}");
        return Err(Error::invalid_parameter(message));
    }
    let codes: Vec<u16> = [408, 409, 429].into_iter().chain(500..600).collect();
    Ok(Policy {
        max_retries,
        backoff: Backoff::OpenAi { first: 0.5 },
        retry_codes: codes.clone().into(),
        post_retry_codes: codes.into(),
        final_codes: (&["insufficient_quota"]).into(),
        respect_should_retry: true,
        max_wait: Duration::from_secs(120),
        repeat_post: options.retry_post,
        ..Policy::default()
    })
}
