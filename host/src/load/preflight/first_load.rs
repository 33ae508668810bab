//! Decides if a file needs a preflight, a first load in a separate process, and records the outcome.

use std::path::Path;

use mlflow_deploy_plugin_api::manifest::is_process_file;

use super::store::{LoadOutcome, LoadStore};
use crate::LoadError;
use crate::discovery::digest::{Digest, Identity};
use crate::discovery::plugin_file::PluginFile;

/// Decides which files need a preflight, and stores the outcomes. Preflight is disabled without a store.
#[derive(Debug)]
pub(crate) struct Preflight(Option<LoadStore>);

/// Tells if a file was loaded before.
#[derive(Clone, Debug)]
pub(crate) enum LoadHistory {
    /// The file was loaded successfully before.
    Known,
    /// The file has not been loaded before. Holds the SHA-256 of the file.
    New(Digest),
    /// Preflight is disabled, so earlier loads are not known.
    Disabled,
}

impl Preflight {
    pub(crate) fn new(store: Option<LoadStore>) -> Self {
        Self(store)
    }

    /// Fails if the file is quarantined, because its first load crashed or hung. Does not read the content of the file.
    pub(crate) fn check(&self, identity: &Identity) -> Result<(), LoadError> {
        let Some(store) = &self.0 else { return Ok(()) };
        store.digest(identity).map_or(Ok(()), |digest| was_loaded(store, &digest).map(drop))
    }

    /// Returns the load history of a file. Hashes the file unless its hash is stored. Fails if the first load of the
    /// file crashed or hung.
    pub(crate) fn history(&self, opened: &PluginFile) -> Result<LoadHistory, LoadError> {
        let Some(store) = &self.0 else { return Ok(LoadHistory::Disabled) };
        let digest = match store.digest(&opened.identity) {
            Some(digest) => digest,
            None => {
                let digest = opened.measure()?.whole();
                store.keep_digest(&opened.identity, &digest);
                digest
            }
        };
        Ok(if was_loaded(store, &digest)? { LoadHistory::Known } else { LoadHistory::New(digest) })
    }

    /// Stores the outcome of a first load if the load succeeded, crashed or hung. Does not store other errors, because
    /// they do no harm and may disappear without a change of the file.
    pub(crate) fn record<T>(&self, history: &LoadHistory, file: &Path, outcome: &Result<T, LoadError>) {
        let (LoadHistory::New(digest), Some(store)) = (history, &self.0) else { return };
        let quarantined = match outcome {
            Ok(_) => None,
            // A kill from outside is not the plugin's fault.
            Err(LoadError::Crashed(exit)) if exit.is_from_outside() => return,
            // A program that exits may lack a package, whose installation changes none of the plugin's files.
            Err(LoadError::Crashed(exit)) if is_process_file(file) && exit.signal().is_none() => return,
            Err(LoadError::Crashed(exit)) => Some(format!("its process {exit}")),
            Err(error @ LoadError::TimedOut(_)) => Some(format!("it {}", error.reason())),
            Err(_) => return,
        };
        store.keep_outcome(digest, &LoadOutcome { file: file.to_owned(), quarantined });
    }

    /// Removes the stored outcome of a file, so that the file counts as new. Returns the new load history of the file.
    pub(crate) fn forget(&self, opened: &PluginFile) -> Result<LoadHistory, LoadError> {
        let Some(store) = &self.0 else { return Ok(LoadHistory::Disabled) };
        let digest = opened.measure()?.whole();
        let unwritable =
            |error: std::io::Error| LoadError::Unreadable(format!("failed to remove its stored outcome: {error}"));
        store.forget_outcome(&digest).map_err(unwritable)?;
        Ok(LoadHistory::New(digest))
    }
}

/// Returns true if a file with this SHA-256 was loaded before. Fails if its first load crashed or hung.
fn was_loaded(store: &LoadStore, digest: &Digest) -> Result<bool, LoadError> {
    match store.outcome(digest) {
        Some(LoadOutcome { quarantined: Some(reason), .. }) => Err(LoadError::Quarantined { reason }),
        known => Ok(known.is_some()),
    }
}
