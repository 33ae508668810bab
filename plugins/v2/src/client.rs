//! The client of a server of the Open Inference Protocol. Each operation checks its arguments and calls the module that
//! implements it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use mlflow_deploy_http::{Environment, Policy, prediction, process_variable};
use mlflow_deploy_plugin_api::args::{
    CreateDeployment, DeleteDeployment, GetDeployment, Invoke, ListDeployments, Predict, UpdateDeployment,
};
use mlflow_deploy_plugin_api::{
    ClientOptions, DeploymentClient, Error, ErrorCode, Payload, Result, TargetUri, blocking,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::api::{Api, BINARY, JSON_LENGTH, METADATA, ModelPath};
use crate::config::Config;
use crate::model::ModelInfo;
use crate::predict::{Wire, as_infer_body, read_answer, read_inputs, write_request};
use crate::record::{self, ChangedRecord};
use crate::repository;
use crate::source::{ModelSource, Shipment};

/// The name of the operation that lists the server's whole repository, as the argument of `invoke`.
const INDEX: &str = "repository-index";

/// A client of one server.
#[derive(Debug)]
pub(crate) struct V2 {
    api: Api,
    /// The metadata of the models that this client has asked for predictions.
    models: Mutex<HashMap<ModelPath, Arc<ModelInfo>>>,
}

/// The config of `predict`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PredictConfig {
    #[serde(default)]
    version: Option<Value>,
}

/// The config of `create_deployment` and `update_deployment`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LoadConfig {
    /// The parts of Triton's model configuration that replace those of the plugin.
    #[serde(default)]
    config: Option<Map<String, Value>>,
}

/// The config of an operation that accepts no config keys. Parsing fails if the config has a key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoConfig {}

impl DeploymentClient for V2 {
    async fn connect(target: TargetUri, options: ClientOptions) -> Result<Self> {
        // The constructor blocks, because MLflow's credentials are read from a file.
        blocking(move || Self::new(&target, &options, &Environment::new(&process_variable))).await
    }

    fn target_help() -> String {
        include_str!("../help.md").to_owned()
    }

    async fn create_deployment(&self, request: CreateDeployment) -> Result<Payload> {
        let CreateDeployment { name, model_uri, flavor, config, endpoint } = request;
        let LoadConfig { config } = config.parse()?;
        no_endpoint(endpoint.as_deref())?;
        let source = ModelSource::parse(&model_uri, &name)?;
        let policy = self.api.config.manage.started();
        self.require_repository(&policy).await?;
        if self.api.is_ready(&ModelPath::new(&name, None)?, &policy).await? {
            return Err(Error::new(
                ErrorCode::RESOURCE_ALREADY_EXISTS,
                format!("the server has already loaded a model `{name}`: update it, or delete it first"),
            ));
        }
        self.load(&name, Some(source), flavor, config, &policy).await
    }

    async fn update_deployment(&self, request: UpdateDeployment) -> Result<Payload> {
        let UpdateDeployment { name, model_uri, flavor, config, endpoint } = request;
        let LoadConfig { config } = config.parse()?;
        no_endpoint(endpoint.as_deref())?;
        let source = model_uri.map(|uri| ModelSource::parse(&uri, &name)).transpose()?;
        if source.is_none() && flavor.is_some() {
            return Err(Error::invalid_parameter("a flavor is given without a model: specify the model's URI, too"));
        }
        let policy = self.api.config.manage.started();
        self.require_repository(&policy).await?;
        if !self.api.is_ready(&ModelPath::new(&name, None)?, &policy).await? {
            return Err(Error::new(
                ErrorCode::RESOURCE_DOES_NOT_EXIST,
                format!("no model `{name}` is loaded: create the deployment first"),
            ));
        }
        self.load(&name, source, flavor, config, &policy).await
    }

    async fn delete_deployment(&self, request: DeleteDeployment) -> Result<Payload> {
        let NoConfig {} = request.config.parse()?;
        no_endpoint(request.endpoint.as_deref())?;
        let policy = self.api.config.manage.started();
        self.require_repository(&policy).await?;
        self.forget(&request.name);
        repository::unload(&self.api, &request.name, &policy).await?;
        Ok(Payload::empty())
    }

    async fn get_deployment(&self, request: GetDeployment) -> Result<Payload> {
        no_endpoint(request.endpoint.as_deref())?;
        let policy = self.api.config.manage.started();
        let model = ModelPath::new(&request.name, None)?;
        let metadata = self.api.metadata(&model, &policy).await?;
        let is_ready = self.api.is_ready(&model, &policy).await?;
        record::single(&metadata, &request.name, is_ready)
    }

    async fn list_deployments(&self, request: ListDeployments) -> Result<Payload> {
        no_endpoint(request.endpoint.as_deref())?;
        let policy = self.api.config.manage.started();
        let entries = repository::entries(&self.api, &policy).await?;
        Payload::from_json(&record::deployed(entries))
    }

    async fn predict(&self, request: Predict) -> Result<Payload> {
        let PredictConfig { version } = request.config.parse()?;
        let name = request.deployment_name.or(request.endpoint);
        let name = name.ok_or_else(|| Error::invalid_parameter("no deployment given: specify its name"))?;
        let model = ModelPath::new(&name, version_text(version)?.as_deref())?;
        if request.inputs.bytes().is_empty() {
            return Err(Error::invalid_parameter("no inputs given: pass JSON, such as `{\"inputs\": [[1, 2]]}`"));
        }
        let policy = self.api.config.predict.started();
        let inputs = request.inputs;
        if let Some(body) = as_infer_body(&inputs)? {
            let response = self.api.infer(&model, &body, &policy).await?;
            return match response.headers.contains_key(JSON_LENGTH) {
                true => Ok(Payload::new(BINARY, response.payload.into_bytes())),
                false => prediction(response),
            };
        }
        let server = self.api.server(&policy).await?;
        let info = self.model(&model, &policy).await?;
        let wire = Wire {
            has_binary: server.has_binary_tensors(),
            names_types: !server.is_triton() && info.inputs.is_empty(),
            names_frames: !server.is_triton() && !info.has_content_types(),
        };
        // The model may have been replaced by one that takes other tensors.
        self.ask(&model, inputs, info, wire, &policy).await.inspect_err(|_error| self.forget(&model.name))
    }

    async fn invoke(&self, request: Invoke) -> Result<Payload> {
        let NoConfig {} = request.config.parse()?;
        if request.operation != INDEX {
            let message = format!("unknown operation `{}`: expected `{INDEX}`", request.operation);
            return Err(Error::new(ErrorCode::NOT_IMPLEMENTED, message));
        }
        let index = repository::index(&self.api, &self.api.config.manage.started()).await?;
        index.document(record::INDEX)
    }
}

impl V2 {
    /// Creates a client for `target`, configured by `options` and `environment`. Sends no request.
    pub(crate) fn new(target: &TargetUri, options: &ClientOptions, environment: &Environment<'_>) -> Result<Self> {
        let config = Config::new(target, options, environment)?;
        Ok(Self { api: Api::new(config), models: Mutex::default() })
    }

    /// Fails with `NOT_IMPLEMENTED` if the server cannot load and unload models.
    async fn require_repository(&self, policy: &Policy) -> Result<()> {
        if !self.api.server(policy).await?.is_triton() {
            repository::index(&self.api, policy).await?;
        }
        Ok(())
    }

    /// Loads a model from `source`, or again from the server's repository.
    async fn load(
        &self,
        name: &str,
        source: Option<ModelSource>,
        flavor: Option<String>,
        config: Option<Map<String, Value>>,
        policy: &Policy,
    ) -> Result<Payload> {
        let server = self.api.server(policy).await?;
        if !server.is_triton() && config.is_some() {
            return Err(Error::invalid_parameter(format!(
                "{} takes no model configuration: omit `config`, which is for Triton",
                server.shown()
            )));
        }
        let shipment = match source {
            Some(ModelSource::Mlflow(_)) if !server.is_triton() => {
                return Err(Error::invalid_parameter(format!(
                    "{} loads only models of its own repository: copy the model there, and specify the model URI \
                     `repository:{name}`",
                    server.shown()
                )));
            }
            Some(ModelSource::Mlflow(uri)) => {
                let tracking = self.api.config.tracking.as_ref().map_err(Clone::clone)?;
                Shipment::of_model(&uri, tracking, name, flavor, config).await?
            }
            Some(ModelSource::Repository) | None => Shipment::of_config(config)?,
        };
        self.forget(name);
        repository::load(&self.api, name, shipment.body, policy).await?;
        Payload::from_json(&ChangedRecord::ready(name, shipment.flavor.as_deref()))
    }

    /// Requests a prediction for inputs in one of MLflow's forms.
    async fn ask(
        &self,
        model: &ModelPath,
        inputs: Payload,
        info: Arc<ModelInfo>,
        wire: Wire,
        policy: &Policy,
    ) -> Result<Payload> {
        let known = Arc::clone(&info);
        // Large requests and answers take too long for the thread that serves the other calls.
        let (body, form) = blocking(move || {
            let inputs = read_inputs(&inputs, &info)?;
            Ok((write_request(&inputs, wire)?, inputs.form))
        })
        .await?;
        let response = self.api.infer(model, &body, policy).await?;
        blocking(move || read_answer(&response, form, &known)).await
    }

    /// Returns the metadata of a model. Asks the server only once, until the model changes.
    async fn model(&self, model: &ModelPath, policy: &Policy) -> Result<Arc<ModelInfo>> {
        if let Some(known) = self.lock().get(model) {
            return Ok(Arc::clone(known));
        }
        let info: Arc<ModelInfo> = Arc::new(self.api.metadata(model, policy).await?.parse(METADATA)?);
        self.lock().insert(model.clone(), Arc::clone(&info));
        Ok(info)
    }

    fn forget(&self, name: &str) {
        self.lock().retain(|model, _| model.name != name);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ModelPath, Arc<ModelInfo>>> {
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fails if an endpoint is given.
fn no_endpoint(endpoint: Option<&str>) -> Result<()> {
    match endpoint {
        None => Ok(()),
        Some(endpoint) => Err(Error::invalid_parameter(format!(
            "the endpoint `{endpoint}` is given, but a server of models has no endpoints: omit it"
        ))),
    }
}

/// Returns the version in the config of a prediction as text. It may be a number.
fn version_text(version: Option<Value>) -> Result<Option<String>> {
    match version {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(version)) => Ok(Some(version)),
        Some(Value::Number(version)) => Ok(Some(version.to_string())),
        Some(other) => {
            Err(Error::invalid_parameter(format!("invalid `version` `{other}`: expected a name or a number")))
        }
    }
}
