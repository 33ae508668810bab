//! Checks models that run in Python, in a child process with MLflow's scoring server.
#![cfg(target_os = "linux")]

mod fixture;
mod predictions;
mod restarts;
mod start;

pub(super) use fixture::{doubled, interpreter, mood, moody, servers, until};
