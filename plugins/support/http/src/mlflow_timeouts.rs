//! MLflow's time limits for predictions and for lookups of endpoints.

use std::time::Duration;

use mlflow_deploy_plugin_api::{Result, call};

use crate::{Environment, Policy};

/// The total time limit for looking up one endpoint or listing all endpoints, including retries.
const LOOKUP_TOTAL: Duration = Duration::from_secs(600);

impl Policy {
    /// Returns the policy with the time limits for predictions. `timeout` limits the whole call, in seconds. Without
    /// it, the time limits in the environment apply. `advice` is the beginning of the advice in a timeout error, which
    /// is completed with the names of the settings.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if a time is invalid.
    pub fn for_predictions(self, environment: &Environment<'_>, timeout: Option<f64>, advice: &str) -> Result<Self> {
        const ONE: &str = "MLFLOW_DEPLOYMENT_PREDICT_TIMEOUT";
        const ALL: &str = "MLFLOW_DEPLOYMENT_PREDICT_TOTAL_TIMEOUT";
        let (one, all) = (environment.seconds(ONE, 120)?, environment.seconds(ALL, 600)?);
        if all < one && timeout.is_none() {
            call::warn(format!(
                "`{ALL}` ({}s) is less than `{ONE}` ({}s): an attempt cannot use its full time",
                all.as_secs(),
                one.as_secs()
            ));
        }
        let advice = format!("{advice}, or raise `timeout`, `{ONE}` (for one attempt) or `{ALL}` (for all)").into();
        Self { silence: one, total: Some(all), advice, ..self }.within(timeout)
    }

    /// Returns the policy with the time limits for lookups of endpoints. `timeout` limits the whole call, in seconds.
    /// Without it, the time limit in the environment applies.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if a time is invalid.
    pub fn for_lookups(self, environment: &Environment<'_>, timeout: Option<f64>) -> Result<Self> {
        const VARIABLE: &str = "MLFLOW_DEPLOYMENT_CLIENT_HTTP_REQUEST_TIMEOUT";
        let advice = format!("raise `timeout` or `{VARIABLE}` to wait longer").into();
        let silence = environment.seconds(VARIABLE, 300)?;
        Self { silence, total: Some(LOOKUP_TOTAL), advice, ..self }.within(timeout)
    }
}
