//! The client of a server with OpenAI's API. It builds requests and reads responses.

use http::Method;
use http::header::CONTENT_TYPE;
use mlflow_deploy_http::{
    ChunkStream, Client, Environment, Pages, Policy, Request, content_type, encode_segment, join, json_list, named,
    prediction, process_variable, request, send,
};
use mlflow_deploy_plugin_api::args::{GetEndpoint, ListEndpoints, Predict, PredictStream};
use mlflow_deploy_plugin_api::{Chunks, ClientOptions, DeploymentClient, Error, ErrorCode, Payload, Result, TargetUri};
use url::Url;

use crate::config::Config;
use crate::request_body::{Delivery, PredictRequest};
use crate::server::Dialect;
use crate::{record, route_error};

/// A client of one server with OpenAI's API.
#[derive(Debug)]
pub(crate) struct OpenAi {
    config: Config,
    http: Client,
}

impl DeploymentClient for OpenAi {
    async fn connect(target: TargetUri, options: ClientOptions) -> Result<Self> {
        Self::new(&target, &options, &Environment::new(&process_variable))
    }

    fn target_help() -> String {
        include_str!("../help.md").to_owned()
    }

    async fn get_endpoint(&self, request: GetEndpoint) -> Result<Payload> {
        let name = request.endpoint;
        let policy = self.config.look_up.started();
        let models = self.models("Get endpoint")?;
        let url = join(&models, &encode_segment(&name)?);
        match send(&self.http, &self.get(&url)?, &policy).await {
            Ok(response) => record::single(&response, &name).map_err(|error| self.explained(error)),
            Err(error) if is_unknown_route(&error) => match self.list(models, &policy).await {
                Ok(models) => record::find(&models, &name).ok_or(error),
                // The server has neither the route for one model nor the list.
                Err(_missing) => Err(self.explained(error)),
            },
            Err(error) => Err(self.explained(error)),
        }
    }

    async fn list_endpoints(&self, _request: ListEndpoints) -> Result<Payload> {
        let records = self.list(self.models("List endpoints")?, &self.config.look_up.started()).await;
        records
            .map(|records| json_list(&records))
            .map_err(|error| route_error::explained(error, &self.config.server, false))
    }

    async fn predict(&self, request: Predict) -> Result<Payload> {
        let name = named(request.endpoint, request.deployment_name, "a model");
        let model_request = PredictRequest::new(name.as_deref(), &request.inputs, &request.config, Delivery::Whole)?;
        let request = self.post(model_request, request.inputs.content_type())?;
        let response = send(&self.http, &request, &self.config.predict).await;
        response.and_then(prediction).map_err(|error| self.explained(error))
    }

    async fn predict_stream(&self, request: PredictStream, chunks: &mut Chunks) -> Result<()> {
        let name = named(request.endpoint, request.deployment_name, "a model");
        let model_request = PredictRequest::new(name.as_deref(), &request.inputs, &request.config, Delivery::Streamed)?;
        let request = self.post(model_request, request.inputs.content_type())?;
        let stream = ChunkStream::open(&self.http, &request, &self.config.predict).await;
        let forwarded = match stream {
            Ok(stream) => stream.forward(chunks).await,
            Err(error) => Err(error),
        };
        forwarded.map_err(|error| self.explained(error))
    }
}

impl OpenAi {
    /// Creates a client for `target`, configured by `options` and `environment`. Sends no request.
    pub(crate) fn new(target: &TargetUri, options: &ClientOptions, environment: &Environment<'_>) -> Result<Self> {
        let config = Config::new(target, options, environment)?;
        let http = Client::new(config.connection.clone());
        Ok(Self { config, http })
    }

    /// Sets the durations of the waits between retries.
    #[cfg(test)]
    pub(crate) fn set_backoff(&mut self, backoff: mlflow_deploy_http::Backoff) {
        (self.config.look_up.backoff, self.config.predict.backoff) = (backoff, backoff);
    }

    /// Returns the URL of the list of models. Fails for Azure OpenAI, because its list contains the models that can be
    /// deployed, not the deployments. MLflow does not support this list either. The error message names `operation`.
    fn models(&self, operation: &str) -> Result<Url> {
        match self.config.server.dialect {
            Dialect::OpenAi => self.config.server.url("models", ""),
            Dialect::Azure { .. } => Err(Error::new(
                ErrorCode::NOT_IMPLEMENTED,
                format!("{operation} is not implemented for Azure OpenAI API"),
            )),
        }
    }

    /// Requests all pages of the list of models, and returns the models' records.
    async fn list(&self, mut url: Url, policy: &Policy) -> Result<Vec<Vec<u8>>> {
        let (mut records, mut pages) = (Vec::new(), Pages::new(&self.http, policy));
        loop {
            let response = pages.ask(&self.get(&url)?).await?;
            let Some(last) = record::add_page(&response, &mut records)? else { return Ok(records) };
            url.query_pairs_mut().clear().append_pair("after", &last);
            pages.follow("last model of a page,", &last)?;
        }
    }

    /// Adds a hint about the base URL to an error if the server does not have the requested route.
    fn explained(&self, error: Error) -> Error {
        route_error::explained(error, &self.config.server, true)
    }

    fn get(&self, url: &Url) -> Result<Request> {
        request(Method::GET, url, self.config.headers.clone(), "")
    }

    fn post(&self, model_request: PredictRequest, media_type: &str) -> Result<Request> {
        let url = self.config.server.url(&model_request.route, &model_request.model)?;
        let mut headers = self.config.headers.clone();
        headers.insert(CONTENT_TYPE, content_type(media_type)?);
        request(Method::POST, &url, headers, model_request.body)
    }
}

/// Returns true if an error may mean that the server does not have the route for a single model. This is the case for
/// every 404, except with the error code `model_not_found`. For example, llama.cpp does not have that route.
fn is_unknown_route(error: &Error) -> bool {
    error.http_status() == Some(404) && error.details().get("error_code").is_none_or(|code| code != "model_not_found")
}
