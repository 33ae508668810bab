//! Discovery: which files on the search path are plugins, whether they may be loaded, and which one serves a scheme. Runs
//! no plugin code.
//!
//! | file | responsibility |
//! |---|---|
//! | `search_path` | the directories and files to search, in order |
//! | `scan` | reads the directories and the manifests in them |
//! | `plugin_file` | opens a file once; manifest, hash and identity come from the same handle |
//! | `digest`, `lock` | SHA-256 of a file; the lock file |
//! | `registry` | chooses the plugin for a scheme |

pub(crate) mod digest;
pub(crate) mod lock;
pub(crate) mod plugin_file;
pub(crate) mod registry;
pub(crate) mod scan;
pub(crate) mod search_path;
