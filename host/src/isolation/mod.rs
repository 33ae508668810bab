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
mod choice;
mod environment;
mod isolate;
mod log;
mod message;
mod nested;
mod receiver;
mod refused;
mod sender;
mod serve;
mod supervisor;
#[cfg(test)]
mod tests;

pub use child::Death;
pub(crate) use child::{Child, Recipe};
pub use choice::IsolatedBy;
pub(crate) use choice::IsolationChoice;
pub use isolate::{isolate, plugin_host};
pub(crate) use nested::{Isolating, Nested};
pub use serve::serve_plugin;
pub(crate) use supervisor::Supervisor;
