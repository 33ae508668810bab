//! The verbs of `mlflow-deploy targets`, which list, check and change named targets. Only `check` reads secrets.

mod add;
mod check;
mod document;
mod list;
mod remove;
mod run;
mod trust;

pub(crate) use self::run::run;
