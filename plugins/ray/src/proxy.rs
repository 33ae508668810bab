//! Finds the URL at which an application answers predictions: that of one of Serve's HTTP proxies, and the application's
//! route.

use std::net::{IpAddr, Ipv6Addr};

use mlflow_deploy_http::{is_loopback, join, redact_url};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result};
use serde_json::Value;
use url::Url;

use crate::cluster::Cluster;

/// The port of the proxies, unless the cluster names another one.
const PORT: u64 = 8000;

/// Returns the URL of an application. `given` is the URL of a proxy or a load balancer, and `dashboard` that of the
/// dashboard, which chooses among the proxies.
///
/// # Errors
/// - `RESOURCE_DOES_NOT_EXIST` if the cluster does not have the application.
/// - `INVALID_PARAMETER_VALUE` if it has no route, or if no proxy can be reached from this machine.
pub(crate) fn application_url(cluster: &Cluster, name: &str, given: Option<&Url>, dashboard: &Url) -> Result<Url> {
    let application = cluster.existing(name)?;
    let Some(route) = application.route() else {
        return Err(Error::invalid_parameter(format!(
            "the application `{name}` has no route, so it answers no HTTP requests: set its `route_prefix`"
        )));
    };
    let proxy = match given {
        Some(given) => given.clone(),
        None => proxy(cluster, dashboard)?,
    };
    Ok(join(&proxy, route))
}

/// Returns the URL of a healthy proxy. The proxy on the dashboard's machine is preferred.
fn proxy(cluster: &Cluster, dashboard: &Url) -> Result<Url> {
    let options = cluster.setting("http_options");
    let listens_at = options["host"].as_str().unwrap_or("0.0.0.0");
    let port = options["port"].as_u64().unwrap_or(PORT);
    let proxies = cluster.setting("proxies").as_object().into_iter().flat_map(|all| all.values());
    let healthy: Vec<_> = proxies.filter(|proxy| proxy["status"] == "HEALTHY").collect();
    if healthy.is_empty() {
        return Err(Error::new(
            ErrorCode::TEMPORARILY_UNAVAILABLE,
            "the cluster has no healthy HTTP proxy of Ray Serve: see the proxies in its dashboard, or set the option \
             `serve_url`",
        )
        .retryable());
    }
    let only_local = listens_at.parse::<IpAddr>().map_or(listens_at == "localhost", |address| address.is_loopback());
    if only_local && !is_loopback(dashboard) {
        return Err(Error::invalid_parameter(format!(
            "Ray Serve answers HTTP only on its own machine (`http_options.host` is `{listens_at}`), and the dashboard is \
             at `{}`: start Serve with another host (the config key `serve`), or set the option `serve_url`",
            redact_url(dashboard)
        )));
    }
    let host = if is_loopback(dashboard) {
        dashboard.host_str().unwrap_or("localhost").to_owned()
    } else {
        let address = |proxy: &&Value| proxy["node_ip"].as_str().map(str::to_owned);
        let addresses: Vec<_> = healthy.iter().filter_map(address).collect();
        let same = addresses.iter().find(|address| dashboard.host_str() == Some(address.as_str()));
        let chosen = same.or_else(|| addresses.first()).cloned().unwrap_or_default();
        if chosen.parse::<Ipv6Addr>().is_ok() { format!("[{chosen}]") } else { chosen }
    };
    let scheme = if options["ssl_certfile"].is_string() { "https" } else { "http" };
    let root = options["root_path"].as_str().unwrap_or_default();
    Url::parse(&format!("{scheme}://{host}:{port}"))
        .map(|url| join(&url, root))
        .map_err(|error| Error::internal(format!("the cluster names a proxy with an invalid address: {error}")))
}
