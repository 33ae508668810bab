//! The client for the target `local`. Each operation checks its arguments and calls the module that implements it.

use std::env;
use std::ffi::OsString;
use std::sync::Arc;

use mlflow_deploy_plugin_api::args::{
    CreateDeployment, CreateEndpoint, DeleteDeployment, DeleteEndpoint, Explain, GetDeployment, GetEndpoint, Invoke,
    ListDeployments, ListEndpoints, Predict, RunLocal, UpdateDeployment, UpdateEndpoint,
};
use mlflow_deploy_plugin_api::call::{self, Level};
use mlflow_deploy_plugin_api::{
    Chunks, ClientOptions, DeploymentClient, Error, ErrorCode, Operation, Payload, Result, TargetUri, is_privileged,
};
use serde::Deserialize;

use crate::config::Config;
use crate::deployment::{DeploymentRecord, Deployments, LoadedModel};
use crate::endpoint::{self, EndpointRecord};
use crate::explain;
use crate::serve::{self, ServeConfig};
use crate::store::{check_name, excerpt};

/// The name of the operation that rebuilds a lost `state.json`, as the argument of `invoke`.
const REBUILD: &str = "rebuild";

/// A client that manages the deployments in one state directory.
pub(crate) struct Local {
    deployments: Arc<Deployments>,
    /// The model that answers every prediction, if the client was opened to run one model.
    model: Option<Arc<LoadedModel>>,
}

/// The config of an operation that accepts no config keys. Parsing fails if the config has a key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoConfig {}

impl Local {
    pub(crate) fn new(config: Config) -> Self {
        Self { deployments: Arc::new(Deployments::new(config)), model: None }
    }

    /// Returns the model of `deployment`. If no deployment is given, returns the model of a deployment that is chosen
    /// at random by the traffic weights of `endpoint`.
    async fn model(&self, deployment: Option<String>, endpoint: Option<String>) -> Result<Arc<LoadedModel>> {
        let endpoint = endpoint.as_deref();
        let name = match (deployment, endpoint) {
            (Some(name), _) => name,
            (None, Some(endpoint)) => {
                let chosen = endpoint::choose(&*self.deployments.directory().state()?, endpoint)?;
                call::log(Level::Debug, format!("the endpoint `{endpoint}` chose the deployment `{chosen}`"));
                chosen
            }
            (None, None) => {
                return Err(Error::invalid_parameter("specify a deployment name or an endpoint"));
            }
        };
        self.deployments.model(&name, endpoint).await
    }
}

impl DeploymentClient for Local {
    const INLINE: &'static [Operation] = &[Operation::Predict];

    async fn connect(target: TargetUri, options: ClientOptions) -> Result<Self> {
        let config = Config::new(&target, &options, variable)?;
        let copy = config.copy.clone();
        let mut this = Self::new(config);
        if let Some(copy) = copy {
            this.model = Some(this.deployments.load_copy(&copy).await?);
        }
        Ok(this)
    }

    fn target_help() -> String {
        include_str!("../help.md").to_owned()
    }

    async fn run_local(request: RunLocal, chunks: &mut Chunks) -> Result<()> {
        let config: ServeConfig = request.config.parse()?;
        let this = Self::connect(TargetUri::parse(&request.target_uri)?, config.options()?).await?;
        serve::run(&this.deployments, &request, &config, chunks).await
    }

    async fn create_deployment(&self, request: CreateDeployment) -> Result<Payload> {
        let name = request.name.clone();
        let deployment = self.deployments.create(request).await?;
        Payload::from_json(&DeploymentRecord::new(&name, &deployment, &*self.deployments.directory().state()?))
    }

    async fn update_deployment(&self, request: UpdateDeployment) -> Result<Payload> {
        let name = request.name.clone();
        let deployment = self.deployments.update(request).await?;
        Payload::from_json(&DeploymentRecord::new(&name, &deployment, &*self.deployments.directory().state()?))
    }

    async fn delete_deployment(&self, request: DeleteDeployment) -> Result<Payload> {
        let NoConfig {} = request.config.parse()?;
        self.deployments.delete(request).await?;
        Ok(Payload::empty())
    }

    async fn get_deployment(&self, request: GetDeployment) -> Result<Payload> {
        let state = self.deployments.directory().state()?;
        let deployment = state.deployment(&request.name, request.endpoint.as_deref())?;
        Payload::from_json(&DeploymentRecord::new(&request.name, deployment, &state))
    }

    async fn list_deployments(&self, request: ListDeployments) -> Result<Payload> {
        let state = self.deployments.directory().state()?;
        let endpoint = request.endpoint.as_deref().map(|name| state.endpoint(name)).transpose()?;
        let is_listed = |name: &String| endpoint.is_none_or(|endpoint| endpoint.traffic.contains_key(name));
        let listed = state.deployments.iter().filter(|(name, _)| is_listed(name));
        let records: Vec<_> = listed.map(|(name, each)| DeploymentRecord::new(name, each, &state)).collect();
        Payload::from_json(&records)
    }

    async fn create_endpoint(&self, request: CreateEndpoint) -> Result<Payload> {
        let name = request.endpoint_name()?;
        let key = name.clone();
        let endpoint = self.deployments.change(move |state| endpoint::create(state, &key, &request.config)).await?;
        Payload::from_json(&EndpointRecord::new(&name, &endpoint))
    }

    async fn update_endpoint(&self, request: UpdateEndpoint) -> Result<Payload> {
        let UpdateEndpoint { endpoint: name, config } = request;
        let key = name.clone();
        let endpoint = self.deployments.change(move |state| endpoint::update(state, &key, &config)).await?;
        Payload::from_json(&EndpointRecord::new(&name, &endpoint))
    }

    async fn delete_endpoint(&self, request: DeleteEndpoint) -> Result<Payload> {
        let name = request.endpoint;
        check_name("an endpoint", &name)?;
        if self.deployments.directory().state()?.endpoints.contains_key(&name) {
            self.deployments.change(move |state| Ok(state.endpoints.remove(&name))).await?;
        }
        Ok(Payload::empty())
    }

    async fn get_endpoint(&self, request: GetEndpoint) -> Result<Payload> {
        let state = self.deployments.directory().state()?;
        Payload::from_json(&EndpointRecord::new(&request.endpoint, state.endpoint(&request.endpoint)?))
    }

    async fn list_endpoints(&self, _request: ListEndpoints) -> Result<Payload> {
        let state = self.deployments.directory().state()?;
        let records: Vec<_> = state.endpoints.iter().map(|(name, each)| EndpointRecord::new(name, each)).collect();
        Payload::from_json(&records)
    }

    async fn predict(&self, request: Predict) -> Result<Payload> {
        let NoConfig {} = request.config.parse()?;
        if let Some(model) = &self.model {
            return Arc::clone(model).predict_catching_panics(request.inputs).await;
        }
        self.model(request.deployment_name, request.endpoint).await?.predict(request.inputs).await
    }

    async fn invoke(&self, request: Invoke) -> Result<Payload> {
        let NoConfig {} = request.config.parse()?;
        if request.operation != REBUILD {
            let message = format!("unknown operation `{}`: expected `{REBUILD}`", excerpt(&request.operation));
            return Err(Error::new(ErrorCode::NOT_IMPLEMENTED, message));
        }
        if request.name.is_some() || request.endpoint.is_some() {
            return Err(Error::invalid_parameter(format!(
                "`{REBUILD}` restores all deployments and endpoints: specify neither a name nor an endpoint"
            )));
        }
        Payload::from_json(&self.deployments.rebuild().await?)
    }

    async fn explain(&self, request: Explain) -> Result<Payload> {
        let deployed = self.model(request.deployment_name, request.endpoint).await?;
        explain::explain(deployed, &request.config, request.inputs).await
    }
}

/// Returns the value of an environment variable. Ignores all variables if this process has more privileges than the
/// user that started it.
fn variable(name: &str) -> Option<OsString> {
    if is_privileged() { None } else { env::var_os(name) }
}
