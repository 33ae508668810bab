//! Serves a model over HTTP until the caller cancels the call. The server implements the protocol of MLflow's scoring
//! server.
//!
//! | Module | Purpose |
//! |---|---|
//! | `run` | runs the server from start to end |
//! | `config` | parses the config of `run_local` |
//! | `address` | binds the server's address |
//! | `connections` | accepts, drives and closes connections |
//! | `exchange` | tracks the deadline and the permits of a connection's current request |
//! | `hosts` | checks the host name in requests |
//! | `routes` | answers requests |
//! | `limits` | limits the length, the time and the memory of requests |
//! | `content_coding` | decompresses request bodies |
//! | `rejection` | builds error responses |
//! | `worker` | runs an ONNX model in separate processes, so that a crash does not end the server |
//! | `crash_history` | remembers the inputs that crashed a process |
//! | `suggestion` | builds a sample request for the user |

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
