//! Plugins in processes of their own: the same calls as through a library's table, as messages over a pair of sockets.
//!
//! | file | side | what it does |
//! |---|---|---|
//! | `message` | both | the messages |
//! | `sender`, `receiver` | both | sends without waiting; puts messages together |
//! | `refused` | both | why a library could not be loaded |
//! | `choice`, `environment` | host | which plugins, the program, and what it sees of the environment |
//! | `child`, `log` | host | starts a process, listens to it, finds out how it ended |
//! | `supervisor`, `calls` | host | makes calls, ends them where the process dies, starts it anew |
//! | `nested` | both | the same for a plugin that asks for an instance of itself |
//! | `isolate` | host | the same for programs that check plugins |
//! | `serve` | plugin | loads the library, and passes calls on to it |

mod calls;
mod child;
mod environment;
mod isolate;
mod log;
mod message;
mod nested;
mod policy;
mod process_exit;
mod receiver;
mod sender;
mod serve;
mod supervisor;
#[cfg(test)]
mod tests;
mod wire_error;

pub(crate) use child::{Child, SpawnConfig};
pub use isolate::{isolate, plugin_host};
pub(crate) use nested::{Isolating, Nested};
pub use policy::IsolatedBy;
pub(crate) use policy::IsolationPolicy;
pub use process_exit::ProcessExit;
pub use serve::serve_plugin;
pub(crate) use supervisor::Supervisor;
