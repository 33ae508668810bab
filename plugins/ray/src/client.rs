//! The client of a Ray cluster: each operation checks its arguments, and calls the module that implements it.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use mlflow_deploy_http::{
    ChunkStream, Client, Environment, Request, content_type, join, prediction, process_variable, request,
    require_inputs, send, whole_inputs,
};
use mlflow_deploy_plugin_api::args::{
    CreateDeployment, DeleteDeployment, GetDeployment, ListDeployments, Predict, PredictStream, RunLocal,
    UpdateDeployment,
};
use mlflow_deploy_plugin_api::call::{self, Level};
use mlflow_deploy_plugin_api::{
    Chunks, ClientOptions, DeploymentClient, Error, ErrorCode, Payload, Result, TargetUri, blocking, sync,
};
use serde_json::{Map, Value};
use url::Url;

use crate::application::{changed_entry, is_own, new_entry};
use crate::arguments::{check_existing, check_name, deployment, no_endpoint};
use crate::change::{Change, already_exists, imperative};
use crate::cluster::Cluster;
use crate::config::Config;
use crate::dashboard::Dashboard;
use crate::deployment_config::DeploymentConfig;
use crate::failure::Failure;
use crate::model::Model;
use crate::proxy::application_url;
use crate::record::Record;
use crate::secrets::secrets;
use crate::wait::Wait;

/// The maximum time of a deletion, and of the removal of a failed deployment.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(300);

/// A deployment client of a Ray cluster.
#[derive(Debug)]
pub(crate) struct Ray {
    config: Config,
    dashboard: Dashboard,
    /// The URLs at which the applications answer, as far as the client knows them.
    urls: Mutex<HashMap<String, Url>>,
    /// The settings for a change that never starts Serve.
    no_settings: Map<String, Value>,
}

impl DeploymentClient for Ray {
    async fn connect(target: TargetUri, options: ClientOptions) -> Result<Self> {
        // The constructor blocks, because MLflow's credentials are read from a file.
        blocking(move || Self::new(&target, &options, &Environment::new(&process_variable))).await
    }

    fn target_help() -> String {
        include_str!("../help.md").to_owned()
    }

    async fn run_local(_request: RunLocal, _chunks: &mut Chunks) -> Result<()> {
        Err(Error::new(
            ErrorCode::NOT_IMPLEMENTED,
            "the target `ray` has no `run-local`: serve the model with the target `local` (`run-local -t local`), or start \
             a cluster on this machine with `ray start --head`, and use `create -t ray`",
        ))
    }

    async fn create_deployment(&self, request: CreateDeployment) -> Result<Payload> {
        let name = &request.name;
        no_endpoint(request.endpoint.as_deref())?;
        check_name(name)?;
        let config = DeploymentConfig::parse(&request.config)?;
        let wait = Wait::start(self.config.poll_interval, config.timeout());
        let dashboard = self.dashboard.until(wait.deadline());
        let cluster = dashboard.cluster().await?;
        match cluster.application(name) {
            Some(current) if current.is_imperative() => return Err(imperative(current)),
            Some(_) => return Err(already_exists(name)),
            None => {}
        }
        let flavor = request.flavor.as_deref();
        let model = self.model(&dashboard, &request.model_uri, flavor, &config).await?;
        let entry = new_entry(name, &model, &config)?;
        let change = Change {
            name,
            before: None,
            after: Some(&entry),
            old_failure: None,
            start: &config.serve,
            waits: config.waits(),
        };
        change.check(&cluster)?;
        dashboard.upload(model.package()).await?;
        self.apply(&change, &dashboard, &wait).await
    }

    async fn update_deployment(&self, request: UpdateDeployment) -> Result<Payload> {
        let name = &request.name;
        check_existing(name, request.endpoint.as_deref())?;
        let config = DeploymentConfig::parse(&request.config)?;
        if request.model_uri.is_none() && request.flavor.is_some() {
            return Err(Error::invalid_parameter("a flavor is given without a model URI: give both or neither"));
        }
        if request.model_uri.is_none() && request.config.is_empty() {
            return Err(Error::invalid_parameter("nothing to update: give a model URI, a config, or both"));
        }
        let wait = Wait::start(self.config.poll_interval, config.timeout());
        let dashboard = self.dashboard.until(wait.deadline());
        let cluster = dashboard.cluster().await?;
        let before = own_config(&cluster, name)?;
        let model = match &request.model_uri {
            Some(uri) => Some(self.model(&dashboard, uri, request.flavor.as_deref(), &config).await?),
            None => None,
        };
        let entry = changed_entry(before, model.as_ref(), &config)?;
        let current = cluster.existing(name)?;
        let change = Change {
            name,
            before: Some(before),
            after: Some(&entry),
            old_failure: (current.status() == "DEPLOY_FAILED").then(|| Failure::of(current)),
            start: &config.serve,
            waits: config.waits(),
        };
        change.check(&cluster)?;
        if let Some(model) = &model {
            dashboard.upload(model.package()).await?;
        }
        self.apply(&change, &dashboard, &wait).await
    }

    async fn delete_deployment(&self, request: DeleteDeployment) -> Result<Payload> {
        let name = &request.name;
        check_existing(name, request.endpoint.as_deref())?;
        request.config.check_keys(&["wait", "timeout"])?;
        let config = DeploymentConfig::parse(&request.config)?;
        let timeout = if request.config.is_empty() { REMOVE_TIMEOUT } else { config.timeout() };
        let wait = Wait::start(self.config.poll_interval, timeout);
        let dashboard = self.dashboard.until(wait.deadline());
        let cluster = dashboard.cluster().await?;
        sync::lock(&self.urls).remove(name);
        if cluster.any_application(name).is_none() {
            call::log(Level::Info, format!("the deployment `{name}` does not exist: nothing was deleted"));
            return Ok(Payload::empty());
        }
        if cluster.application(name).is_some() {
            own_config(&cluster, name)?;
        }
        self.removal(name, config.waits()).apply(&dashboard, &wait).await?;
        Ok(Payload::empty())
    }

    async fn get_deployment(&self, request: GetDeployment) -> Result<Payload> {
        check_existing(&request.name, request.endpoint.as_deref())?;
        self.record(&self.dashboard.started().cluster().await?, &request.name)
    }

    async fn list_deployments(&self, request: ListDeployments) -> Result<Payload> {
        no_endpoint(request.endpoint.as_deref())?;
        let cluster = self.dashboard.started().cluster().await?;
        let records: Vec<_> =
            cluster.applications().map(|each| Record::new(each, self.url(&cluster, each.name))).collect();
        Payload::from_json(&records)
    }

    async fn predict(&self, request: Predict) -> Result<Payload> {
        request.config.check_keys(&[])?;
        let name = deployment(request.endpoint, request.deployment_name)?;
        let inputs = whole_inputs(request.inputs)?;
        let policy = self.config.predict.started();
        let ask = async |url: &Url| {
            let request = self.invocation(url, &inputs, None)?;
            send(&self.dashboard.http, &request, &policy).await
        };
        match ask(&self.application(&name).await?).await {
            Err(error) if is_moved(&error) => prediction(ask(&self.moved(&name, error).await?).await?),
            response => prediction(response?),
        }
    }

    async fn predict_stream(&self, request: PredictStream, chunks: &mut Chunks) -> Result<()> {
        request.config.check_keys(&[])?;
        let name = deployment(request.endpoint, request.deployment_name)?;
        let inputs = require_inputs(&request.inputs)?;
        let policy = self.config.predict.started();
        let open = async |url: &Url| {
            let request = self.invocation(url, inputs, Some("text/event-stream"))?;
            ChunkStream::open(&self.dashboard.http, &request, &policy).await
        };
        let stream = match open(&self.application(&name).await?).await {
            Err(error) if is_moved(&error) => open(&self.moved(&name, error).await?).await?,
            stream => stream?,
        };
        stream.forward(chunks).await
    }
}

impl Ray {
    /// Creates a client for `target`, configured by `options` and `environment`. Sends no request.
    pub(crate) fn new(target: &TargetUri, options: &ClientOptions, environment: &Environment<'_>) -> Result<Self> {
        let config = Config::new(target, options, environment)?;
        let http = Client::new(config.connection.clone());
        let dashboard = Dashboard::new(config.dashboard.clone(), config.headers.clone(), http, config.manage.clone());
        Ok(Self { config, dashboard, urls: Mutex::default(), no_settings: Map::new() })
    }

    /// Fetches, checks and packs a model.
    async fn model(
        &self,
        dashboard: &Dashboard,
        uri: &str,
        flavor: Option<&str>,
        config: &DeploymentConfig,
    ) -> Result<Model> {
        let tracking = self.config.tracking.as_ref().map_err(Clone::clone)?;
        let model = Model::prepare(uri, flavor, config.model_source, tracking).await?;
        if config.check_python.unwrap_or(true) {
            model.check_python(dashboard.python_version().await.as_deref())?;
        }
        Ok(model)
    }

    /// Makes a change and returns the deployment's record. Restores the state before the change if Ray cannot run the
    /// deployment.
    async fn apply(&self, change: &Change<'_>, dashboard: &Dashboard, wait: &Wait) -> Result<Payload> {
        // The environment that is sent may have credentials, which a traceback may show.
        dashboard.hide(change.after.into_iter().flat_map(secrets));
        sync::lock(&self.urls).remove(change.name);
        let failure = match change.apply(dashboard, wait).await {
            Ok(cluster) => {
                call::progress(1.0, format!("`{}` is deployed", change.name));
                return self.record(&cluster, change.name);
            }
            Err(error) if error.code().as_str() == "DEPLOYMENT_FAILED" => error,
            Err(error) => return Err(error),
        };
        let restored =
            Change { before: change.after, after: change.before, waits: false, ..self.removal(change.name, false) };
        let wait = Wait::start(self.config.poll_interval, REMOVE_TIMEOUT);
        let dashboard = self.dashboard.until(wait.deadline());
        dashboard.hide(change.after.into_iter().flat_map(secrets));
        if let Err(error) = restored.apply(&dashboard, &wait).await {
            call::warn(format!("the failed deployment `{}` remains on the cluster: {}", change.name, error.message()));
        }
        Err(failure)
    }

    /// Returns the change that removes a deployment.
    fn removal<'a>(&'a self, name: &'a str, waits: bool) -> Change<'a> {
        Change { name, before: None, after: None, old_failure: None, start: &self.no_settings, waits }
    }

    fn record(&self, cluster: &Cluster, name: &str) -> Result<Payload> {
        Payload::from_json(&Record::new(cluster.existing(name)?, self.url(cluster, name)))
    }

    fn url(&self, cluster: &Cluster, name: &str) -> Option<String> {
        let url = application_url(cluster, name, self.config.serve_url.as_ref(), &self.config.dashboard);
        url.ok().map(String::from)
    }

    /// Returns the URL of an application. Asks the dashboard unless the client knows it.
    async fn application(&self, name: &str) -> Result<Url> {
        let known = sync::lock(&self.urls).get(name).cloned();
        match known {
            Some(url) => Ok(url),
            None => self.locate(name).await,
        }
    }

    async fn locate(&self, name: &str) -> Result<Url> {
        let cluster = self.dashboard.started().cluster().await?;
        let url = application_url(&cluster, name, self.config.serve_url.as_ref(), &self.config.dashboard)?;
        sync::lock(&self.urls).insert(name.to_owned(), url.clone());
        Ok(url)
    }

    /// Returns the new URL of an application whose known URL failed with `error`. Fails with that error if the URL is the
    /// same, and with the state of the deployment if it is not ready.
    async fn moved(&self, name: &str, error: Error) -> Result<Url> {
        let known = sync::lock(&self.urls).remove(name);
        let url = self.locate(name).await?;
        if known.as_ref() != Some(&url) {
            return Ok(url);
        }
        let cluster = self.dashboard.started().cluster().await?;
        let status = cluster.existing(name)?.status().to_owned();
        if status == "RUNNING" {
            return Err(error);
        }
        let explained = Error::new(
            ErrorCode::TEMPORARILY_UNAVAILABLE,
            format!("the deployment `{name}` is not ready: it is {status}; see it with `get`, and try again"),
        );
        Err(explained.with_cause(&error).retryable())
    }

    fn invocation(&self, url: &Url, inputs: &Payload, accept: Option<&'static str>) -> Result<Request> {
        let mut headers: HeaderMap = self.config.serve_headers.clone();
        headers.insert(CONTENT_TYPE, content_type(inputs.content_type())?);
        if let Some(accept) = accept {
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
        }
        request(Method::POST, &join(url, "/invocations"), headers, inputs.bytes().to_vec())
    }
}

/// Returns true if a prediction failed because no application answers at its URL.
fn is_moved(error: &Error) -> bool {
    match error.http() {
        Some(http) => http.status == 404 && http.body.contains("not found"),
        None => error.code() == &ErrorCode::TEMPORARILY_UNAVAILABLE,
    }
}

/// Returns the config of an application that this plugin deployed.
fn own_config<'a>(cluster: &'a Cluster, name: &str) -> Result<&'a Value> {
    let application = cluster.existing(name)?;
    match application.config() {
        Some(config) if is_own(config) => Ok(config),
        Some(config) => Err(Error::invalid_parameter(format!(
            "the application `{name}` was not deployed by this plugin, but runs {}: change it with `serve deploy`",
            config["import_path"]
        ))),
        None => Err(imperative(application)),
    }
}
