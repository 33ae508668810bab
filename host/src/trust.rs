//! Loading a plugin runs its code: only what root or the user put there is loaded.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::Refusal;

const WORLD_WRITABLE: u32 = 0o002;
const GROUP_WRITABLE: u32 = 0o020;

/// Refuses what somebody else owns, or what everybody can change.
pub(crate) fn check(path: &Path, metadata: &Metadata) -> Result<(), Refusal> {
    let user = rustix::process::geteuid().as_raw();
    let untrusted = |why, fix| Err(Refusal::Untrusted { path: path.to_owned(), why, fix });
    if metadata.uid() != 0 && metadata.uid() != user {
        return untrusted(
            "not trusted, for somebody else owns it",
            format!("belongs to user {}: `chown {user}` it if you trust it", metadata.uid()),
        );
    }
    if metadata.mode() & WORLD_WRITABLE != 0 {
        return untrusted(
            "not trusted, for everybody can change it",
            format!("has mode {:o}: `chmod o-w` it", metadata.mode() & 0o7777),
        );
    }
    Ok(())
}

/// Whether others than the owner can change it, which is worth a warning.
pub(crate) fn is_group_writable(metadata: &Metadata) -> bool {
    metadata.mode() & GROUP_WRITABLE != 0
}
