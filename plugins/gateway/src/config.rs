//! The configuration of a client, from the target URI, the client options and the environment.

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

/// The client options of the gateway plugin. They take precedence over environment variables.
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

/// The validated configuration of a client.
#[derive(Debug)]
pub(crate) struct Config {
    /// The gateway's base URL, from the target URI. It has no user, password, query or fragment.
    pub(crate) base: Url,
    /// The headers of every request, including the credentials.
    pub(crate) headers: HeaderMap,
    /// The settings of all connections to the gateway, such as proxies and certificates.
    pub(crate) connection: Connection,
    /// The retry policy of requests that list or get endpoints.
    pub(crate) look_up: Policy,
    /// The retry policy of requests for predictions.
    pub(crate) predict: Policy,
}

impl Config {
    /// Reads and validates the target URI, the options and the environment. Reads MLflow's credentials file, and no
    /// other file.
    pub(crate) fn new(target: &TargetUri, options: &ClientOptions, environment: &Environment<'_>) -> Result<Self> {
        let options: Options = options.parse()?;
        let mut target = parse_url("the target URI", target.as_str(), "http://localhost:5000")?;
        // The pages of MLflow's user interface are fragments, such as `#/experiments`.
        if target.fragment().is_some_and(|page| page.starts_with('/')) {
            target.set_fragment(None);
        }
        if target.query().is_some() || target.fragment().is_some() {
            return Err(Error::invalid_parameter(
                "the target URI has a query or a fragment: expected only a host and a path",
            ));
        }
        let policy = environment.policy(options.max_retries)?;
        let access = MlflowAuth::new(&options.access(), environment)?;
        Ok(Self {
            base: without_route(without_user(&target)),
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

/// Removes an API path or the path of an endpoint from a URL, because users copy URLs with such paths from examples.
/// Returns the gateway's base URL.
fn without_route(mut url: Url) -> Url {
    let path = url.path().trim_end_matches('/');
    let api = ["/api/2.0/", "/api/3.0/", "/gateway/mlflow/v1"].iter().find_map(|api| path.find(api));
    let invocation =
        path.strip_suffix("/invocations").and_then(|path| path.rfind("/endpoints/").or(path.rfind("/gateway/")));
    if let Some(base) = api.or(invocation).map(|end| path[..end].to_owned()) {
        url.set_path(&base);
    }
    url
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
