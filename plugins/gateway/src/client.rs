//! The client of an AI gateway. It detects the kind of gateway and sends requests in that gateway's form.

use std::sync::OnceLock;

use mlflow_deploy_http::{
    ChunkStream, Client, Environment, Pages, Policy, endpoint, json_list, prediction, process_variable, redact_url,
    require_inputs, send, set_member, whole_inputs,
};
use mlflow_deploy_plugin_api::args::{GetEndpoint, ListEndpoints, Predict, PredictStream};
use mlflow_deploy_plugin_api::{
    Chunks, ClientOptions, DeploymentClient, Error, ErrorCode, Payload, Result, TargetUri, blocking,
};

use crate::config::Config;
use crate::record;
use crate::routes::{self, Dialect, Inputs, Route};

/// A client of one AI gateway.
#[derive(Debug)]
pub(crate) struct Gateway {
    config: Config,
    http: Client,
    /// The kind of gateway. It is set when a response first reveals it.
    dialect: OnceLock<Dialect>,
}

impl DeploymentClient for Gateway {
    async fn connect(target: TargetUri, options: ClientOptions) -> Result<Self> {
        // The constructor blocks, because MLflow's credentials are read from a file.
        blocking(move || Self::new(&target, &options, &Environment::new(&process_variable))).await
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
        let response = self.detect(None, get).await?;
        record::single(&response, &self.config.base)
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
        let records = self.detect(None, list).await?;
        Ok(json_list(&records))
    }

    async fn predict(&self, request: Predict) -> Result<Payload> {
        let name = endpoint(request.endpoint, request.deployment_name, "a gateway")?;
        let inputs = Inputs::new(whole_inputs(request.inputs)?)?;
        let policy = self.config.predict.started();
        let predict = |dialect: Dialect| {
            let request = dialect.predict(&self.config, &name, &inputs);
            let policy = &policy;
            async move { send(&self.http, &request?, policy).await }
        };
        let response = self.detect(Some((&name, &policy)), predict).await?;
        prediction(response)
    }

    async fn predict_stream(&self, request: PredictStream, chunks: &mut Chunks) -> Result<()> {
        let name = endpoint(request.endpoint, request.deployment_name, "a gateway")?;
        let bytes = set_member(require_inputs(&request.inputs)?.bytes(), "stream", "true")?;
        let inputs = Inputs::new(Payload::new(request.inputs.content_type(), bytes))?;
        let policy = self.config.predict.started();
        let open = |dialect: Dialect| {
            let request = dialect.predict(&self.config, &name, &inputs);
            let policy = &policy;
            async move { ChunkStream::open(&self.http, &request?, policy).await }
        };
        self.detect(Some((&name, &policy)), open).await?.forward(chunks).await
    }
}

impl Gateway {
    /// Creates a client for `target`, configured by `options` and `environment`. Sends no request.
    pub(crate) fn new(target: &TargetUri, options: &ClientOptions, environment: &Environment<'_>) -> Result<Self> {
        let config = Config::new(target, options, environment)?;
        let http = Client::new(config.connection.clone());
        Ok(Self { config, http, dialect: OnceLock::new() })
    }

    /// Sends a request to the routes of the detected kind of gateway. Until the kind is known, tries the routes of a
    /// standalone gateway first, and those of an embedded gateway if the server does not have the first route.
    ///
    /// `prediction` contains the endpoint and the retry policy if the request is a prediction. A standalone gateway
    /// answers a prediction for an unknown endpoint as if the route were missing. For this reason, the method looks up
    /// the endpoint before it sends the prediction to the embedded gateway's route.
    async fn detect<T, F: Future<Output = Result<T>> + Send>(
        &self,
        prediction: Option<(&str, &Policy)>,
        send_as: impl Fn(Dialect) -> F,
    ) -> Result<T> {
        if self.dialect.get() == Some(&Dialect::Embedded) {
            return send_as(Dialect::Embedded).await;
        }
        let first = send_as(Dialect::Standalone).await;
        let failure = match (first, prediction) {
            (Err(failure), _) if Route::of(&failure) == Route::Unknown => failure,
            (Err(failure), None) if Route::of(&failure) == Route::Unclear => failure,
            (Err(failure), Some((name, policy))) if Route::of(&failure) == Route::Unclear => {
                let request = Dialect::Standalone.get_endpoint(&self.config, name)?;
                match send(&self.http, &request, policy).await {
                    Err(probe) if Route::of(&probe) != Route::Known => failure,
                    // The error of the lookup is more precise than that of the missing route.
                    Err(probe) => return self.remember(Dialect::Standalone, Err(probe)),
                    Ok(_) => return self.remember(Dialect::Standalone, Err(failure)),
                }
            }
            (response, _) => return self.remember(Dialect::Standalone, response),
        };
        if self.dialect.get().is_some() {
            return Err(failure);
        }
        match send_as(Dialect::Embedded).await {
            Err(error) if Route::of(&error) != Route::Known => Err(self.not_a_gateway(&failure)),
            response => self.remember(Dialect::Embedded, response),
        }
    }

    /// Stores the kind of gateway if `response` is a success or a 404, and returns `response`. Any other failure may
    /// come from a proxy, and does not reveal the kind.
    fn remember<T>(&self, dialect: Dialect, response: Result<T>) -> Result<T> {
        let status = response.as_ref().err().map(|error| error.http().map(|http| http.status));
        if matches!(status, None | Some(Some(404))) {
            // A concurrent call detects the same dialect.
            let _same = self.dialect.set(dialect);
        }
        response
    }

    fn not_a_gateway(&self, failure: &Error) -> Error {
        let base = redact_url(&self.config.base);
        let error = Error::new(
            ErrorCode::NOT_IMPLEMENTED,
            format!(
                "no AI gateway found at `{base}`: expected a standalone gateway or a tracking server; check the URL"
            ),
        );
        match failure.http() {
            Some(http) => error.with_http(http.clone()).with_cause(failure),
            None => error,
        }
    }

    /// Requests all pages of a standalone gateway's list of endpoints, and returns the endpoints' records.
    async fn pages(&self, policy: &Policy) -> Result<Vec<Vec<u8>>> {
        let mut records = Vec::new();
        let mut pages = Pages::new(&self.http, policy);
        let mut token: Option<String> = None;
        loop {
            let response = pages.ask(&routes::page(&self.config, token.as_deref())?).await?;
            let (page, next) = record::page(&response, &self.config.base)?;
            records.extend(page);
            // Some servers send an empty token if there is no further page.
            let Some(next) = next.filter(|token| !token.is_empty()) else { return Ok(records) };
            pages.follow("page token", &next)?;
            token = Some(next);
        }
    }

    /// Requests the list of an embedded gateway's endpoints, and returns their records. Returns the records of its
    /// models instead if the user may not list endpoints.
    async fn embedded_list(&self, policy: &Policy) -> Result<Vec<Vec<u8>>> {
        let listed = send(&self.http, &routes::embedded_list(&self.config)?, policy).await;
        match listed {
            Ok(response) => Ok(record::page(&response, &self.config.base)?.0),
            Err(error) if error.http().is_some_and(|http| matches!(http.status, 403 | 404)) => {
                let models = send(&self.http, &routes::models(&self.config)?, policy).await?;
                record::models(&models)
            }
            Err(error) => Err(error),
        }
    }
}
