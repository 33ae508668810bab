//! The settings of a bulk prediction.

use std::num::NonZeroUsize;

use mlflow_deploy_plugin_api::Payload;
use mlflow_deploy_plugin_api::args::Predict;

use crate::DeployClient;

/// The number of requests in flight, unless the program sets another one.
const DEFAULT_JOBS: usize = 64;

/// The number of retries of a request, unless the program sets another one. It is the default of MLflow.
const DEFAULT_MAX_RETRIES: u32 = 7;

/// The settings of a bulk prediction: a client, the deployment or the endpoint, and how fast to send requests.
///
/// The number of requests in flight adapts to the target: see [`BulkAnswers`](super::BulkAnswers). A bulk prediction retries the requests
/// whose errors are [retryable](crate::TargetError::is_retryable), so its client should not: a client that is opened with
/// the option `max_retries` 0 reports that the target is overloaded at once, and then all requests slow down together.
///
/// ```
/// # let plugin = mlflow_deploy_test_support::cdylib::path("mlflow-deploy-example-echo");
/// # mlflow_deploy::blocking::wait(async {
/// use futures_util::{StreamExt, stream};
/// use mlflow_deploy::args::Predict;
/// use mlflow_deploy::bulk::{BulkPredict, BulkRequest};
/// use mlflow_deploy::{Host, JSON, Payload};
///
/// let client = Host::builder().plugin(plugin).build().get_deploy_client(Some("echo")).await?;
/// let inputs = (0..100).map(|number| Payload::new(JSON, format!("[{number}]")));
/// let requests = (0..).zip(inputs).map(|(number, inputs)| BulkRequest::new(number, inputs));
///
/// let bulk = BulkPredict::new(client, Predict { endpoint: Some("echo".to_owned()), ..Predict::default() }).jobs(8);
/// let mut answers = bulk.answers(stream::iter(requests.map(Ok)));
/// let mut lines = Vec::new();
/// while let Some(answer) = answers.next().await {
///     let answer = answer?;
///     lines.extend(answer.results().map(|(line, result)| (line, result.as_ref().unwrap().to_vec())));
/// }
/// lines.sort();
/// assert_eq!(lines.len(), 100);
/// assert_eq!(lines[41], (42, b"[41]".to_vec()));
/// # Ok::<(), mlflow_deploy::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct BulkPredict {
    pub(super) client: DeployClient,
    pub(super) arguments: Predict,
    pub(super) jobs: usize,
    pub(super) rate: Option<f64>,
    pub(super) max_retries: u32,
}

impl BulkPredict {
    /// Returns a bulk prediction with these arguments for each request. The inputs of the arguments are ignored.
    pub fn new(client: DeployClient, arguments: Predict) -> Self {
        let arguments = Predict { inputs: Payload::empty(), ..arguments };
        Self { client, arguments, jobs: DEFAULT_JOBS, rate: None, max_retries: DEFAULT_MAX_RETRIES }
    }

    /// Sets the maximum number of requests in flight. The default is 64. 0 counts as 1.
    #[must_use]
    pub fn jobs(mut self, jobs: usize) -> Self {
        self.jobs = NonZeroUsize::new(jobs).map_or(1, NonZeroUsize::get);
        self
    }

    /// Sets the maximum number of requests that are sent in a second. There is no default.
    #[must_use]
    pub fn rate(mut self, requests_per_second: f64) -> Self {
        self.rate = Some(requests_per_second);
        self
    }

    /// Sets the maximum number of retries of a request. The default is 7. With 0, no request is sent again.
    #[must_use]
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = retries;
        self
    }
}
