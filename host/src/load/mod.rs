//! Loads plugins into this process, or each into a process of its own.
//!
//! | file | responsibility |
//! |---|---|
//! | `loading` | loads a plugin on its own thread with a time limit |
//! | `library` | loads the shared library and starts the plugin in this process |
//! | `subprocess` | runs a plugin in its own process |
//! | `preflight` | first loads a new file in its own process |
//! | `dynamic_deps` | finds the libraries that a plugin needs, as the dynamic loader does |
//! | `load_error` | the reasons why a file is not used as a plugin |

pub(crate) mod dynamic_deps;
pub(crate) mod library;
pub(crate) mod load_error;
pub(crate) mod loading;
pub(crate) mod preflight;
pub(crate) mod subprocess;
