//! Serializes the reason why a library was not loaded. The process of the plugin sends it to the host.

use std::borrow::Cow;
use std::path::Path;

use mlflow_deploy_plugin_api::ffi::TableError;
use serde::{Deserialize, Serialize};

use crate::LoadError;

/// The load errors that the process of a plugin sends to the host.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WireLoadError<'a> {
    Abi { plugin: u32, host: u32 },
    Init(Cow<'a, str>),
    MissingDependency { name: Cow<'a, str>, needed_by: Option<Cow<'a, Path>> },
    NotLoadable(Cow<'a, str>),
    OldDependency { library: Cow<'a, Path>, version: Cow<'a, str>, newest: Option<Cow<'a, str>> },
    Table(TableError),
}

impl<'a> From<&'a LoadError> for WireLoadError<'a> {
    fn from(error: &'a LoadError) -> Self {
        match error {
            LoadError::Abi { plugin, host } => Self::Abi { plugin: *plugin, host: *host },
            LoadError::MissingDependency { name, needed_by } => {
                Self::MissingDependency { name: name.into(), needed_by: needed_by.as_ref().map(Cow::from) }
            }
            LoadError::NotLoadable(why) => Self::NotLoadable(why.into()),
            LoadError::OldDependency { library, version, newest } => Self::OldDependency {
                library: library.into(),
                version: version.into(),
                newest: newest.as_ref().map(Cow::from),
            },
            LoadError::Table(table) => Self::Table(table.clone()),
            LoadError::Init(why) => Self::Init(why.into()),
            other => Self::Init(other.reason().into()),
        }
    }
}

impl From<WireLoadError<'_>> for LoadError {
    fn from(error: WireLoadError<'_>) -> Self {
        match error {
            WireLoadError::Abi { plugin, host } => Self::Abi { plugin, host },
            WireLoadError::Init(why) => Self::Init(why.into_owned()),
            WireLoadError::MissingDependency { name, needed_by } => {
                Self::MissingDependency { name: name.into_owned(), needed_by: needed_by.map(Cow::into_owned) }
            }
            WireLoadError::NotLoadable(why) => Self::NotLoadable(why.into_owned()),
            WireLoadError::OldDependency { library, version, newest } => Self::OldDependency {
                library: library.into_owned(),
                version: version.into_owned(),
                newest: newest.map(Cow::into_owned),
            },
            WireLoadError::Table(table) => Self::Table(table),
        }
    }
}
