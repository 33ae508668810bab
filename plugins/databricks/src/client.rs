//! The client: it builds requests, and picks the answers.

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use mlflow_deploy_http::{
    ChunkStream, Client, Environment, Policy, Request, Response, content_type, endpoint, join, prediction, request,
    require_inputs, send, set_member,
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

/// A client of one workspace.
#[derive(Debug)]
pub(crate) struct Databricks {
    pub(crate) config: Config,
    http: Client,
}

impl DeploymentClient for Databricks {
    async fn connect(target: TargetUri, options: ClientOptions) -> Result<Self> {
        // Profiles are a file.
        blocking(move || Self::new(&target, &options, &Environment::new(&|name| std::env::var(name).ok()))).await
    }

    fn target_help() -> String {
        include_str!("../help.md").to_owned()
    }

    async fn create_endpoint(&self, request: CreateEndpoint) -> Result<Payload> {
        let mut config = request.config.parse()?;
        let wait = Wait::take(&mut config, self.config.poll_interval)?;
        let new = create::request(&request.name, config)?;
        let name = new["name"].as_str().unwrap_or_default().to_owned();
        let made = self.change(Method::POST, routes::ENDPOINTS, &new).await?;
        self.settle(&name, wait, true, made).await
    }

    async fn update_endpoint(&self, request: UpdateEndpoint) -> Result<Payload> {
        let config: Map<String, Value> = request.config.parse()?;
        let is_wait = |key: &str| matches!(key, "wait" | "wait_timeout");
        let mut keys = config.keys().filter(|key| !is_wait(key));
        if keys.next().is_some_and(|key| key == "rate_limits") && keys.next().is_none() {
            call::warn("rate limits alone in `update_endpoint` are deprecated: use `update_endpoint_rate_limits`");
            return self.update(&request.endpoint, Method::PUT, "rate-limits", config).await;
        }
        self.update(&request.endpoint, Method::PUT, "config", config).await
    }

    async fn delete_endpoint(&self, request: DeleteEndpoint) -> Result<Payload> {
        let path = routes::endpoint(&request.endpoint)?;
        let gone = Value::from(ErrorCode::RESOURCE_DOES_NOT_EXIST.as_str());
        match self.ask(Method::DELETE, &path, Payload::empty(), &self.config.manage).await {
            Ok(answer) => Ok(answer.payload),
            // Not any 404: one with another code, or none, says that the address is wrong, not that the endpoint is gone.
            Err(error) if error.http_status() == Some(404) && error.details().get("error_code") == Some(&gone) => {
                call::log(Level::Info, format!("there was no endpoint `{}` to delete", request.endpoint));
                Ok(Payload::empty())
            }
            Err(error) => Err(error),
        }
    }

    async fn get_endpoint(&self, request: GetEndpoint) -> Result<Payload> {
        let answer = self.get(&routes::endpoint(&request.endpoint)?, &self.config.manage).await?;
        record::object(&answer)?;
        Ok(answer.payload)
    }

    async fn list_endpoints(&self, _request: ListEndpoints) -> Result<Payload> {
        record::list(&self.get(routes::ENDPOINTS, &self.config.manage).await?)
    }

    async fn predict(&self, request: Predict) -> Result<Payload> {
        let name = endpoint(request.endpoint, request.deployment_name, "Databricks")?;
        require_inputs(&request.inputs)?;
        let path = routes::invocations(&name)?;
        self.ask(Method::POST, &path, request.inputs, &self.config.predict).await.and_then(prediction)
    }

    async fn predict_stream(&self, request: PredictStream, chunks: &mut Chunks) -> Result<()> {
        let name = endpoint(request.endpoint, request.deployment_name, "Databricks")?;
        let bytes = set_member(require_inputs(&request.inputs)?.bytes(), "stream", "true")?;
        let inputs = Payload::new(request.inputs.content_type(), bytes);
        let policy = self.config.predict.started();
        let request = self.request(Method::POST, &routes::invocations(&name)?, inputs, &policy).await?;
        let mut stream = ChunkStream::open(&self.http, &request, &policy).await?;
        while let Some(chunk) = stream.next().await? {
            if !chunk.is_json() {
                let kind = chunk.content_type();
                let message = format!("the server answered with `{kind}`, where a stream or JSON was expected");
                return Err(Error::internal(message));
            }
            chunks.send(chunk).await?;
        }
        Ok(())
    }

    async fn invoke(&self, request: Invoke) -> Result<Payload> {
        let operation = Operation::of(&request.operation)?;
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
                Ok(self.get(&routes::model_logs(&name, &model, logs)?, &policy).await?.payload)
            }
            Operation::Text(part) => Ok(self.get(&routes::part(&name, part)?, &policy).await?.payload),
            Operation::Permissions(method) => {
                let path = routes::permissions(&self.id(&name, &policy).await?)?;
                let body = if method == Method::GET { Payload::empty() } else { Payload::from_json(&config)? };
                Ok(self.ask(method, &path, body, &policy).await?.payload)
            }
        }
    }
}

impl Databricks {
    /// A client that reads this environment. Nobody is asked yet.
    pub(crate) fn new(target: &TargetUri, options: &ClientOptions, environment: &Environment<'_>) -> Result<Self> {
        let config = Config::new(target, options, environment)?;
        let http = Client::new(config.connection.clone());
        Ok(Self { config, http })
    }

    /// Changes a part of an endpoint.
    async fn update(
        &self,
        name: &str,
        method: Method,
        part: &'static str,
        mut config: Map<String, Value>,
    ) -> Result<Payload> {
        let wait = Wait::take(&mut config, self.config.poll_interval)?;
        if config.is_empty() {
            return Err(Error::invalid_parameter(format!("no config is given: give what `{part}` is to be")));
        }
        let changed = self.change(method, &routes::part(name, part)?, &config).await?;
        self.settle(name, wait, false, changed).await
    }

    async fn change(&self, method: Method, path: &str, body: &Map<String, Value>) -> Result<Payload> {
        Ok(self.ask(method, path, Payload::from_json(body)?, &self.config.manage).await?.payload)
    }

    /// What a change answered; or where it is to be waited for, what the endpoint is when it is ready.
    async fn settle(&self, name: &str, wait: Option<Wait>, is_new: bool, answered: Payload) -> Result<Payload> {
        let Some(mut wait) = wait else { return Ok(answered) };
        let path = routes::endpoint(name)?;
        let policy = Policy { deadline: Some(wait.deadline()), ..self.config.manage.started() };
        loop {
            let doing = match self.get(&path, &policy).await {
                Ok(answer) => match progress(&record::object(&answer)?) {
                    Progress::Ready => {
                        call::progress(1.0, format!("`{name}` is ready"));
                        return Ok(answer.payload);
                    }
                    Progress::Failed(reason) => {
                        let message = format!("`{name}` is not what it was asked to be: {reason}");
                        return Err(Error::new(ErrorCode::new("UPDATE_FAILED"), message));
                    }
                    Progress::Under(done, doing) => {
                        call::progress(done, format!("`{name}`: {doing}"));
                        doing
                    }
                },
                // It was made just now, and not every server of the API has heard of it.
                Err(error) if is_new && error.http_status() == Some(404) => "it cannot be seen yet".to_owned(),
                Err(error) => return Err(error),
            };
            wait.pause(name, &doing).await?;
        }
    }

    /// The name of the model that an endpoint serves, where it is only one.
    async fn only_model(&self, name: &str, policy: &Policy) -> Result<String> {
        let record = record::object(&self.get(&routes::endpoint(name)?, policy).await?)?;
        let served = ["served_entities", "served_models"].iter().find_map(|list| record["config"][*list].as_array());
        let names: Vec<_> = served.into_iter().flatten().filter_map(|served| served["name"].as_str()).collect();
        match names.as_slice() {
            [only] => Ok((*only).to_owned()),
            names => Err(Error::invalid_parameter(format!(
                "which model is meant? give `served_model_name`: `{name}` serves {names:?}"
            ))),
        }
    }

    async fn id(&self, name: &str, policy: &Policy) -> Result<String> {
        let record = record::object(&self.get(&routes::endpoint(name)?, policy).await?)?;
        let id = record["id"].as_str().map(str::to_owned);
        id.ok_or_else(|| Error::internal(format!("the server does not say the id of `{name}`")))
    }

    async fn get(&self, path: &str, policy: &Policy) -> Result<Response> {
        self.ask(Method::GET, path, Payload::empty(), policy).await
    }

    async fn ask(&self, method: Method, path: &str, body: Payload, policy: &Policy) -> Result<Response> {
        let policy = policy.started();
        send(&self.http, &self.request(method, path, body, &policy).await?, &policy).await
    }

    async fn request(&self, method: Method, path: &str, body: Payload, policy: &Policy) -> Result<Request> {
        let workspace = self.config.workspace.as_ref().map_err(Clone::clone)?;
        let mut headers: HeaderMap = workspace.headers(&self.http, policy).await?;
        if !body.bytes().is_empty() {
            headers.insert(CONTENT_TYPE, content_type(body.content_type())?);
        }
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        // What the user gives goes before all else.
        headers.extend(self.config.headers.clone());
        request(method, &join(workspace.base(), path), headers, body.into_bytes())
    }
}
