//! The client of SageMaker: each operation checks its arguments, and calls the module that implements it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use mlflow_deploy_aws::{CredentialProvider, Role, ServiceEndpoints};
use mlflow_deploy_http::{Client, Environment, Policy, named, process_variable};
use mlflow_deploy_plugin_api::args::{
    CreateDeployment, DeleteDeployment, DeleteEndpoint, GetDeployment, GetEndpoint, Invoke, ListDeployments,
    ListEndpoints, Predict, PredictStream, RunLocal, UpdateDeployment, UpdateEndpoint,
};
use mlflow_deploy_plugin_api::{
    Chunks, ClientOptions, Config as OperationConfig, DeploymentClient, Error, Payload, Result, TargetUri, blocking,
    call, sync,
};

use crate::config::Config;
use crate::deploy::{Deploy, Source};
use crate::deployment_config::DeploymentConfig;
use crate::record::changed;
use crate::session::Session;
use crate::wait::Wait;
use crate::{endpoint, invoke, names, predict, run_local};

/// The name of the sessions of assumed roles, as in MLflow.
const SESSION_NAME: &str = "mlflow-sagemaker";

/// A deployment client of SageMaker.
#[derive(Debug)]
pub(crate) struct SageMaker {
    config: Config,
    http: Arc<Client>,
    /// The credentials for each region and role that was used.
    credentials: Mutex<HashMap<(String, Option<String>), CredentialProvider>>,
}

impl DeploymentClient for SageMaker {
    async fn connect(target: TargetUri, options: ClientOptions) -> Result<Self> {
        // The constructor blocks, because MLflow's credentials are read from a file.
        blocking(move || Self::new(&target, &options, &Environment::new(&process_variable))).await
    }

    fn target_help() -> String {
        include_str!("../help.md").to_owned()
    }

    async fn run_local(request: RunLocal, chunks: &mut Chunks) -> Result<()> {
        run_local::run_local(request, chunks).await
    }

    async fn create_deployment(&self, request: CreateDeployment) -> Result<Payload> {
        no_endpoint(request.endpoint.as_deref())?;
        names::check(&request.name)?;
        let config = DeploymentConfig::of_change(&request.config)?;
        let wait = Wait::start(self.config.poll_interval, config.change_timeout());
        let session = self.session_of(&config, &wait);
        let deploy =
            Deploy { session: &session, settings: &self.config, name: &request.name, config: &config, wait: &wait };
        let source = Source { uri: &request.model_uri, flavor: request.flavor.as_deref() };
        let (endpoint, flavor) = deploy.create(source).await?;
        call::progress(1.0, format!("`{}` is deployed", request.name));
        Payload::from_json(&changed(endpoint, flavor))
    }

    async fn update_deployment(&self, request: UpdateDeployment) -> Result<Payload> {
        no_endpoint(request.endpoint.as_deref())?;
        names::check(&request.name)?;
        let config = DeploymentConfig::of_change(&request.config)?;
        let Some(uri) = &request.model_uri else {
            return Err(Error::invalid_parameter(
                "no model URI given: an update of a SageMaker deployment needs one; the weights and numbers of instances \
                 change with `update-endpoint`",
            ));
        };
        let wait = Wait::start(self.config.poll_interval, config.change_timeout());
        let session = self.session_of(&config, &wait);
        let deploy =
            Deploy { session: &session, settings: &self.config, name: &request.name, config: &config, wait: &wait };
        let (endpoint, flavor) = deploy.update(Source { uri, flavor: request.flavor.as_deref() }).await?;
        call::progress(1.0, format!("`{}` is updated", request.name));
        Payload::from_json(&changed(endpoint, flavor))
    }

    async fn delete_deployment(&self, request: DeleteDeployment) -> Result<Payload> {
        no_endpoint(request.endpoint.as_deref())?;
        self.delete(&request.name, &request.config).await
    }

    async fn get_deployment(&self, request: GetDeployment) -> Result<Payload> {
        no_endpoint(request.endpoint.as_deref())?;
        names::check(&request.name)?;
        Payload::from_json(&endpoint::get(&self.session(&self.config.manage), &request.name).await?)
    }

    async fn list_deployments(&self, request: ListDeployments) -> Result<Payload> {
        no_endpoint(request.endpoint.as_deref())?;
        Payload::from_json(&endpoint::list(&self.session(&self.config.manage)).await?)
    }

    async fn update_endpoint(&self, request: UpdateEndpoint) -> Result<Payload> {
        names::check(&request.endpoint)?;
        let session = self.session(&self.config.manage);
        endpoint::update(&session, &request.endpoint, &request.config).await?;
        Payload::from_json(&endpoint::get_with_config(&session, &request.endpoint).await?)
    }

    async fn delete_endpoint(&self, request: DeleteEndpoint) -> Result<Payload> {
        self.delete(&request.endpoint, &OperationConfig::default()).await
    }

    async fn get_endpoint(&self, request: GetEndpoint) -> Result<Payload> {
        names::check(&request.endpoint)?;
        Payload::from_json(&endpoint::get_with_config(&self.session(&self.config.manage), &request.endpoint).await?)
    }

    async fn list_endpoints(&self, _request: ListEndpoints) -> Result<Payload> {
        Payload::from_json(&endpoint::list(&self.session(&self.config.manage)).await?)
    }

    async fn predict(&self, request: Predict) -> Result<Payload> {
        let name = target_of(request.endpoint, request.deployment_name)?;
        let session = self.session(&self.config.predict);
        predict::whole(&session, &name, request.inputs, &request.config).await
    }

    async fn predict_stream(&self, request: PredictStream, chunks: &mut Chunks) -> Result<()> {
        let name = target_of(request.endpoint, request.deployment_name)?;
        let session = self.session(&self.config.predict);
        predict::streamed(&session, &name, &request.inputs, &request.config, chunks).await
    }

    async fn invoke(&self, request: Invoke) -> Result<Payload> {
        let name = target_of(request.endpoint.clone(), request.name.clone())?;
        // A wait for an output takes longer than one request.
        let policy = Policy { total: None, ..self.config.manage.clone() };
        invoke::invoke(&self.session(&policy), &name, &request, self.config.poll_interval).await
    }
}

impl SageMaker {
    /// Creates a client for `target`, configured by `options` and `environment`. Sends no request.
    pub(crate) fn new(target: &TargetUri, options: &ClientOptions, environment: &Environment<'_>) -> Result<Self> {
        let config = Config::new(target, options, environment)?;
        let http = Arc::new(Client::new(config.connection.clone()));
        Ok(Self { config, http, credentials: Mutex::default() })
    }

    async fn delete(&self, name: &str, config: &OperationConfig) -> Result<Payload> {
        names::check(name)?;
        let config = DeploymentConfig::of_deletion(config)?;
        let wait = Wait::start(self.config.poll_interval, config.delete_timeout());
        let session = self.session_of(&config, &wait);
        let deploy = Deploy { session: &session, settings: &self.config, name, config: &config, wait: &wait };
        deploy.delete().await?;
        Ok(Payload::empty())
    }

    /// Returns the session of a call in the target's region.
    fn session(&self, policy: &Policy) -> Session {
        self.session_in(&self.config.region, self.config.role.as_deref(), policy.started())
    }

    /// Returns the session of a change, all of whose requests end with its wait.
    fn session_of(&self, config: &DeploymentConfig, wait: &Wait) -> Session {
        let region = config.region_name.as_deref().unwrap_or(&self.config.region);
        let role = config.assume_role_arn.as_deref().or(self.config.role.as_deref());
        let policy = Policy { deadline: Some(wait.deadline()), ..self.config.manage.clone() };
        self.session_in(region, role, policy)
    }

    fn session_in(&self, region: &str, role: Option<&str>, policy: Policy) -> Session {
        let key = (region.to_owned(), role.map(str::to_owned));
        let mut all = sync::lock(&self.credentials);
        let credentials = all.entry(key).or_insert_with(|| {
            let Config { aws, profile, manage, .. } = &self.config;
            let own = CredentialProvider::new(aws, profile.as_deref(), region, &self.http, manage);
            match role {
                Some(role) => own.with_role(Role::new(role, SESSION_NAME)),
                None => own,
            }
        });
        Session {
            region: region.to_owned(),
            credentials: credentials.clone(),
            endpoints: ServiceEndpoints::new(&self.config.aws),
            http: Arc::clone(&self.http),
            policy,
            storage: Arc::clone(&self.config.storage),
        }
    }
}

/// Returns the name of the endpoint of a prediction. A deployment of SageMaker is an endpoint.
fn target_of(endpoint: Option<String>, deployment_name: Option<String>) -> Result<String> {
    let name = named(deployment_name, endpoint, "SageMaker")
        .ok_or_else(|| Error::invalid_parameter("no deployment given: set `deployment_name` (`--name`)"))?;
    names::check(&name)?;
    Ok(name)
}

/// Fails if an endpoint is given.
fn no_endpoint(endpoint: Option<&str>) -> Result<()> {
    match endpoint {
        None => Ok(()),
        Some(endpoint) => Err(Error::invalid_parameter(format!(
            "the endpoint `{endpoint}` cannot be used: a deployment of SageMaker is an endpoint; give only the deployment"
        ))),
    }
}
