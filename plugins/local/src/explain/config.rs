//! The config of the operation `explain`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use mlflow_deploy_model_uri::redact_uri;
use mlflow_deploy_plugin_api::{Config, Error, JSON, Payload, Result, file};
use mlflow_deploy_shapley::{Method, Permutations};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::method_choice::MethodChoice;

/// The maximum size of a file with background rows, in bytes.
const MAX_BYTES: u64 = 256 << 20;

/// The config of the operation `explain`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ExplainConfig {
    /// The background rows, or the path of a JSON or CSV file that contains them. The default is the model's input
    /// example.
    background: Option<Box<RawValue>>,
    /// The maximum number of background rows that are used.
    pub(crate) background_rows: NonZeroUsize,
    /// The names of the features in the result. By default, the inputs determine the names.
    pub(crate) feature_names: Option<Vec<String>>,
    method: MethodChoice,
    /// The name of the model output to explain. By default, the operation chooses an output with numbers.
    pub(crate) output: Option<String>,
    permutations: NonZeroUsize,
    pub(crate) seed: u64,
}

impl Default for ExplainConfig {
    fn default() -> Self {
        const TEN: NonZeroUsize = NonZeroUsize::new(10).expect("it is not 0");
        const HUNDRED: NonZeroUsize = NonZeroUsize::new(100).expect("it is not 0");
        Self {
            background: None,
            background_rows: HUNDRED,
            feature_names: None,
            method: MethodChoice::Auto,
            output: None,
            permutations: TEN,
            seed: 0,
        }
    }
}

impl ExplainConfig {
    /// Parses the config of a request.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if a key is unknown or its value is invalid.
    pub(crate) fn new(config: &Config) -> Result<Self> {
        config.parse()
    }

    /// Returns the background rows as the body of a prediction request, or `None` if the config has no background.
    /// Reads the JSON or CSV file if the config names one. Blocks.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the file cannot be read, is not a regular file, or is larger than 256 MiB.
    pub(crate) fn background(&self) -> Result<Option<Payload>> {
        let Some(background) = &self.background else { return Ok(None) };
        let Ok(path) = serde_json::from_str::<PathBuf>(background.get()) else {
            return Ok(Some(Payload::new(JSON, background.get())));
        };
        let bytes = file::read(&path, MAX_BYTES).map_err(|error| {
            let path = redact_uri(&path.to_string_lossy());
            // The command passes a value after `=` as a string.
            let hint = if path.starts_with(['{', '[']) { "; specify JSON as `background:=…`" } else { "" };
            Error::invalid_parameter(format!("failed to read the background `{path}`: {error}{hint}"))
        })?;
        let is_csv = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        Ok(Some(Payload::new(if is_csv { "text/csv" } else { JSON }, bytes)))
    }

    /// Returns the method that computes the Shapley values for the given numbers of features and background rows.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the config requests the method `exact` and there are too many features for it.
    pub(crate) fn method(&self, features: usize, background: usize) -> Result<Method> {
        Ok(match self.method.is_exact(features)? {
            true => Method::Exact,
            false => Method::Permutation(Permutations::new(features, background, self.permutations.get(), self.seed)),
        })
    }
}
