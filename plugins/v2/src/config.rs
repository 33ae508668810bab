//! The configuration of a client, from the target URI, the client options and the environment.

use std::collections::BTreeMap;
use std::path::PathBuf;

use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderMap, HeaderValue};
use mlflow_deploy_http::{Connection, Credentials, Environment, Policy, header_name, secret_header};
use mlflow_deploy_model_uri::{Tracking, TrackingOptions};
use mlflow_deploy_plugin_api::{ClientOptions, Error, Result, Secret, TargetUri};
use serde::Deserialize;
use url::Url;

use crate::address;

/// The environment variable with the token for the server.
const TOKEN: &str = "MLFLOW_DEPLOY_V2_TOKEN";

/// The client options of the plugin. They take precedence over environment variables.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    username: Option<String>,
    password: Option<Secret>,
    token: Option<Secret>,
    headers: BTreeMap<String, Secret>,
    timeout: Option<f64>,
    max_retries: Option<i64>,
    retry_post: bool,
    ca_cert: Option<PathBuf>,
    client_cert: Option<PathBuf>,
    insecure: bool,
    tracking_uri: Option<Secret>,
    registry_uri: Option<Secret>,
    max_model_files: Option<u64>,
    max_model_bytes: Option<u64>,
}

/// The validated configuration of a client.
#[derive(Debug)]
pub(crate) struct Config {
    /// The server's base URL. It has no user, password, query or fragment.
    pub(crate) base: Url,
    /// The headers of every request, including the credentials.
    pub(crate) headers: HeaderMap,
    /// The settings of all connections to the server, such as proxies and certificates.
    pub(crate) connection: Connection,
    /// The policy of requests that read metadata, or load and unload models. A repetition of these requests is
    /// harmless.
    pub(crate) manage: Policy,
    /// The policy of requests for predictions.
    pub(crate) predict: Policy,
    /// The tracking server from which models are fetched, or the error of its settings. A client that creates no
    /// deployment does not need it.
    pub(crate) tracking: Result<Tracking>,
}

impl Config {
    /// Reads and validates the target URI, the options and the environment. Reads MLflow's credentials file, and no
    /// other file.
    pub(crate) fn new(target: &TargetUri, options: &ClientOptions, environment: &Environment<'_>) -> Result<Self> {
        let options: Options = options.parse()?;
        let policy = environment.policy(options.max_retries)?;
        let manage = Policy { repeat_post: true, ..policy.clone() };
        let predict = Policy { repeat_post: options.retry_post, ..policy };
        let tracking = TrackingOptions {
            tracking_uri: options.tracking_uri.clone(),
            registry_uri: options.registry_uri.clone(),
            max_model_files: options.max_model_files,
            max_model_bytes: options.max_model_bytes,
            ..TrackingOptions::default()
        };
        Ok(Self {
            base: address::base(target)?,
            headers: headers(&options, environment)?,
            connection: connection(&options, environment)?,
            manage: manage.for_lookups(environment, options.timeout)?,
            predict: predict.for_predictions(
                environment,
                options.timeout,
                "the model may need more time for so many rows: send fewer",
            )?,
            tracking: Tracking::new(tracking, environment),
        })
    }
}

fn headers(options: &Options, environment: &Environment<'_>) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    let credentials = match (&options.username, &options.password, &options.token) {
        (Some(username), Some(password), None) => {
            Some((Credentials::Basic(username.clone(), password.clone()), "the option `password`".to_owned()))
        }
        (None, None, Some(token)) => Some((Credentials::Bearer(token.clone()), "the option `token`".to_owned())),
        (None, None, None) => environment.secret(TOKEN).map(|token| (Credentials::Bearer(token), format!("`{TOKEN}`"))),
        _ => {
            let message = "set either the option `token`, or the options `username` and `password` together";
            return Err(Error::invalid_parameter(message));
        }
    };
    if let Some((credentials, source)) = credentials {
        headers.insert(AUTHORIZATION, credentials.header_of(&source)?);
    }
    for (name, value) in &options.headers {
        headers.insert(header_name(name)?, secret_header(name, value)?);
    }
    Ok(headers)
}

fn connection(options: &Options, environment: &Environment<'_>) -> Result<Connection> {
    let mut connection = environment.connection(options.insecure, options.ca_cert.clone(), ["insecure", "ca_cert"])?;
    connection.client_cert.clone_from(&options.client_cert);
    Ok(connection)
}
