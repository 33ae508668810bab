//! Waits until a change of an endpoint is complete, and reports its states as progress.

use std::time::{Duration, Instant};

use mlflow_deploy_plugin_api::{Deadline, Error, ErrorCode, Result, call};
use serde_json::{Value, json};

use crate::failure::is_missing;
use crate::session::Session;

/// The time in which an update may begin. MLflow's client waits as long before it asks.
const MAX_START: Duration = Duration::from_secs(20);

/// The timing of the polls of one change. They end at a deadline.
#[derive(Clone, Debug)]
pub(crate) struct Wait {
    interval: Duration,
    timeout: Duration,
    deadline: Deadline,
}

/// The state of a change after one poll.
enum State {
    Done,
    Failed(String),
    Running,
}

impl Wait {
    /// Starts the time of a change. The caller's deadline limits it too.
    pub(crate) fn start(interval: Duration, timeout: Duration) -> Self {
        let own = Deadline::after(timeout);
        Self { interval, timeout, deadline: call::deadline().map_or(own, |caller| caller.min(own)) }
    }

    /// Returns the time at which the wait ends.
    pub(crate) fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Sleeps until the next poll. `state` describes what is waited for, for the error.
    ///
    /// # Errors
    /// `DEADLINE_EXCEEDED` if the next poll would be after the deadline.
    pub(crate) async fn pause(&self, state: &str) -> Result<()> {
        if self.deadline.is_within(self.interval) {
            let message = format!("stopped waiting: {state}; raise `timeout` ({} s)", self.timeout.as_secs_f64());
            return Err(Error::new(ErrorCode::DEADLINE_EXCEEDED, message).retryable());
        }
        tokio::time::sleep(self.interval).await;
        Ok(())
    }

    /// Waits until a new endpoint is in service. Returns its description.
    ///
    /// # Errors
    /// `DEPLOYMENT_FAILED` with SageMaker's reason, and `DEADLINE_EXCEEDED`.
    pub(crate) async fn created(&self, session: &Session, name: &str) -> Result<Value> {
        self.until(session, name, |endpoint| match status(endpoint) {
            "InService" => State::Done,
            "Creating" | "SystemUpdating" | "Updating" => State::Running,
            other => State::Failed(reason(endpoint, other)),
        })
        .await
    }

    /// Waits until an endpoint is in service with the config `config`. Returns its description.
    ///
    /// # Errors
    /// Fails as [`created`](Self::created) does, and if SageMaker returned to the config before.
    pub(crate) async fn updated(&self, session: &Session, name: &str, config: &str) -> Result<Value> {
        let (started, mut has_begun) = (Instant::now(), false);
        self.until(session, name, |endpoint| {
            let is_new = endpoint["EndpointConfigName"] == config;
            match status(endpoint) {
                "InService" if is_new => State::Done,
                // The state may be that before the update.
                "InService" if !has_begun && endpoint["FailureReason"].is_null() && started.elapsed() < MAX_START => {
                    State::Running
                }
                "InService" => State::Failed(reason(endpoint, "the update was rolled back")),
                state @ ("Failed" | "UpdateRollbackFailed" | "OutOfService" | "Deleting") => {
                    State::Failed(reason(endpoint, state))
                }
                _ => {
                    has_begun = true;
                    State::Running
                }
            }
        })
        .await
    }

    /// Waits until an endpoint is deleted.
    ///
    /// # Errors
    /// Fails as [`created`](Self::created) does.
    pub(crate) async fn deleted(&self, session: &Session, name: &str) -> Result<()> {
        let ended = self
            .until(session, name, |endpoint| match status(endpoint) {
                "Failed" => State::Failed(reason(endpoint, "Failed")),
                _ => State::Running,
            })
            .await;
        match ended {
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        }
    }

    async fn until(&self, session: &Session, name: &str, mut state: impl FnMut(&Value) -> State) -> Result<Value> {
        let mut shown = String::new();
        loop {
            let endpoint = session.read("DescribeEndpoint", &json!({"EndpointName": name})).await;
            let endpoint = match endpoint {
                Err(error) if error.code() == &ErrorCode::DEADLINE_EXCEEDED => return Err(self.stopped(name, &shown)),
                endpoint => endpoint?,
            };
            match state(&endpoint) {
                State::Done => return Ok(endpoint),
                State::Failed(reason) => {
                    let code = ErrorCode::new("DEPLOYMENT_FAILED");
                    return Err(Error::new(code, format!("SageMaker could not change `{name}`: {reason}")));
                }
                State::Running => {}
            }
            let now = status(&endpoint);
            if now != shown {
                now.clone_into(&mut shown);
                call::progress(0.6, format!("`{name}`: {now}"));
            }
            if self.deadline.is_within(self.interval) {
                return Err(self.stopped(name, &shown));
            }
            tokio::time::sleep(self.interval).await;
        }
    }

    fn stopped(&self, name: &str, state: &str) -> Error {
        let message = format!(
            "stopped waiting for `{name}`, which is in the state `{state}`: SageMaker continues; see it with `get`, and raise \
             `timeout_seconds` ({} s) of the config or the timeout of the call",
            self.timeout.as_secs_f64()
        );
        Error::new(ErrorCode::DEADLINE_EXCEEDED, message).retryable()
    }
}

fn status(endpoint: &Value) -> &str {
    endpoint["EndpointStatus"].as_str().unwrap_or_default()
}

fn reason(endpoint: &Value, otherwise: &str) -> String {
    endpoint["FailureReason"].as_str().map_or_else(|| format!("{otherwise}, without a reason"), str::to_owned)
}
