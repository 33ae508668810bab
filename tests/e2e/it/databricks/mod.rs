//! The Databricks plugin: a whole life of an endpoint through the command, side by side with MLflow's client, and what
//! is never said.

mod life;
mod python;
mod secrets;
