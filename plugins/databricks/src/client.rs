//! The client of a Databricks workspace: builds requests and reads responses.

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use mlflow_deploy_http::{
    ChunkStream, Client, Environment, Policy, Request, Response, content_type, endpoint, join, prediction,
    process_variable, request, require_inputs, send, set_member, whole_inputs,
};
use mlflow_deploy_plugin_api::args::{
    CreateEndpoint, DeleteEndpoint, GetEndpoint, Invoke, ListEndpoints, Predict, PredictStream, UpdateEndpoint,
};
use mlflow_deploy_plugin_api::call::{self, Level};
use mlflow_deploy_plugin_api::{
    Chunks, ClientOptions, DeploymentClient, Error, ErrorCode, Payload, Result, TargetUri, blocking,
};
use serde_json::{Map, Value};

use crate::config::Config;
use crate::invoke::Operation;
use crate::wait::{Progress, Wait, progress};
use crate::{create, record, routes};

/// The name of the content that a response must have if it is returned unchanged. Error messages show the name.
const DOCUMENT: &str = "JSON";

/// A deployment client of a Databricks workspace.
#[derive(Debug)]
pub(crate) struct Databricks {
    pub(crate) config: Config,
    http: Client,
}

impl DeploymentClient for Databricks {
    async fn connect(target: TargetUri, options: ClientOptions) -> Result<Self> {
        // The constructor blocks, because profiles are read from a file.
        blocking(move || Self::new(&target, &options, &Environment::new(&process_variable))).await
    }

    fn target_help() -> String {
        include_str!("../help.md").to_owned()
    }

    async fn create_endpoint(&self, request: CreateEndpoint) -> Result<Payload> {
        let name = request.endpoint_name()?;
        let mut config = request.config.parse()?;
        let wait = Wait::take(&mut config, self.config.poll_interval)?;
        let new = create::request(name.clone(), !request.name.is_empty(), config);
        let created = self.change(Method::POST, routes::ENDPOINTS, &new).await?;
        self.wait_until_ready(&name, wait, true, created).await
    }

    async fn update_endpoint(&self, request: UpdateEndpoint) -> Result<Payload> {
        call::warn(
            "`update_endpoint` is deprecated: use `update_endpoint_config`, `update_endpoint_tags`, \
             `update_endpoint_rate_limits` or `update_endpoint_ai_gateway`",
        );
        let config: Map<String, Value> = request.config.parse()?;
        let is_wait = |key: &str| matches!(key, "wait" | "wait_timeout");
        let mut keys = config.keys().filter(|key| !is_wait(key));
        if keys.next().is_some_and(|key| key == "rate_limits") && keys.next().is_none() {
            return self.update(&request.endpoint, Method::PUT, "rate-limits", config).await;
        }
        self.update(&request.endpoint, Method::PUT, "config", config).await
    }

    async fn delete_endpoint(&self, request: DeleteEndpoint) -> Result<Payload> {
        let path = routes::endpoint(&request.endpoint)?;
        let missing = Value::from(ErrorCode::RESOURCE_DOES_NOT_EXIST.as_str());
        match self.send(Method::DELETE, &path, Payload::empty(), &self.config.manage).await {
            Ok(response) => response.document(DOCUMENT),
            // A 404 with another code means that the URL is wrong, not that the endpoint is missing.
            Err(error) if error.http_status() == Some(404) && error.details().get("error_code") == Some(&missing) => {
                call::log(
                    Level::Info,
                    format!("the endpoint `{}` does not exist: nothing was deleted", request.endpoint),
                );
                Ok(Payload::empty())
            }
            Err(error) => Err(error),
        }
    }

    async fn get_endpoint(&self, request: GetEndpoint) -> Result<Payload> {
        let response = self.get(&routes::endpoint(&request.endpoint)?, &self.config.manage).await?;
        record::object(&response)?;
        Ok(response.payload)
    }

    async fn list_endpoints(&self, _request: ListEndpoints) -> Result<Payload> {
        record::list(&self.get(routes::ENDPOINTS, &self.config.manage).await?)
    }

    async fn predict(&self, request: Predict) -> Result<Payload> {
        let name = endpoint(request.endpoint, request.deployment_name, "Databricks")?;
        let inputs = whole_inputs(request.inputs)?;
        let path = routes::invocations(&name)?;
        let response = self.send(Method::POST, &path, inputs, &self.config.predict).await?;
        prediction(response)
    }

    async fn predict_stream(&self, request: PredictStream, chunks: &mut Chunks) -> Result<()> {
        let name = endpoint(request.endpoint, request.deployment_name, "Databricks")?;
        let bytes = set_member(require_inputs(&request.inputs)?.bytes(), "stream", "true")?;
        let inputs = Payload::new(request.inputs.content_type(), bytes);
        let policy = self.config.predict.started();
        let request = self.build(Method::POST, &routes::invocations(&name)?, inputs, &policy).await?;
        let stream = match ChunkStream::open(&self.http, &request, &policy).await {
            Err(error) if self.reject_token(&request, &error) => {
                ChunkStream::open(&self.http, &self.with_new_token(&request, &policy).await?, &policy).await?
            }
            stream => stream?,
        };
        stream.forward(chunks).await
    }

    async fn invoke(&self, request: Invoke) -> Result<Payload> {
        let operation = Operation::from_name(&request.operation)?;
        let name = endpoint(request.endpoint, request.name, "Databricks")?;
        let config: Map<String, Value> = request.config.parse()?;
        let policy = self.config.manage.started();
        match operation {
            Operation::Change(method, part) => self.update(&name, method, part, config).await,
            Operation::Logs(logs) => {
                let model = match config.get("served_model_name").and_then(Value::as_str) {
                    Some(model) => model.to_owned(),
                    None => self.only_model(&name, &policy).await?,
                };
                self.get(&routes::model_logs(&name, &model, logs)?, &policy).await?.document(DOCUMENT)
            }
            Operation::Text(part) => self.get(&routes::part(&name, part)?, &policy).await?.document(DOCUMENT),
            Operation::Permissions(method) => {
                let path = routes::permissions(&self.id(&name, &policy).await?)?;
                let body = if method == Method::GET { Payload::empty() } else { Payload::from_json(&config)? };
                self.send(method, &path, body, &policy).await?.document(DOCUMENT)
            }
        }
    }
}

impl Databricks {
    /// Creates a client with settings from the target, the options and the environment. Sends no request.
    pub(crate) fn new(target: &TargetUri, options: &ClientOptions, environment: &Environment<'_>) -> Result<Self> {
        let config = Config::new(target, options, environment)?;
        let http = Client::new(config.connection.clone());
        Ok(Self { config, http })
    }

    /// Changes a part of an endpoint, such as its `config`. Waits until the endpoint is ready if the config requests
    /// it.
    async fn update(
        &self,
        name: &str,
        method: Method,
        part: &'static str,
        mut config: Map<String, Value>,
    ) -> Result<Payload> {
        let wait = Wait::take(&mut config, self.config.poll_interval)?;
        if config.is_empty() {
            return Err(Error::invalid_parameter(format!("the config is empty: specify the new `{part}`")));
        }
        let changed = self.change(method, &routes::part(name, part)?, &config).await?;
        self.wait_until_ready(name, wait, false, changed).await
    }

    async fn change(&self, method: Method, path: &str, body: &Map<String, Value>) -> Result<Payload> {
        self.send(method, path, Payload::from_json(body)?, &self.config.manage).await?.document(DOCUMENT)
    }

    /// Waits until an endpoint is ready and returns its record. If no wait was requested, returns `response` at once.
    async fn wait_until_ready(
        &self,
        name: &str,
        wait: Option<Wait>,
        is_new: bool,
        response: Payload,
    ) -> Result<Payload> {
        let Some(mut wait) = wait else { return Ok(response) };
        let path = routes::endpoint(name)?;
        let policy = Policy { deadline: Some(wait.deadline()), ..self.config.manage.started() };
        loop {
            let state = match self.get(&path, &policy).await {
                Ok(response) => match progress(&record::object(&response)?) {
                    Progress::Ready => {
                        call::progress(1.0, format!("`{name}` is ready"));
                        return Ok(response.payload);
                    }
                    Progress::Failed(reason) => {
                        let message = format!("the update of `{name}` failed: {reason}");
                        return Err(Error::new(ErrorCode::new("UPDATE_FAILED"), message));
                    }
                    Progress::Pending(done, state) => {
                        call::progress(done, format!("`{name}`: {state}"));
                        state
                    }
                },
                // A new endpoint may not be visible on every API server yet.
                Err(error) if is_new && error.http_status() == Some(404) => "not visible yet".to_owned(),
                Err(error) => return Err(error),
            };
            wait.pause(name, &state).await?;
        }
    }

    /// Returns the name of the only model that an endpoint serves.
    async fn only_model(&self, name: &str, policy: &Policy) -> Result<String> {
        let record = record::object(&self.get(&routes::endpoint(name)?, policy).await?)?;
        let served = ["served_entities", "served_models"].iter().find_map(|list| record["config"][*list].as_array());
        let names: Vec<_> = served.into_iter().flatten().filter_map(|served| served["name"].as_str()).collect();
        match names.as_slice() {
            [only] => Ok((*only).to_owned()),
            names => Err(Error::invalid_parameter(format!(
                "`{name}` serves {} models: set `served_model_name` to one of {names:?}",
                names.len()
            ))),
        }
    }

    async fn id(&self, name: &str, policy: &Policy) -> Result<String> {
        let record = record::object(&self.get(&routes::endpoint(name)?, policy).await?)?;
        let id = record["id"].as_str().map(str::to_owned);
        id.ok_or_else(|| Error::internal(format!("the record of `{name}` has no `id`")))
    }

    async fn get(&self, path: &str, policy: &Policy) -> Result<Response> {
        self.send(Method::GET, path, Payload::empty(), policy).await
    }

    async fn send(&self, method: Method, path: &str, body: Payload, policy: &Policy) -> Result<Response> {
        let policy = policy.started();
        let request = self.build(method, path, body, &policy).await?;
        match send(&self.http, &request, &policy).await {
            Err(error) if self.reject_token(&request, &error) => {
                send(&self.http, &self.with_new_token(&request, &policy).await?, &policy).await
            }
            response => response,
        }
        .map_err(|error| routes::explained(error, path))
    }

    /// Discards the token if `error` says that the server rejected it. Returns true if the request should be sent again
    /// with a new token.
    fn reject_token(&self, request: &Request, error: &Error) -> bool {
        error.http_status() == Some(401)
            && !self.config.headers.contains_key(AUTHORIZATION)
            && self.config.workspace.as_ref().is_ok_and(|workspace| workspace.reject_token(request.headers()))
    }

    /// Returns a copy of a rejected request with a new token.
    async fn with_new_token(&self, rejected: &Request, policy: &Policy) -> Result<Request> {
        call::log(Level::Debug, "the server rejected the token: renewing it and sending the request again");
        let workspace = self.config.workspace.as_ref().map_err(Clone::clone)?;
        let mut request = rejected.clone();
        request.headers_mut().extend(workspace.headers(&self.http, policy).await?);
        request.headers_mut().extend(self.config.headers.clone());
        Ok(request)
    }

    async fn build(&self, method: Method, path: &str, body: Payload, policy: &Policy) -> Result<Request> {
        let workspace = self.config.workspace.as_ref().map_err(Clone::clone)?;
        let mut headers: HeaderMap = workspace.headers(&self.http, policy).await?;
        if !body.bytes().is_empty() {
            headers.insert(CONTENT_TYPE, content_type(body.content_type())?);
        }
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        // The headers of the options take precedence.
        headers.extend(self.config.headers.clone());
        request(method, &join(workspace.base(), path), headers, body.into_bytes())
    }
}
