//! Waits until an endpoint is ready, if the config of an operation has the key `wait`.

use std::time::Duration;

use mlflow_deploy_plugin_api::{Deadline, Error, ErrorCode, Result, call};
use serde_json::{Map, Value};

/// The default of the config key `wait_timeout`. Databricks' SDK has the same default.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(20 * 60);

/// The maximum interval between two polls, as a multiple of the first interval.
const MAX_INTERVAL_FACTOR: u32 = 10;

/// The timing of the polls that wait until an endpoint is ready. The interval between polls doubles after each poll, up
/// to a maximum. The wait ends at a deadline.
#[derive(Debug)]
pub(crate) struct Wait {
    interval: Duration,
    max_interval: Duration,
    deadline: Deadline,
    timeout: Duration,
}

/// The state of an endpoint that is being created or updated.
#[derive(Debug, PartialEq)]
pub(crate) enum Progress {
    /// The update of the endpoint failed. Contains the reasons that the server reports.
    Failed(String),
    /// The endpoint is ready, and no update is in progress.
    Ready,
    /// The endpoint is not ready. Contains the fraction of its models that are ready, from 0 to 1, and a description of
    /// the endpoint's state.
    Pending(f64, String),
}

impl Wait {
    /// Removes the keys `wait` and `wait_timeout` from a config. Returns `None` if `wait` is false or missing.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the value of one of these keys is invalid.
    pub(crate) fn take(config: &mut Map<String, Value>, interval: Duration) -> Result<Option<Self>> {
        let (wait, wait_timeout) = (config.remove("wait"), config.remove("wait_timeout"));
        let is_requested = match wait.unwrap_or(Value::Bool(false)) {
            Value::Bool(wait) => wait,
            other => {
                return Err(Error::invalid_parameter(format!("invalid `wait` `{other}`: expected `true` or `false`")));
            }
        };
        let seconds = wait_timeout.as_ref().map(|seconds| seconds.as_f64().unwrap_or(f64::NAN));
        let timeout = match seconds.map(Duration::try_from_secs_f64) {
            None => DEFAULT_TIMEOUT,
            Some(Ok(timeout)) if !timeout.is_zero() => timeout,
            Some(_) => {
                let invalid = wait_timeout.unwrap_or_default();
                return Err(Error::invalid_parameter(format!(
                    "invalid `wait_timeout` `{invalid}`: expected a number of seconds"
                )));
            }
        };
        let own = Deadline::after(timeout);
        let deadline = call::deadline().map_or(own, |caller| caller.min(own));
        Ok(is_requested.then_some(Self { interval, max_interval: interval * MAX_INTERVAL_FACTOR, deadline, timeout }))
    }

    /// Returns the time at which the wait for the endpoint ends.
    pub(crate) fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Sleeps until the next poll of the endpoint `name`. `state` is the last known state of the endpoint, for the
    /// error message.
    ///
    /// # Errors
    /// `DEADLINE_EXCEEDED` if the next poll would be after the deadline.
    pub(crate) async fn pause(&mut self, name: &str, state: &str) -> Result<()> {
        if self.deadline.is_within(self.interval) {
            let timeout = self.timeout.as_secs_f64();
            let message = format!(
                "stopped waiting for `{name}`: {state}; the operation continues on the server; raise `wait_timeout` \
                 ({timeout} s) or the timeout of the call"
            );
            return Err(Error::new(ErrorCode::DEADLINE_EXCEEDED, message).retryable());
        }
        tokio::time::sleep(self.interval).await;
        self.interval = (self.interval * 2).min(self.max_interval);
        Ok(())
    }
}

/// Returns the state of an endpoint, read from `record`, the server's description of the endpoint.
pub(crate) fn progress(record: &Value) -> Progress {
    let (ready, update) = (&record["state"]["ready"], &record["state"]["config_update"]);
    // The pending config contains the models of an update. A failed model may be in the other config only.
    let served = ["pending_config", "config"].iter().flat_map(|config| {
        let lists = ["served_entities", "served_models"].iter();
        lists.filter_map(|list| record[*config][*list].as_array()).flatten()
    });
    let served: Vec<_> = served.collect();
    let messages = served.iter().filter_map(|served| {
        let message = served["state"]["deployment_state_message"].as_str().filter(|message| !message.is_empty())?;
        Some(format!("`{}`: {message}", served["name"].as_str().unwrap_or_default()))
    });
    let messages = messages.collect::<Vec<_>>().join("; ");
    let state = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    if matches!(update.as_str(), Some("UPDATE_FAILED" | "UPDATE_CANCELED")) {
        let reason = if messages.is_empty() { "the server returned no reason".to_owned() } else { messages };
        return Progress::Failed(format!("{}: {reason}", state(update)));
    }
    if ready == "READY" && matches!(update.as_str(), None | Some("NOT_UPDATING")) {
        return Progress::Ready;
    }
    let done = served.iter().filter(|served| served["state"]["deployment"] == "DEPLOYMENT_READY").count();
    #[expect(clippy::cast_precision_loss, reason = "an endpoint serves a handful of models")]
    let part = done as f64 / served.len().max(1) as f64;
    let messages = if messages.is_empty() { String::new() } else { format!("; {messages}") };
    // The fraction stays below 1, because the endpoint as a whole is not ready.
    Progress::Pending(part.min(0.99), format!("{}, update {}{messages}", state(ready), state(update)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(ready: &str, update: &str) -> Value {
        json!({"state": {"ready": ready, "config_update": update}})
    }

    #[test]
    fn an_endpoint_with_an_update_in_progress_is_not_ready() {
        assert_eq!(progress(&record("READY", "NOT_UPDATING")), Progress::Ready);
        assert_eq!(progress(&json!({"state": {"ready": "READY"}})), Progress::Ready);
        assert_eq!(
            progress(&record("READY", "IN_PROGRESS")),
            Progress::Pending(0.0, "READY, update IN_PROGRESS".to_owned())
        );
        assert!(matches!(progress(&record("NOT_READY", "NOT_UPDATING")), Progress::Pending(..)));
    }

    #[test]
    fn a_failed_update_has_the_server_s_reasons() {
        let mut failed = record("NOT_READY", "UPDATE_FAILED");
        assert_eq!(progress(&failed), Progress::Failed("UPDATE_FAILED: the server returned no reason".to_owned()));
        failed["config"]["served_entities"] = json!([{"name": "m", "state": {"deployment": "DEPLOYMENT_FAILED", "deployment_state_message": "no image"}}]);
        assert_eq!(progress(&failed), Progress::Failed("UPDATE_FAILED: `m`: no image".to_owned()));
    }

    #[test]
    fn progress_is_the_part_of_the_models_that_is_deployed() {
        let mut half = record("NOT_READY", "IN_PROGRESS");
        half["pending_config"]["served_entities"] = json!([
            {"name": "a", "state": {"deployment": "DEPLOYMENT_READY"}},
            {"name": "b", "state": {"deployment": "DEPLOYMENT_CREATING", "deployment_state_message": "building"}},
        ]);
        assert_eq!(progress(&half), Progress::Pending(0.5, "NOT_READY, update IN_PROGRESS; `b`: building".to_owned()));
    }

    #[test]
    fn an_invalid_wait_is_an_error() {
        let take = |config: Value| {
            let Value::Object(mut config) = config else { panic!("{config}") };
            Wait::take(&mut config, Duration::from_secs(1)).map(|wait| (wait.map(|wait| wait.timeout), config.len()))
        };
        assert_eq!(take(json!({"a": 1})).unwrap(), (None, 1));
        assert_eq!(take(json!({"wait": false, "a": 1})).unwrap(), (None, 1));
        assert_eq!(take(json!({"wait": true})).unwrap(), (Some(DEFAULT_TIMEOUT), 0));
        assert_eq!(take(json!({"wait": true, "wait_timeout": 0.5})).unwrap().0, Some(Duration::from_millis(500)));
        for wrong in [json!({"wait": "true"}), json!({"wait_timeout": 0}), json!({"wait_timeout": "1"})] {
            assert_eq!(take(wrong).unwrap_err().code(), &ErrorCode::INVALID_PARAMETER_VALUE);
        }
    }
}
