//! Runs models of every flavor in MLflow's own scoring server, which is a Python process. Restarts the process when it
//! ends. Forwards requests and responses without parsing them. Does not depend on the modules for deployments.

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
