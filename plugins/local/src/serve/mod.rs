//! A model served over HTTP with MLflow's scoring protocol, until whoever asked for it has enough.
//!
//! [`run()`] is the way through: `config` reads what was asked for, `address` takes the port, `connections` accepts
//! and winds up, `exchange` keeps time and memory of one request and its answer, `hosts` knows whom a request may ask for,
//! `routes` answers within `limits`, and `answers` is what is said where there are no predictions. An ONNX model runs in
//! processes of its own (`worker`, `verdicts`), which what it is sent may end.

mod address;
mod answers;
mod config;
mod connections;
mod exchange;
mod hosts;
mod limits;
mod routes;
mod run;
mod suggestion;
#[cfg(test)]
mod tests;
mod verdicts;
mod worker;

pub(crate) use config::ServeConfig;
pub(crate) use run::run;
