//! Finds the plugins on the search path, decides which of them may be loaded, and chooses one for a scheme. Runs no
//! plugin code.
//!
//! | file | responsibility |
//! |---|---|
//! | `search_path` | the directories and files to search, in order |
//! | `scan` | scans the directories |
//! | `candidate` | inspects a file: owner, manifest, platform |
//! | `plugin_file` | opens a file once; manifest, hash and identity come from the same handle |
//! | `process_program` | the program and the files of a process plugin |
//! | `digest` | SHA-256 and identity of a file |
//! | `lock`, `locked_plugin` | the lock file and its entries |
//! | `registry` | chooses the plugin for a scheme |
//! | `no_plugin` | the error for a target that no plugin serves |
//! | `config_warning` | settings of plugins that were not found |

pub(crate) mod candidate;
pub(crate) mod config_warning;
pub(crate) mod digest;
pub(crate) mod lock;
pub(crate) mod locked_plugin;
pub(crate) mod no_plugin;
pub(crate) mod plugin_file;
pub(crate) mod process_program;
pub(crate) mod registry;
pub(crate) mod scan;
pub(crate) mod search_path;
