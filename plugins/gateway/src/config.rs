//! What a client knows before it asks anything: from the target URI, its options, and the environment.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderMap;
use mlflow_deploy_http::{
    Access, AccessOptions, Connection, Environment, Policy, Secret, header_name, header_value, secret_header,
};
use mlflow_deploy_plugin_api::{ClientOptions, Error, Result, TargetUri};
use serde::Deserialize;
use url::Url;

/// How long looking an endpoint up, or listing all, may take altogether.
const LOOKING_UP: Duration = Duration::from_secs(600);

/// The options of one client. They win over the environment.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Options {
    username: Option<String>,
    password: Option<Secret>,
    token: Option<Secret>,
    headers: BTreeMap<String, Secret>,
    timeout: Option<f64>,
    max_retries: Option<i64>,
    retry_post: bool,
    ca_cert: Option<PathBuf>,
    client_cert: Option<PathBuf>,
    insecure: Option<bool>,
}

impl Options {
    fn access(&self) -> AccessOptions {
        AccessOptions {
            username: self.username.clone(),
            password: self.password.clone(),
            token: self.token.clone(),
            ca_cert: self.ca_cert.clone(),
            client_cert: self.client_cert.clone(),
            insecure: self.insecure,
        }
    }
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
        let access = Access::new(&options.access(), environment)?;
        Ok(Self {
            base: without_user(&target),
            headers: headers(&options, &access, &target, environment)?,
            connection: access.connection().clone(),
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

fn headers(options: &Options, access: &Access, target: &Url, environment: &Environment<'_>) -> Result<HeaderMap> {
    const TRAFFIC: &str = "MLFLOW_DATABRICKS_TRAFFIC_ID";
    let mut headers = access.headers(target)?;
    if let Some(traffic) = environment.text(TRAFFIC) {
        headers.insert("x-databricks-traffic-id", header_value(TRAFFIC, &traffic)?);
    }
    for (name, value) in &options.headers {
        headers.insert(header_name(name)?, secret_header(name, value)?);
    }
    Ok(headers)
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
