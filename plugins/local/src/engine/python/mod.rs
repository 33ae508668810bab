//! Runs models of every flavor in MLflow's own scoring server, a Python process that is restarted when it ends. Does
//! not parse the bytes of requests and answers. Independent of deployments.

mod client;
mod interpreter;
mod log;
mod process;
mod server;
mod servers;
mod slow_wait;
mod supervisor;

pub(crate) use interpreter::{Python, PythonSearch};
pub(crate) use servers::PythonServers;
