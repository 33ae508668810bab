//! The clients of targets, MLflow's module functions, and the results of calls.
//!
//! | file | responsibility |
//! |---|---|
//! | `global` | MLflow's module functions, over one host for the process |
//! | `target` | a target whose plugin has been found |
//! | `deploy_client` | the asynchronous client |
//! | `blocking` | the same client without `async` |
//! | `local_deployment` | a model server of `run_local` |
//! | `record` | one deployment or endpoint |
//! | `event` | events of plugins |
//! | `declared_secrets` | secrets among the options and variables of a plugin |
//! | `known_secrets` | secrets that are removed from events |
//! | `inputs` | tables and arrays as inputs |
//! | `timeout` | waits for a future until a deadline |
//! | `usage` | the tokens that a target has counted |
//! | `predictions` | `PredictionsResponse`, as a dataframe or an array |

pub mod blocking;
pub(crate) mod declared_secrets;
pub(crate) mod deploy_client;
pub(crate) mod event;
pub(crate) mod global;
#[cfg(any(feature = "csv", feature = "predictions"))]
pub mod inputs;
pub(crate) mod known_secrets;
pub(crate) mod local_deployment;
#[cfg(feature = "predictions")]
pub mod predictions;
pub(crate) mod record;
pub(crate) mod target;
pub(crate) mod timeout;
pub(crate) mod usage;
