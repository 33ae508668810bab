//! A folder from which a model is downloaded: on a server of artifacts, or in an object store.

use std::fmt;

use mlflow_deploy_object_store::Store;

use crate::artifacts::RemoteFolder;

/// A folder on a server or in an object store.
#[derive(Debug)]
pub(crate) enum Folder {
    Server(RemoteFolder),
    Store(Store),
}

/// Shows the URL of the folder without secrets.
impl fmt::Display for Folder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(folder) => folder.fmt(formatter),
            Self::Store(store) => store.url().fmt(formatter),
        }
    }
}
