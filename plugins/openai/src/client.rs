//! The client: it asks one server, and hands on what that answers.

use http::Method;
use http::header::CONTENT_TYPE;
use mlflow_deploy_http::{
    ChunkStream, Client, Environment, Pages, Policy, Request, content_type, encode_segment, join, json_list, named,
    prediction, request, send,
};
use mlflow_deploy_plugin_api::args::{GetEndpoint, ListEndpoints, Predict, PredictStream};
use mlflow_deploy_plugin_api::{Chunks, ClientOptions, DeploymentClient, Error, ErrorCode, Payload, Result, TargetUri};
use serde::de::IgnoredAny;
use url::Url;

use crate::config::Config;
use crate::question::{Delivery, Question};
use crate::record;
use crate::server::Dialect;

/// A client of one server.
#[derive(Debug)]
pub(crate) struct OpenAi {
    config: Config,
    http: Client,
}

impl DeploymentClient for OpenAi {
    async fn connect(target: TargetUri, options: ClientOptions) -> Result<Self> {
        Self::new(&target, &options, &Environment::new(&|name| std::env::var(name).ok()))
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
            Ok(answer) => record::single(&answer, &name),
            Err(error) if knows_no_route(&error) => {
                let listed = self.list(models, &policy).await.ok();
                listed.and_then(|models| record::find(&models, &name)).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    async fn list_endpoints(&self, _request: ListEndpoints) -> Result<Payload> {
        let records = self.list(self.models("List endpoints")?, &self.config.look_up.started()).await?;
        Ok(json_list(&records))
    }

    async fn predict(&self, request: Predict) -> Result<Payload> {
        let name = named(request.endpoint, request.deployment_name, "a model");
        let question = Question::new(name.as_deref(), &request.inputs, &request.config, Delivery::Whole)?;
        let request = self.post(question, request.inputs.content_type())?;
        prediction(send(&self.http, &request, &self.config.predict).await?).and_then(json)
    }

    async fn predict_stream(&self, request: PredictStream, chunks: &mut Chunks) -> Result<()> {
        let name = named(request.endpoint, request.deployment_name, "a model");
        let question = Question::new(name.as_deref(), &request.inputs, &request.config, Delivery::Streamed)?;
        let request = self.post(question, request.inputs.content_type())?;
        let mut stream = ChunkStream::open(&self.http, &request, &self.config.predict).await?;
        while let Some(chunk) = stream.next().await? {
            chunks.send(json(chunk)?).await?;
        }
        Ok(())
    }
}

impl OpenAi {
    /// A client that reads this environment. Nothing is asked yet.
    pub(crate) fn new(target: &TargetUri, options: &ClientOptions, environment: &Environment<'_>) -> Result<Self> {
        let config = Config::new(target, options, environment)?;
        let http = Client::new(config.connection.clone());
        Ok(Self { config, http })
    }

    /// Waits otherwise between retries, so that no test has to.
    #[cfg(test)]
    pub(crate) fn hurry(&mut self, backoff: mlflow_deploy_http::Backoff) {
        (self.config.look_up.backoff, self.config.predict.backoff) = (backoff, backoff);
    }

    /// Where the models are listed. Azure lists what could be deployed and not what is; MLflow does not ask it either.
    fn models(&self, what: &str) -> Result<Url> {
        match self.config.server.dialect {
            Dialect::OpenAi => self.config.server.url("models", ""),
            Dialect::Azure { .. } => {
                Err(Error::new(ErrorCode::NOT_IMPLEMENTED, format!("{what} is not implemented for Azure OpenAI API")))
            }
        }
    }

    /// A record for each model, from all pages.
    async fn list(&self, mut url: Url, policy: &Policy) -> Result<Vec<Vec<u8>>> {
        let (mut records, mut pages) = (Vec::new(), Pages::new(&self.http, policy));
        loop {
            let answer = pages.ask(&self.get(&url)?).await?;
            let Some(last) = record::add_page(&answer, &mut records)? else { return Ok(records) };
            url.query_pairs_mut().clear().append_pair("after", &last);
            pages.follow("last model of a page,", &last)?;
        }
    }

    fn get(&self, url: &Url) -> Result<Request> {
        request(Method::GET, url, self.config.headers.clone(), "")
    }

    fn post(&self, question: Question, media_type: &str) -> Result<Request> {
        let url = self.config.server.url(&question.route, &question.model)?;
        let mut headers = self.config.headers.clone();
        headers.insert(CONTENT_TYPE, content_type(media_type)?);
        request(Method::POST, &url, headers, question.body)
    }
}

/// Whether a server can list its models and not look one up, as llama.cpp's. OpenAI's names the model that it misses.
fn knows_no_route(error: &Error) -> bool {
    error.http_status() == Some(404) && error.details().get("error_code").is_none_or(|code| code != "model_not_found")
}

/// The answer, unless it is no JSON. What Python writes is let through: its `NaN` and `Infinity` are no JSON either.
fn json(answer: Payload) -> Result<Payload> {
    let has = |word: &[u8]| answer.bytes().windows(word.len()).any(|each| each == word);
    match serde_json::from_slice::<IgnoredAny>(answer.bytes()) {
        Err(error) if !answer.bytes().is_empty() && !has(b"NaN") && !has(b"Infinity") => {
            Err(Error::internal(format!("the server answered with something that is not JSON: {error}")))
        }
        _ => Ok(answer),
    }
}
