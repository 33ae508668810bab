//! Loading: a chosen file becomes a running plugin, in this process or in one of its own.
//!
//! | file | responsibility |
//! |---|---|
//! | `loading` | loads on a thread of its own with a deadline |
//! | `library` | loads the shared library and starts the plugin in this process |
//! | `subprocess` | runs a plugin in a process of its own |
//! | `preflight` | tries a file that was never loaded before in a process first |
//! | `dynamic_deps` | the libraries that a plugin needs, and whether the system's loader finds them |
//! | `load_error` | why a file cannot be used as a plugin |

pub(crate) mod dynamic_deps;
pub(crate) mod library;
pub(crate) mod load_error;
pub(crate) mod loading;
pub(crate) mod preflight;
pub(crate) mod subprocess;
