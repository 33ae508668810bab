//! Named targets: the tables `[targets.NAME]` of the user's configuration and of a project file. A name stands for a
//! target URI with client options, whose secrets are read when a client is opened.
//!
//! | file | responsibility |
//! |---|---|
//! | `definition` | the content of a table, and `NamedTarget` |
//! | `option_source` | the value of an option, or the place of a secret |
//! | `secret_reader` | reads a secret from the environment, from a file or from the output of a program |
//! | `resolution` | completes the options of a client |
//! | `project_file` | finds `mlflow-deploy.toml`, and records that the user trusts it |
//! | `list` | the named targets of a host |

mod definition;
mod list;
mod option_source;
mod project_file;
mod resolution;
mod secret_reader;

pub use definition::NamedTarget;
pub(crate) use definition::{Definition, IsolationConfig, TargetName};
pub(crate) use list::NamedTargets;
pub use option_source::OptionSource;
pub use project_file::{ProjectFile, ProjectTrust};
pub(crate) use resolution::{CompleteOptions, complete, default_option, texts};
