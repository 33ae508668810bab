//! MLflow's time limits for predictions and for lookups of endpoints.

use std::time::Duration;

use mlflow_deploy_plugin_api::{Result, call};

use crate::{Environment, Policy};

/// The total time limit for looking up one endpoint or listing all endpoints.
const LOOKUP_TOTAL: Duration = Duration::from_secs(600);

impl Policy {
    /// Returns the policy for predictions: with `timeout` for the whole call, or else with the environment's times.
    /// `advice` is the beginning of the advice for a timeout, which the policy completes with the names of the
    /// settings.
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

    /// Returns the policy for lookups of endpoints: with `timeout` for the whole call, or else with the environment's
    /// time.
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
