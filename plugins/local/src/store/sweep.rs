//! Removes garbage: copies that no deployment names and no process holds, and temporary files that a crash left.

use std::collections::BTreeSet;
use std::fs;
use std::io;

use mlflow_deploy_plugin_api::call;

use super::copies::Copies;
use super::directory::{StateDirectory, StateLock};
use super::folder::Folder;
use super::layout::{REBUILD, UNFINISHED_DIGITS, UNFINISHED_STATE};
use super::state::State;

impl StateDirectory {
    /// Removes garbage. Files that cannot be removed are left to the next sweep. Files with other names are never
    /// removed. A copy with a record was deployed: if the state does not name it, an older state was restored, and the
    /// copy is kept.
    pub(super) fn sweep(&self, _lock: &StateLock, copies: &Copies, state: &State) {
        let named: BTreeSet<&str> = state.deployments.values().map(|deployment| deployment.folder.as_str()).collect();
        for (id, path) in copies.iter().filter(|(id, _)| !named.contains(id)) {
            if copies.has_record(id) {
                call::warn(format!(
                    "keeping `{}`: it was deployed, but `state.json` does not name it, maybe because an older \
                     `state.json` was restored; remove it, or move `state.json` away and run: {REBUILD}",
                    path.display()
                ));
            } else {
                Folder::remove_unless_held(path);
            }
        }
        for entry in fs::read_dir(&self.root).into_iter().flatten().filter_map(io::Result::ok) {
            let name = entry.file_name();
            let digits = name.to_str().and_then(|name| name.strip_prefix(UNFINISHED_STATE));
            let is_ours = digits.is_some_and(|digits| {
                digits.len() == UNFINISHED_DIGITS && digits.chars().all(|each| each.is_ascii_alphanumeric())
            });
            if is_ours && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                let _retried_by_the_next_sweep = fs::remove_file(entry.path());
            }
        }
    }
}
