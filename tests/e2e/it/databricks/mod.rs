//! Tests of the Databricks plugin: the life cycle of an endpoint, a comparison with MLflow's client, and secrets in the
//! output.

mod life_cycle;
mod python;
mod secrets;
