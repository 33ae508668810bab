//! MLflow's times for what every target does: predict, and look endpoints up.

use std::time::Duration;

use mlflow_deploy_plugin_api::{Result, call};

use crate::{Environment, Policy};

/// How long looking an endpoint up, or listing all, may take altogether.
const LOOKING_UP: Duration = Duration::from_secs(600);

impl Policy {
    /// The policy of predictions: with `timeout` for a whole call where that is given, else with the environment's times.
    /// `advice` is what else a user can do about a model that takes too long, as the beginning of a sentence.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where a time is none.
    pub fn of_predictions(self, environment: &Environment<'_>, timeout: Option<f64>, advice: &str) -> Result<Self> {
        const ONE: &str = "MLFLOW_DEPLOYMENT_PREDICT_TIMEOUT";
        const ALL: &str = "MLFLOW_DEPLOYMENT_PREDICT_TOTAL_TIMEOUT";
        let (one, all) = (environment.seconds(ONE, 120)?, environment.seconds(ALL, 600)?);
        if all < one && timeout.is_none() {
            call::warn(format!(
                "`{ALL}` ({}s) is less than `{ONE}` ({}s): no attempt gets the time that it could have",
                all.as_secs(),
                one.as_secs()
            ));
        }
        let advice = format!("{advice}, or raise `timeout`, `{ONE}` (for one attempt) or `{ALL}` (for all)").into();
        Self { silence: one, total: Some(all), advice, ..self }.within(timeout)
    }

    /// The policy of looking endpoints up: as above.
    ///
    /// # Errors
    /// As above.
    pub fn of_looking_up(self, environment: &Environment<'_>, timeout: Option<f64>) -> Result<Self> {
        const VARIABLE: &str = "MLFLOW_DEPLOYMENT_CLIENT_HTTP_REQUEST_TIMEOUT";
        let advice = format!("raise `timeout` or `{VARIABLE}` to wait longer").into();
        let silence = environment.seconds(VARIABLE, 300)?;
        Self { silence, total: Some(LOOKING_UP), advice, ..self }.within(timeout)
    }
}
