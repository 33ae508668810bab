//! The client: it finds out which server it speaks to, and asks it.

use std::sync::OnceLock;

use mlflow_deploy_http::{
    ChunkStream, Client, Environment, Pages, Policy, endpoint, json_list, prediction, redact_url, require_inputs, send,
    set_member,
};
use mlflow_deploy_plugin_api::args::{GetEndpoint, ListEndpoints, Predict, PredictStream};
use mlflow_deploy_plugin_api::{
    Chunks, ClientOptions, DeploymentClient, Error, ErrorCode, Payload, Result, TargetUri, blocking,
};

use crate::config::Config;
use crate::record;
use crate::routes::{self, Dialect, Route};

/// A client of one gateway.
#[derive(Debug)]
pub(crate) struct Gateway {
    config: Config,
    http: Client,
    /// Which server it is, once an answer has told.
    dialect: OnceLock<Dialect>,
}

impl DeploymentClient for Gateway {
    async fn connect(target: TargetUri, options: ClientOptions) -> Result<Self> {
        // MLflow's credentials are a file.
        blocking(move || Self::new(&target, &options, &Environment::new(&|name| std::env::var(name).ok()))).await
    }

    fn target_help() -> String {
        include_str!("../help.md").to_owned()
    }

    async fn get_endpoint(&self, request: GetEndpoint) -> Result<Payload> {
        let policy = self.config.look_up.started();
        let get = |dialect: Dialect| {
            let request = dialect.get_endpoint(&self.config, &request.endpoint);
            let policy = &policy;
            async move { send(&self.http, &request?, policy).await }
        };
        let answer = self.ask(None, get).await?;
        record::single(&answer, &self.config.base)
    }

    async fn list_endpoints(&self, _request: ListEndpoints) -> Result<Payload> {
        let policy = self.config.look_up.started();
        let list = |dialect| {
            let policy = &policy;
            async move {
                match dialect {
                    Dialect::Standalone => self.pages(policy).await,
                    Dialect::Embedded => self.embedded_list(policy).await,
                }
            }
        };
        let records = self.ask(None, list).await?;
        Ok(json_list(&records))
    }

    async fn predict(&self, request: Predict) -> Result<Payload> {
        let name = endpoint(request.endpoint, request.deployment_name, "a gateway")?;
        let inputs = require_inputs(&request.inputs)?;
        let policy = self.config.predict.started();
        let predict = |dialect: Dialect| {
            let request = dialect.predict(&self.config, &name, inputs);
            let policy = &policy;
            async move { send(&self.http, &request?, policy).await }
        };
        self.ask(Some((&name, &policy)), predict).await.and_then(prediction)
    }

    async fn predict_stream(&self, request: PredictStream, chunks: &mut Chunks) -> Result<()> {
        let name = endpoint(request.endpoint, request.deployment_name, "a gateway")?;
        let bytes = set_member(require_inputs(&request.inputs)?.bytes(), "stream", "true")?;
        let inputs = Payload::new(request.inputs.content_type(), bytes);
        let policy = self.config.predict.started();
        let open = |dialect: Dialect| {
            let request = dialect.predict(&self.config, &name, &inputs);
            let policy = &policy;
            async move { ChunkStream::open(&self.http, &request?, policy).await }
        };
        self.ask(Some((&name, &policy)), open).await?.forward(chunks).await
    }
}

impl Gateway {
    /// A client that reads this environment. Nothing is asked yet.
    pub(crate) fn new(target: &TargetUri, options: &ClientOptions, environment: &Environment<'_>) -> Result<Self> {
        let config = Config::new(target, options, environment)?;
        let http = Client::new(config.connection.clone());
        Ok(Self { config, http, dialect: OnceLock::new() })
    }

    /// Asks the server in its own dialect; as long as that is not known, first as the standalone gateway and then,
    /// where it has no such route, as the embedded one.
    ///
    /// `about` is the endpoint of a prediction, and its policy: the standalone gateway, too, has no route for an
    /// endpoint that it does not know. It is then asked about it, before the prediction is sent anywhere else.
    async fn ask<T, F: Future<Output = Result<T>> + Send>(
        &self,
        about: Option<(&str, &Policy)>,
        ask: impl Fn(Dialect) -> F,
    ) -> Result<T> {
        if self.dialect.get() == Some(&Dialect::Embedded) {
            return ask(Dialect::Embedded).await;
        }
        let first = ask(Dialect::Standalone).await;
        let failure = match (first, about) {
            (Err(failure), _) if Route::of(&failure) == Route::Unknown => failure,
            (Err(failure), None) if Route::of(&failure) == Route::Unclear => failure,
            (Err(failure), Some((name, policy))) if Route::of(&failure) == Route::Unclear => {
                let request = Dialect::Standalone.get_endpoint(&self.config, name)?;
                match send(&self.http, &request, policy).await {
                    Err(probe) if Route::of(&probe) != Route::Known => failure,
                    // What it says of an endpoint that it does not know says more than that there is no route.
                    Err(probe) => return self.note(Dialect::Standalone, Err(probe)),
                    Ok(_) => return self.note(Dialect::Standalone, Err(failure)),
                }
            }
            (answer, _) => return self.note(Dialect::Standalone, answer),
        };
        if self.dialect.get().is_some() {
            return Err(failure);
        }
        match ask(Dialect::Embedded).await {
            Err(error) if Route::of(&error) != Route::Known => Err(self.no_gateway(&failure)),
            answer => self.note(Dialect::Embedded, answer),
        }
    }

    /// Remembers which server it is, where an answer tells: one that fails with anything but a 404 may be a proxy's.
    fn note<T>(&self, dialect: Dialect, answer: Result<T>) -> Result<T> {
        let status = answer.as_ref().err().map(|error| error.http().map(|http| http.status));
        if matches!(status, None | Some(Some(404))) {
            // Another call that found out at the same time found the same.
            let _same = self.dialect.set(dialect);
        }
        answer
    }

    fn no_gateway(&self, failure: &Error) -> Error {
        let base = redact_url(&self.config.base);
        let error = Error::new(
            ErrorCode::NOT_IMPLEMENTED,
            format!(
                "no AI gateway answers at `{base}`: neither a standalone one nor a tracking server's; check the URL"
            ),
        );
        match failure.http() {
            Some(http) => error.with_http(http.clone()).with_cause(failure),
            None => error,
        }
    }

    /// All pages of the standalone gateway's list.
    async fn pages(&self, policy: &Policy) -> Result<Vec<Vec<u8>>> {
        let mut records = Vec::new();
        let mut pages = Pages::new(&self.http, policy);
        let mut token: Option<String> = None;
        loop {
            let answer = pages.ask(&routes::page(&self.config, token.as_deref())?).await?;
            let (page, next) = record::page(&answer, &self.config.base)?;
            records.extend(page);
            let Some(next) = next else { return Ok(records) };
            pages.follow("page token", &next)?;
            token = Some(next);
        }
    }

    /// The embedded gateway's list; what its models say of themselves where a user may not see more.
    async fn embedded_list(&self, policy: &Policy) -> Result<Vec<Vec<u8>>> {
        let listed = send(&self.http, &routes::embedded_list(&self.config)?, policy).await;
        match listed {
            Ok(answer) => Ok(record::page(&answer, &self.config.base)?.0),
            Err(error) if error.http().is_some_and(|http| matches!(http.status, 403 | 404)) => {
                let models = send(&self.http, &routes::models(&self.config)?, policy).await?;
                record::models(&models)
            }
            Err(error) => Err(error),
        }
    }
}
