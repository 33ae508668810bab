//! A model served over HTTP with MLflow's scoring protocol, until whoever asked for it has enough.
//!
//! [`run()`] is the way through: `config` reads what was asked for, `address` takes the port, `connections` accepts
//! and winds up, `routes` answers within `limits`, and `answers` is what is said where there are no predictions.

mod address;
mod answers;
mod config;
mod connections;
mod limits;
mod routes;
mod run;
mod suggestion;
#[cfg(test)]
mod tests;

pub(crate) use config::ServeConfig;
pub(crate) use run::run;
