//! Runs plugins in their own processes. The calls of the plugin's table become messages over a socket pair.
//!
//! | file | side | responsibility |
//! |---|---|---|
//! | `message` | both | the messages |
//! | `sender`, `receiver` | both | sends without blocking; assembles messages |
//! | `spin` | both | decides if a thread repeats a read before it sleeps |
//! | `wire_error` | both | sends the reason why a library was not loaded |
//! | `isolation_choice`, `environment` | host | selects the isolated plugins, the program, and its environment variables |
//! | `spawn_config` | both | the program of a process, its environment and its time limits |
//! | `child`, `log`, `process_exit` | host | spawns a process, reads its output, reaps it |
//! | `supervisor`, `calls` | host | tracks calls, fails them if the process dies, restarts the process |
//! | `instance_spawner` | both | starts another instance of a plugin at the plugin's request |
//! | `serve` | plugin | loads the library and forwards calls to it |

mod calls;
mod child;
mod environment;
mod instance_spawner;
mod isolation_choice;
mod log;
mod message;
mod process_exit;
mod receiver;
mod sender;
mod serve;
mod spawn_config;
mod spin;
mod supervisor;
#[cfg(test)]
mod tests;
mod wire_error;

pub(crate) use child::Child;
pub(crate) use instance_spawner::{InProcessHost, InstanceSpawner};
pub(crate) use isolation_choice::IsolationPolicy;
pub use isolation_choice::{IsolatedBy, plugin_host};
pub use process_exit::ProcessExit;
pub use serve::serve_plugin;
pub(crate) use spawn_config::SpawnConfig;
pub(crate) use supervisor::Supervisor;
pub use supervisor::isolate;
