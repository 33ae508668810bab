//! The verbs of `mlflow-deploy plugins`. Only `retry` and `add-python` run plugin code, in a separate process.

mod add_python;
mod check;
mod doctor;
mod entry;
mod inspect;
mod list;
mod lock;
mod new;
mod retry;
mod run;
mod which;

pub(crate) use self::entry::{FileCheck, lossy};
pub(crate) use self::list::Listing;
pub(crate) use self::lock::lock_file_path;
pub(crate) use self::run::run;
