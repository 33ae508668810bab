//! Chooses between exact and sampled Shapley values by the number of features.

use mlflow_deploy_plugin_api::{Error, Result};
use mlflow_deploy_shapley::MAX_FEATURES;
use serde::Deserialize;

/// The maximum number of features for which the method `auto` computes exact Shapley values.
const MAX_AUTO_EXACT: usize = 10;

/// The value of the config key `method` of `explain`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum MethodChoice {
    #[default]
    Auto,
    Exact,
    Permutation,
}

impl MethodChoice {
    /// Returns true if the Shapley values for the given number of features are computed exactly, and false if they are
    /// sampled.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the method is `exact` and there are too many features for it.
    pub(super) fn is_exact(self, features: usize) -> Result<bool> {
        match self {
            Self::Auto => Ok(features <= MAX_AUTO_EXACT),
            Self::Exact if features > MAX_FEATURES => Err(Error::invalid_parameter(format!(
                "exact values need 2^{features} predictions for each pair of rows: set the config `method` to \
                 `permutation`, or explain at most {MAX_FEATURES} features"
            ))),
            Self::Exact => Ok(true),
            Self::Permutation => Ok(false),
        }
    }
}
