//! Removes garbage from a state directory: copied models that belong to no deployment and that no process has locked,
//! and temporary files that a crashed process left.

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
    /// Removes temporary files, and copied models that no deployment uses and no process has locked. Files that cannot be
    /// removed are left for the next sweep. Never removes files with unknown names.
    ///
    /// A copied model that has a record is kept with a warning, even if `state` does not have it: it was deployed, so
    /// `state.json` was probably replaced by an older version.
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
