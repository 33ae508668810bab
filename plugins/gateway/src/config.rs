//! What a client knows before it asks anything: from the target URI, its options, and the environment.

use std::collections::BTreeMap;
use std::path::PathBuf;

use http::HeaderMap;
use mlflow_deploy_http::{
    Connection, Environment, MlflowAuth, MlflowAuthOptions, Policy, header_name, header_value, parse_url,
    secret_header, without_user,
};
use mlflow_deploy_plugin_api::{ClientOptions, Error, Result, Secret, TargetUri};
use serde::Deserialize;
use url::Url;

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
    fn access(&self) -> MlflowAuthOptions {
        MlflowAuthOptions {
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
        let target = parse_url("the target URI", target.as_str(), "http://localhost:5000")?;
        if target.query().is_some() || target.fragment().is_some() {
            return Err(Error::invalid_parameter(
                "the target URI has a query or a fragment: only a path can follow the host",
            ));
        }
        let policy = environment.policy(options.max_retries)?;
        let access = MlflowAuth::new(&options.access(), environment)?;
        Ok(Self {
            base: without_user(&target),
            headers: headers(&options, &access, &target, environment)?,
            connection: access.connection().clone(),
            look_up: policy.clone().for_lookups(environment, options.timeout)?,
            predict: Policy { repeat_post: options.retry_post, ..policy }.for_predictions(
                environment,
                options.timeout,
                "the provider may need more time for this query: see its parameters",
            )?,
        })
    }
}

fn headers(options: &Options, access: &MlflowAuth, target: &Url, environment: &Environment<'_>) -> Result<HeaderMap> {
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
