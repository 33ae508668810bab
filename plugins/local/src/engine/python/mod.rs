//! Runs models of every flavor in MLflow's own scoring server, a Python process that is restarted when it ends. Requests and
//! answers are bytes that this module does not parse. Independent of deployments.

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
