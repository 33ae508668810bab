//! Models of every flavor, in MLflow's own scoring server: a Python process hstack this one, kept alive and asked over
//! HTTP. It knows a model's folder, and nothing of deployments; requests and answers are bytes that it never reads.

mod child;
mod client;
mod interpreter;
mod log;
mod server;
mod slow_wait;
mod supervise;

pub(crate) use interpreter::{Python, Pythons};
pub(crate) use server::Server;
