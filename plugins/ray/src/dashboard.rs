//! The requests to the dashboard of a cluster, and what their errors mean. Never ends Serve: there is no request to delete
//! all applications.

use std::sync::{Arc, Mutex};

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use mlflow_deploy_http::{Client, Policy, Response, hide, join, redact_url, request, send};
use mlflow_deploy_plugin_api::call::{self, Level};
use mlflow_deploy_plugin_api::{Deadline, Error, ErrorCode, JSON, Redactor, Result, Secret, sync};
use serde_json::Value;
use url::Url;

use crate::address::EXAMPLE;
use crate::cluster::Cluster;
use crate::package::Package;
use crate::secrets::secrets;

const APPLICATIONS: &str = "/api/serve/applications/";

/// The dashboard of a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Dashboard {
    pub(crate) base: Url,
    /// The headers of every request, with the credentials.
    pub(crate) headers: HeaderMap,
    pub(crate) http: Arc<Client>,
    pub(crate) policy: Policy,
    /// The secrets that the events and the error of the current call do not show.
    hidden: Arc<Mutex<Vec<Secret>>>,
}

impl Dashboard {
    /// Creates the dashboard at a URL. Sends no request.
    pub(crate) fn new(base: Url, headers: HeaderMap, http: Client, policy: Policy) -> Self {
        Self { base, headers, http: Arc::new(http), policy, hidden: Arc::default() }
    }

    /// Returns the dashboard for one call, all of whose requests have one deadline from now on.
    pub(crate) fn started(&self) -> Self {
        Self { policy: self.policy.started(), hidden: Arc::default(), ..self.clone() }
    }

    /// Returns the dashboard for one call, all of whose requests end at `deadline`.
    pub(crate) fn until(&self, deadline: Deadline) -> Self {
        let policy = Policy { deadline: Some(deadline), ..self.policy.clone() };
        Self { policy, hidden: Arc::default(), ..self.clone() }
    }

    /// Returns the state of Serve. The later events and the error of the call do not show the secrets of its applications.
    pub(crate) async fn cluster(&self) -> Result<Cluster> {
        let cluster = Cluster::read(&self.send(Method::GET, APPLICATIONS, None, &self.policy).await?)?;
        self.hide(cluster.secrets());
        Ok(cluster)
    }

    /// Hides secrets in the later events and in the error of the call.
    pub(crate) fn hide(&self, secrets: impl IntoIterator<Item = Secret>) {
        let mut hidden = sync::lock(&self.hidden);
        let new: Vec<_> = secrets.into_iter().filter(|secret| !hidden.contains(secret)).collect();
        if !new.is_empty() {
            call::hide(&Redactor::new(new.clone()));
            hidden.extend(new);
        }
    }

    /// Replaces the whole set of applications. The request is sent once: repeated, it could undo the change that another
    /// writer made meanwhile.
    pub(crate) async fn replace(&self, applications: &Value) -> Result<()> {
        let policy = Policy { max_retries: 0, ..self.policy.clone() };
        match self.send(Method::PUT, APPLICATIONS, Some(applications), &policy).await {
            Ok(_) => Ok(()),
            Err(error) if error.http_status() == Some(400) => Err(refused(&error)),
            Err(error) => Err(error),
        }
    }

    /// Uploads a package unless the cluster has it. The request for it also keeps it for some minutes.
    pub(crate) async fn upload(&self, package: &Package) -> Result<()> {
        let path = format!("/api/packages/gcs/{}", package.name);
        match self.send(Method::GET, &path, None, &self.policy).await {
            Ok(_) => {
                call::log(Level::Debug, format!("the cluster has the package `{}` already", package.name));
                return Ok(());
            }
            Err(error) if error.http_status() == Some(404) => {}
            Err(error) => return Err(error),
        }
        call::progress(0.0, format!("uploading the model, {} KiB", package.bytes.len().div_ceil(1024)));
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/zip"));
        let request = request(Method::PUT, &join(&self.base, &path), headers, package.bytes.clone())?;
        match send(&self.http, &request, &self.policy).await {
            Ok(_) => Ok(()),
            Err(error) if error.http_status() == Some(413) => Err(with_hint(
                &error,
                "the dashboard accepts no package of this size: store the model in a place that the cluster can read, \
                 and set `model_source` to `remote`",
            )),
            Err(error) => Err(self.explained(error)),
        }
    }

    /// Returns the version of Python on the cluster, or `None` if the dashboard does not tell.
    pub(crate) async fn python_version(&self) -> Option<String> {
        let response = self.send(Method::GET, "/api/v0/cluster_metadata", None, &self.policy).await.ok()?;
        let metadata: Value = serde_json::from_slice(response.payload.bytes()).ok()?;
        metadata["data"]["pythonVersion"].as_str().map(str::to_owned)
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>, policy: &Policy) -> Result<Response> {
        let mut headers = self.headers.clone();
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        }
        let bytes = body.map(Value::to_string).unwrap_or_default();
        let mut request = request(method, &join(&self.base, path), headers, bytes)?;
        let entries = body.and_then(|body| body["applications"].as_array()).into_iter().flatten();
        hide(&mut request, entries.flat_map(secrets));
        send(&self.http, &request, policy).await.map_err(|error| self.explained(error))
    }

    /// Adds to an error what it means about the address and the cluster.
    fn explained(&self, error: Error) -> Error {
        let base = redact_url(&self.base);
        match error.http().map(|http| (http.status, http.body.as_str())) {
            Some((404, body)) if !body.starts_with("Package gcs://") => with_code(
                ErrorCode::new("ENDPOINT_NOT_FOUND"),
                &error,
                &format!("no Ray dashboard at `{base}`: expected its URL, with port 8265, such as `{EXAMPLE}`"),
            ),
            Some((501, _)) => with_hint(
                &error,
                &format!("the cluster at `{base}` has no Ray Serve: install `ray[serve]` on its nodes"),
            ),
            None if is_unreachable(&error) => with_hint(
                &error,
                &format!(
                    "no Ray dashboard reached at `{base}`: check that the cluster runs (`ray start --head`) and that the \
                     address is that of its dashboard, which has port 8265 by default"
                ),
            ),
            _ => error,
        }
    }
}

/// Returns true if no server answered, or a server of another protocol did. A server whose certificate is not trusted did
/// answer: that error has its own advice.
fn is_unreachable(error: &Error) -> bool {
    error.code() == &ErrorCode::TEMPORARILY_UNAVAILABLE
}

/// Returns the error for a request that Ray refuses.
fn refused(error: &Error) -> Error {
    let body = error.http().map(|http| http.body.as_str()).unwrap_or_default();
    let lines: Vec<_> =
        body.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("For further")).collect();
    let reason = if lines.is_empty() { error.message().to_owned() } else { lines.join(": ") };
    with_code(
        ErrorCode::INVALID_PARAMETER_VALUE,
        error,
        &format!("Ray Serve refused the config: {reason}; nothing was changed"),
    )
}

fn with_hint(error: &Error, message: &str) -> Error {
    with_code(error.code().clone(), error, message)
}

fn with_code(code: ErrorCode, error: &Error, message: &str) -> Error {
    let explained = Error::new(code, message).with_cause(error);
    let explained = if error.is_retryable() { explained.retryable() } else { explained };
    match error.http() {
        Some(http) => explained.with_http(http.clone()),
        None => explained,
    }
}
