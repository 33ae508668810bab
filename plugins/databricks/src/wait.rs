//! Waits until an endpoint is ready and its update done: `wait` in an operation's config.

use std::time::Duration;

use mlflow_deploy_plugin_api::{Deadline, Error, ErrorCode, Result, call};
use serde_json::{Map, Value};

/// How long to wait where nobody says: twenty minutes, as Databricks' SDK does.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// The interval grows to this many times what it began with.
const SLOWEST: u32 = 10;

/// How an operation waits.
#[derive(Debug)]
pub(crate) struct Wait {
    interval: Duration,
    slowest: Duration,
    deadline: Deadline,
    limit: Duration,
}

/// What an endpoint's record says of it.
#[derive(Debug, PartialEq)]
pub(crate) enum Progress {
    /// The update failed, for these reasons.
    Failed(String),
    /// It is ready, and not updated.
    Ready,
    /// It is not there yet: which part of it is, and what it is doing.
    Under(f64, String),
}

impl Wait {
    /// Takes `wait` and `wait_timeout` out of a config; none where nobody wants to wait.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where they are not what they should be.
    pub(crate) fn take(config: &mut Map<String, Value>, interval: Duration) -> Result<Option<Self>> {
        let (wait, timeout) = (config.remove("wait"), config.remove("wait_timeout"));
        let wants = match wait.unwrap_or(Value::Bool(false)) {
            Value::Bool(wants) => wants,
            other => {
                return Err(Error::invalid_parameter(format!("`wait` is `{other}`: expected `true` or `false`")));
            }
        };
        let seconds = timeout.as_ref().map(|timeout| timeout.as_f64().unwrap_or(f64::NAN));
        let limit = match seconds.map(Duration::try_from_secs_f64) {
            None => LIMIT,
            Some(Ok(limit)) if !limit.is_zero() => limit,
            Some(_) => {
                let given = timeout.unwrap_or_default();
                return Err(Error::invalid_parameter(format!("`wait_timeout` is `{given}`: expected seconds")));
            }
        };
        let own = Deadline::after(limit);
        let deadline = call::deadline().map_or(own, |caller| caller.min(own));
        Ok(wants.then_some(Self { interval, slowest: interval * SLOWEST, deadline, limit }))
    }

    /// Returns the time at which the wait fails.
    pub(crate) fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Waits for the next look, longer each time.
    ///
    /// # Errors
    /// `DEADLINE_EXCEEDED` where there is no time left; `doing` is the last that was seen.
    pub(crate) async fn pause(&mut self, name: &str, doing: &str) -> Result<()> {
        if self.deadline.is_within(self.interval) {
            let limit = self.limit.as_secs_f64();
            let message = format!(
                "`{name}` is not ready, and the time to wait is over: {doing}; it goes on without anyone waiting, and \
                 `wait_timeout` ({limit} s) or the call's own limit can be raised"
            );
            return Err(Error::new(ErrorCode::DEADLINE_EXCEEDED, message).retryable());
        }
        tokio::time::sleep(self.interval).await;
        self.interval = (self.interval * 2).min(self.slowest);
        Ok(())
    }
}

/// Reads a record: what it says of its state, and of the state of what it serves.
pub(crate) fn progress(record: &Value) -> Progress {
    let (ready, update) = (&record["state"]["ready"], &record["state"]["config_update"]);
    // What is being made is in the pending config; what failed may have gone from there.
    let served = ["pending_config", "config"].iter().flat_map(|config| {
        let lists = ["served_entities", "served_models"].iter();
        lists.filter_map(|list| record[*config][*list].as_array()).flatten()
    });
    let served: Vec<_> = served.collect();
    let said = served.iter().filter_map(|served| {
        let message = served["state"]["deployment_state_message"].as_str().filter(|message| !message.is_empty())?;
        Some(format!("`{}`: {message}", served["name"].as_str().unwrap_or_default()))
    });
    let said = said.collect::<Vec<_>>().join("; ");
    let state = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    if matches!(update.as_str(), Some("UPDATE_FAILED" | "UPDATE_CANCELED")) {
        let reason = if said.is_empty() { "the server gives no reason".to_owned() } else { said };
        return Progress::Failed(format!("{}: {reason}", state(update)));
    }
    if ready == "READY" && matches!(update.as_str(), None | Some("NOT_UPDATING")) {
        return Progress::Ready;
    }
    let done = served.iter().filter(|served| served["state"]["deployment"] == "DEPLOYMENT_READY").count();
    #[expect(clippy::cast_precision_loss, reason = "an endpoint serves a handful of models")]
    let part = done as f64 / served.len().max(1) as f64;
    let said = if said.is_empty() { String::new() } else { format!(", {said}") };
    // Not the end, whatever the parts say.
    Progress::Under(part.min(0.99), format!("{}, {}{said}", state(ready), state(update)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(ready: &str, update: &str) -> Value {
        json!({"state": {"ready": ready, "config_update": update}})
    }

    #[test]
    fn an_endpoint_is_ready_when_it_is_ready_and_not_updated() {
        assert_eq!(progress(&record("READY", "NOT_UPDATING")), Progress::Ready);
        assert_eq!(progress(&json!({"state": {"ready": "READY"}})), Progress::Ready);
        assert_eq!(progress(&record("READY", "IN_PROGRESS")), Progress::Under(0.0, "READY, IN_PROGRESS".to_owned()));
        assert!(matches!(progress(&record("NOT_READY", "NOT_UPDATING")), Progress::Under(..)));
    }

    #[test]
    fn a_failure_has_the_server_s_reasons() {
        let mut failed = record("NOT_READY", "UPDATE_FAILED");
        assert_eq!(progress(&failed), Progress::Failed("UPDATE_FAILED: the server gives no reason".to_owned()));
        failed["config"]["served_entities"] = json!([{"name": "m", "state": {"deployment": "DEPLOYMENT_FAILED", "deployment_state_message": "no image"}}]);
        assert_eq!(progress(&failed), Progress::Failed("UPDATE_FAILED: `m`: no image".to_owned()));
    }

    #[test]
    fn progress_is_what_is_deployed_of_what_is_to_be() {
        let mut half = record("NOT_READY", "IN_PROGRESS");
        half["pending_config"]["served_entities"] = json!([
            {"name": "a", "state": {"deployment": "DEPLOYMENT_READY"}},
            {"name": "b", "state": {"deployment": "DEPLOYMENT_CREATING", "deployment_state_message": "building"}},
        ]);
        assert_eq!(progress(&half), Progress::Under(0.5, "NOT_READY, IN_PROGRESS, `b`: building".to_owned()));
    }

    #[test]
    fn what_is_no_wait_is_refused() {
        let take = |config: Value| {
            let Value::Object(mut config) = config else { panic!("{config}") };
            Wait::take(&mut config, Duration::from_secs(1)).map(|wait| (wait.map(|wait| wait.limit), config.len()))
        };
        assert_eq!(take(json!({"a": 1})).unwrap(), (None, 1));
        assert_eq!(take(json!({"wait": false, "a": 1})).unwrap(), (None, 1));
        assert_eq!(take(json!({"wait": true})).unwrap(), (Some(LIMIT), 0));
        assert_eq!(take(json!({"wait": true, "wait_timeout": 0.5})).unwrap().0, Some(Duration::from_millis(500)));
        for wrong in [json!({"wait": "true"}), json!({"wait_timeout": 0}), json!({"wait_timeout": "1"})] {
            assert_eq!(take(wrong).unwrap_err().code(), &ErrorCode::INVALID_PARAMETER_VALUE);
        }
    }
}
