//! What a client knows before it asks anything: from the target URI, its options, and the environment.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue};
use mlflow_deploy_http::{Backoff, Connection, Environment, Policy, header_name, header_value, secret_header};
use mlflow_deploy_plugin_api::{ClientOptions, Error, JSON, Result, Secret, TargetUri};
use serde::Deserialize;

use crate::auth;
use crate::server::Server;

/// How often a request is sent again, at most, where nothing else is said; and the most that can be asked for.
const RETRIES: (u32, u32) = (5, 10);

/// The options of one client. They win over the environment.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Options {
    pub(crate) base_url: Option<String>,
    pub(crate) api_key: Option<Secret>,
    pub(crate) api_type: Option<String>,
    pub(crate) api_version: Option<String>,
    pub(crate) deployment: Option<String>,
    organization: Option<String>,
    project: Option<String>,
    headers: BTreeMap<String, Secret>,
    timeout: Option<f64>,
    max_retries: Option<u32>,
    retry_post: bool,
    allow_http: bool,
    ca_cert: Option<PathBuf>,
    client_cert: Option<PathBuf>,
    insecure: bool,
}

/// All of it, checked.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) server: Server,
    /// What goes with every request.
    pub(crate) headers: HeaderMap,
    /// How connections are made.
    pub(crate) connection: Connection,
    /// The policy of looking models up.
    pub(crate) look_up: Policy,
    /// The policy of predictions.
    pub(crate) predict: Policy,
}

impl Config {
    /// Reads everything that there is to know. No file is read.
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
                "the model may need more time for this query: ask for a stream",
            )?,
        })
    }
}

fn headers(options: &Options, server: &Server, environment: &Environment<'_>) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static(JSON));
    let variables = |names: &[&str]| names.iter().find_map(|name| environment.text(name));
    for (name, option, value) in [
        ("OpenAI-Organization", &options.organization, variables(&["OPENAI_ORG_ID", "OPENAI_ORGANIZATION"])),
        ("OpenAI-Project", &options.project, variables(&["OPENAI_PROJECT_ID"])),
    ] {
        if let Some(value) = option.clone().or(value) {
            headers.insert(header_name(name)?, header_value(name, &value)?);
        }
    }
    headers.extend(auth::header(options, server, environment)?);
    let lines = environment.text("OPENAI_CUSTOM_HEADERS").unwrap_or_default();
    for (name, value) in lines.lines().filter_map(|line| line.split_once(':')) {
        let (name, value) = (name.trim(), Secret::new(value.trim()));
        headers.insert(header_name(name)?, secret_header(name, &value)?);
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

/// What is sent again, and when.
///
/// Source: the Python package `openai`, as MLflow configures it. There, a POST is sent again also after a timeout or a
/// lost connection, and where the quota is used up.
fn policy(options: &Options) -> Result<Policy> {
    let (usual, most) = RETRIES;
    let max_retries = options.max_retries.unwrap_or(usual);
    if max_retries > most {
        return Err(Error::invalid_parameter(format!("`max_retries` is `{max_retries}`: expected 0 to {most}")));
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
