//! Whether a file has been loaded before, how that went, and a trial for what has not.

use std::path::Path;

use super::store::{LoadStore, Verdict};
use crate::LoadError;
use crate::discovery::digest::{Digest, Identity};
use crate::discovery::plugin_file::PluginFile;

/// The trials of first loads, and what is remembered of them; without a memory nothing is tried.
#[derive(Debug)]
pub(crate) struct Preflight(Option<LoadStore>);

/// What is known of a file before it is loaded.
#[derive(Clone, Debug)]
pub(crate) enum LoadHistory {
    /// It was loaded before.
    Known,
    /// It was never loaded before.
    New(Digest),
    /// First-load checks are off.
    Disabled,
}

impl Preflight {
    pub(crate) fn new(memory: Option<LoadStore>) -> Self {
        Self(memory)
    }

    /// Refuses a file that is known to be quarantined. It is not read for that.
    pub(crate) fn check(&self, identity: &Identity) -> Result<(), LoadError> {
        let Some(memory) = &self.0 else { return Ok(()) };
        memory.digest(identity).map_or(Ok(()), |digest| was_loaded(memory, &digest).map(drop))
    }

    /// What is known of a file, which is read unless it was before.
    pub(crate) fn standing(&self, opened: &PluginFile) -> Result<LoadHistory, LoadError> {
        let Some(memory) = &self.0 else { return Ok(LoadHistory::Disabled) };
        let digest = match memory.digest(&opened.identity) {
            Some(digest) => digest,
            None => {
                let digest = opened.measure()?.digest;
                memory.keep_digest(&opened.identity, &digest);
                digest
            }
        };
        Ok(if was_loaded(memory, &digest)? { LoadHistory::Known } else { LoadHistory::New(digest) })
    }

    /// Remembers how a first load went: that it did, or that the process crashed or hung. What else can be wrong harms
    /// nobody, and may be put right without a change to the file.
    pub(crate) fn judge<T>(&self, standing: &LoadHistory, file: &Path, outcome: &Result<T, LoadError>) {
        let (LoadHistory::New(digest), Some(memory)) = (standing, &self.0) else { return };
        let quarantined = match outcome {
            Ok(_) => None,
            // What somebody else did is not held against it.
            Err(LoadError::Crashed(death)) if !death.is_from_outside() => Some(format!("its process {death}")),
            Err(refusal @ LoadError::TimedOut(_)) => Some(format!("it {}", refusal.reason())),
            Err(_) => return,
        };
        memory.keep_verdict(digest, &Verdict { file: file.to_owned(), quarantined });
    }

    /// Forgets how the first load of a file went, which so becomes new.
    pub(crate) fn forget(&self, opened: &PluginFile) -> Result<LoadHistory, LoadError> {
        let Some(memory) = &self.0 else { return Ok(LoadHistory::Disabled) };
        let digest = opened.measure()?.digest;
        let unwritable = |error: std::io::Error| LoadError::Unreadable(format!("what is remembered of it: {error}"));
        memory.forget_verdict(&digest).map_err(unwritable)?;
        Ok(LoadHistory::New(digest))
    }
}

/// Whether what has this SHA-256 was loaded before; refuses what is quarantined.
fn was_loaded(memory: &LoadStore, digest: &Digest) -> Result<bool, LoadError> {
    match memory.verdict(digest) {
        Some(Verdict { quarantined: Some(reason), .. }) => Err(LoadError::Quarantined { reason }),
        known => Ok(known.is_some()),
    }
}
