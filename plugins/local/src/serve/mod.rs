//! Serves a model over HTTP with MLflow's scoring protocol, until the caller cancels the call.
//!
//! | module | |
//! |---|---|
//! | `run` | runs the server from start to end |
//! | `config` | the config of `run_local` |
//! | `address` | binds the port |
//! | `connections` | accepts, drives and closes connections |
//! | `exchange` | the time and the memory of one request and its response |
//! | `hosts` | the host names that requests may use |
//! | `routes`, `limits` | answer requests within the limits |
//! | `rejection` | responses without predictions |
//! | `worker`, `crash_history` | run an ONNX model in separate processes, which inputs may crash |
//! | `suggestion` | a sample request for the user |

mod address;
mod config;
mod connections;
mod content_coding;
mod crash_history;
mod exchange;
mod hosts;
mod limits;
mod rejection;
mod routes;
mod run;
mod suggestion;
#[cfg(test)]
mod tests;
mod worker;

pub(crate) use config::ServeConfig;
pub(crate) use run::run;
