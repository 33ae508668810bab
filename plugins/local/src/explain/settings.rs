//! The config of `explain`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use mlflow_deploy_model_uri::shown;
use mlflow_deploy_plugin_api::{Config, Error, JSON, Payload, Result, file};
use mlflow_deploy_shapley::{MOST_FEATURES, Method, Permutations};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Features up to which all coalitions are tried, unless another method is asked for.
const EXACT_FEATURES: usize = 10;

/// Bytes of a background's file; a few of its rows are drawn.
const LONGEST: u64 = 256 << 20;

/// What a caller may set.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// Inputs, or a file of inputs, that predictions are compared with; the model's input example where none is given.
    background: Option<Box<RawValue>>,
    /// How many rows of the background are used, at most.
    pub(crate) background_rows: NonZeroUsize,
    /// The names of the features, where the model has none.
    pub(crate) feature_names: Option<Vec<String>>,
    method: Wanted,
    /// The output that is explained.
    pub(crate) output: Option<String>,
    permutations: NonZeroUsize,
    pub(crate) seed: u64,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wanted {
    #[default]
    Auto,
    Exact,
    Permutation,
}

impl Default for Settings {
    fn default() -> Self {
        const TEN: NonZeroUsize = NonZeroUsize::new(10).expect("it is not 0");
        const HUNDRED: NonZeroUsize = NonZeroUsize::new(100).expect("it is not 0");
        Self {
            background: None,
            background_rows: HUNDRED,
            feature_names: None,
            method: Wanted::Auto,
            output: None,
            permutations: TEN,
            seed: 0,
        }
    }
}

impl Settings {
    /// Reads the config.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` with the key that is not right.
    pub(crate) fn new(config: &Config) -> Result<Self> {
        config.parse()
    }

    /// The background that was given: inputs as a request, inline or in a file of JSON or CSV. It blocks.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where the file cannot be read, is not a regular file, or is larger than 256 MiB.
    pub(crate) fn background(&self) -> Result<Option<Payload>> {
        let Some(given) = &self.background else { return Ok(None) };
        let Ok(path) = serde_json::from_str::<PathBuf>(given.get()) else {
            return Ok(Some(Payload::new(JSON, given.get())));
        };
        let bytes = file::read(&path, LONGEST).map_err(|error| {
            let path = shown(&path.to_string_lossy());
            // What the command is given with `=` is text.
            let advice = if path.starts_with(['{', '[']) { "; JSON is given as `background:=…`" } else { "" };
            Error::invalid_parameter(format!("failed to read the background `{path}`: {error}{advice}"))
        })?;
        let is_csv = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        Ok(Some(Payload::new(if is_csv { "text/csv" } else { JSON }, bytes)))
    }

    /// How so many features are explained, and how many orders it takes.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where the exact method is asked for and there are too many features for it.
    pub(crate) fn method(&self, features: usize, background: usize) -> Result<Method> {
        let is_exact = match self.method {
            Wanted::Auto => features <= EXACT_FEATURES,
            Wanted::Exact if features > MOST_FEATURES => {
                return Err(Error::invalid_parameter(format!(
                    "exact values take 2^{features} predictions for each pair of rows: give the config `method` as \
                     `permutation`, or at most {MOST_FEATURES} features"
                )));
            }
            Wanted::Exact => true,
            Wanted::Permutation => false,
        };
        Ok(match is_exact {
            true => Method::Exact,
            false => Method::Permutation(Permutations::new(features, background, self.permutations.get(), self.seed)),
        })
    }
}
