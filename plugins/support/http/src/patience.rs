//! How long one exchange waits: for the next sign of life, and altogether.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use mlflow_deploy_plugin_api::ErrorCode;
use tokio::time::timeout_at;

use crate::Policy;
use crate::fault::{Fault, Stage};

/// Longer than anyone waits, and short enough to be added to any time.
const FOREVER: Duration = Duration::from_secs(1 << 32);

/// The clocks of one exchange.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    silence: Duration,
    started: Instant,
    deadline: Option<Instant>,
    advice: Cow<'static, str>,
}

impl Patience {
    /// Starts the clocks. The one of the operation may run already.
    pub(crate) fn new(policy: &Policy) -> Self {
        Self {
            silence: policy.silence.min(FOREVER),
            started: policy.begun.unwrap_or_else(Instant::now),
            deadline: policy.deadline(),
            advice: policy.advice.clone(),
        }
    }

    /// Waits for a sign of life from the server.
    pub(crate) async fn wait_for<T>(
        &self,
        sign: impl Future<Output = reqwest::Result<T>> + Send,
        url: &str,
    ) -> Result<T, Fault> {
        let silent = Instant::now() + self.silence;
        let until = self.deadline.map_or(silent, |deadline| deadline.min(silent));
        match timeout_at(until.into(), sign).await {
            Ok(Ok(sign)) => Ok(sign),
            Ok(Err(error)) => Err(Fault::transport(error, url)),
            Err(_elapsed) => Err(self.timed_out(until < silent, url)),
        }
    }

    /// Whether the deadline comes before this wait is over.
    pub(crate) fn ends_within(&self, wait: Duration) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() + wait.min(FOREVER) >= deadline)
    }

    fn timed_out(&self, altogether: bool, url: &str) -> Fault {
        let advice = &self.advice;
        if altogether {
            let seconds = self.started.elapsed().as_secs_f64();
            let message = format!("timed out after {seconds:.1} s, all the time there was for `{url}`; {advice}");
            return Fault::new(Stage::Settled, ErrorCode::DEADLINE_EXCEEDED, message);
        }
        let seconds = self.silence.as_secs_f64();
        let message = format!("timed out: nothing came from `{url}` for {seconds} s; {advice}");
        Fault::new(Stage::Unanswered, ErrorCode::DEADLINE_EXCEEDED, message)
    }
}
