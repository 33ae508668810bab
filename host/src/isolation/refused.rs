//! Why a library could not be loaded, on its way from the process that tried.

use std::borrow::Cow;
use std::path::Path;

use mlflow_deploy_plugin_api::ffi::TableError;
use serde::{Deserialize, Serialize};

use crate::Refusal;

/// Those of the refusals that loading ends in.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Refused<'a> {
    Abi { plugin: u32, host: u32 },
    Init(Cow<'a, str>),
    MissingDependency { name: Cow<'a, str>, needed_by: Option<Cow<'a, Path>> },
    NotLoadable(Cow<'a, str>),
    OldDependency { library: Cow<'a, Path>, version: Cow<'a, str>, newest: Option<Cow<'a, str>> },
    Table(TableError),
}

impl<'a> From<&'a Refusal> for Refused<'a> {
    fn from(refusal: &'a Refusal) -> Self {
        match refusal {
            Refusal::Abi { plugin, host } => Self::Abi { plugin: *plugin, host: *host },
            Refusal::MissingDependency { name, needed_by } => {
                Self::MissingDependency { name: name.into(), needed_by: needed_by.as_ref().map(Cow::from) }
            }
            Refusal::NotLoadable(what) => Self::NotLoadable(what.into()),
            Refusal::OldDependency { library, version, newest } => Self::OldDependency {
                library: library.into(),
                version: version.into(),
                newest: newest.as_ref().map(Cow::from),
            },
            Refusal::Table(error) => Self::Table(error.clone()),
            Refusal::Init(what) => Self::Init(what.into()),
            other => Self::Init(other.reason().into()),
        }
    }
}

impl From<Refused<'_>> for Refusal {
    fn from(refused: Refused<'_>) -> Self {
        match refused {
            Refused::Abi { plugin, host } => Self::Abi { plugin, host },
            Refused::Init(what) => Self::Init(what.into_owned()),
            Refused::MissingDependency { name, needed_by } => {
                Self::MissingDependency { name: name.into_owned(), needed_by: needed_by.map(Cow::into_owned) }
            }
            Refused::NotLoadable(what) => Self::NotLoadable(what.into_owned()),
            Refused::OldDependency { library, version, newest } => Self::OldDependency {
                library: library.into_owned(),
                version: version.into_owned(),
                newest: newest.map(Cow::into_owned),
            },
            Refused::Table(error) => Self::Table(error),
        }
    }
}
