//! What a client knows before it asks anything: from the target URI, its options, and the environment.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use mlflow_deploy_http::{Connection, Environment, Policy, Secret, header_name, header_value, secret_header};
use mlflow_deploy_plugin_api::{ClientOptions, Error, Result, TargetUri, call};
use serde::Deserialize;
use url::Url;

use crate::auth;

/// How long looking an endpoint up, or listing all, may take altogether.
const LOOKING_UP: Duration = Duration::from_secs(600);

/// The options of one client. They win over the environment.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Options {
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) token: Option<Secret>,
    headers: BTreeMap<String, Secret>,
    timeout: Option<f64>,
    max_retries: Option<i64>,
    retry_post: bool,
    ca_cert: Option<PathBuf>,
    client_cert: Option<PathBuf>,
    insecure: Option<bool>,
}

/// All of it, checked.
#[derive(Debug)]
pub(crate) struct Config {
    /// The target, without user, password, query and fragment.
    pub(crate) base: Url,
    /// What goes with every request.
    pub(crate) headers: HeaderMap,
    /// How connections are made.
    pub(crate) connection: Connection,
    /// The policy of looking endpoints up.
    pub(crate) look_up: Policy,
    /// The policy of predictions.
    pub(crate) predict: Policy,
}

impl Config {
    /// Reads everything that there is to know. Of files, only MLflow's credentials are read.
    pub(crate) fn new(target: &TargetUri, options: &ClientOptions, environment: &Environment<'_>) -> Result<Self> {
        let options: Options = options.parse()?;
        // The URI is not repeated: it may hold a password.
        let target = Url::parse(target.as_str())
            .map_err(|error| Error::invalid_parameter(format!("the target URI is not a URL: {error}")))?;
        if target.query().is_some() || target.fragment().is_some() {
            return Err(Error::invalid_parameter(
                "the target URI has a query or a fragment: only a path can follow the host",
            ));
        }
        Ok(Self {
            base: without_user(&target),
            headers: headers(&options, &target, environment)?,
            connection: connection(&options, environment)?,
            look_up: look_up(&options, environment)?,
            predict: predict(&options, environment)?,
        })
    }
}

fn without_user(target: &Url) -> Url {
    let mut base = target.clone();
    // Neither can fail: `http` and `https` URLs have hosts.
    let _has_host = base.set_username("");
    let _has_host = base.set_password(None);
    base
}

fn headers(options: &Options, target: &Url, environment: &Environment<'_>) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    let variables =
        [("X-MLFLOW-WORKSPACE", "MLFLOW_WORKSPACE"), ("x-databricks-traffic-id", "MLFLOW_DATABRICKS_TRAFFIC_ID")];
    for (name, variable) in variables {
        if let Some(value) = environment.text(variable) {
            headers.insert(header_name(name)?, header_value(variable, &value)?);
        }
    }
    if let Some(credentials) = auth::credentials(options, target, environment)? {
        headers.insert(AUTHORIZATION, credentials.header()?);
    } else if environment.flag("MLFLOW_TRACKING_AWS_SIGV4", false)?
        || environment.text("MLFLOW_TRACKING_AUTH").is_some()
    {
        call::warn(
            "requests are not signed: `MLFLOW_TRACKING_AWS_SIGV4` and `MLFLOW_TRACKING_AUTH` work in Python alone",
        );
    }
    for (name, value) in &options.headers {
        headers.insert(header_name(name)?, secret_header(name, value)?);
    }
    Ok(headers)
}

fn connection(options: &Options, environment: &Environment<'_>) -> Result<Connection> {
    let path = |variable: &str| environment.text(variable).map(PathBuf::from);
    let (insecure, ca_certs) = match (options.insecure, &options.ca_cert) {
        (None, None) => {
            (environment.flag("MLFLOW_TRACKING_INSECURE_TLS", false)?, path("MLFLOW_TRACKING_SERVER_CERT_PATH"))
        }
        (insecure, ca_cert) => (insecure.unwrap_or(false), ca_cert.clone()),
    };
    if insecure && ca_certs.is_some() {
        return Err(Error::invalid_parameter(
            "the server's certificate cannot be ignored and checked: give only one of `insecure` and `ca_cert`, \
             or of `MLFLOW_TRACKING_INSECURE_TLS` and `MLFLOW_TRACKING_SERVER_CERT_PATH`",
        ));
    }
    Ok(Connection {
        insecure,
        ca_certs: ca_certs.or_else(|| environment.ca_certs()),
        client_cert: options.client_cert.clone().or_else(|| path("MLFLOW_TRACKING_CLIENT_CERT_PATH")),
        proxies: environment.proxies(),
        ..Connection::default()
    })
}

fn look_up(options: &Options, environment: &Environment<'_>) -> Result<Policy> {
    const VARIABLE: &str = "MLFLOW_DEPLOYMENT_CLIENT_HTTP_REQUEST_TIMEOUT";
    let policy = environment.policy(options.max_retries)?;
    let policy = Policy {
        silence: environment.seconds(VARIABLE, 300)?,
        total: Some(LOOKING_UP),
        advice: format!("raise `timeout` or `{VARIABLE}` to wait longer").into(),
        ..policy
    };
    policy.within(options.timeout)
}

fn predict(options: &Options, environment: &Environment<'_>) -> Result<Policy> {
    const ONE: &str = "MLFLOW_DEPLOYMENT_PREDICT_TIMEOUT";
    const ALL: &str = "MLFLOW_DEPLOYMENT_PREDICT_TOTAL_TIMEOUT";
    let policy = environment.policy(options.max_retries)?;
    let policy = Policy {
        silence: environment.seconds(ONE, 120)?,
        total: Some(environment.seconds(ALL, 600)?),
        advice: format!(
            "the provider may need more time for this query: see its parameters, or raise `timeout`, `{ONE}` (for one \
             attempt) or `{ALL}` (for all)"
        )
        .into(),
        repeat_post: options.retry_post,
        ..policy
    };
    policy.within(options.timeout)
}
