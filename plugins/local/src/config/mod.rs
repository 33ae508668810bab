//! The configuration of a client, and the config of a deployment.

mod client;
mod engine;

pub(crate) use client::{Config, ModelCopy};
pub(crate) use engine::{DeploymentConfig, Engine, EngineChoice, EngineConfig};
