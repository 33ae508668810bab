//! Removes garbage: copies that no deployment names and no process holds, and files that a crash left.

use std::collections::BTreeSet;
use std::fs;
use std::io;

use mlflow_deploy_plugin_api::call;

use super::copies::Copies;
use super::directory::{Lock, REBUILD, StateDirectory};
use super::folder::Folder;
use super::state::State;

/// How the files begin that are to become `state.json`, so that those that a crash left are known.
pub(super) const UNFINISHED: &str = ".state-";

/// How many letters and digits follow.
pub(super) const UNFINISHED_DIGITS: usize = 6;

impl StateDirectory {
    /// What cannot be removed now is left for the next time, and what has another name than ours for good. A copy with a
    /// record was deployed: where the state does not name it, the state is another than the copy's, and both are kept.
    pub(super) fn sweep(&self, _lock: &Lock, copies: &Copies, state: &State) {
        let named: BTreeSet<&str> = state.deployments.values().map(|deployment| deployment.folder.as_str()).collect();
        for (id, path) in copies.iter().filter(|(id, _)| !named.contains(id)) {
            if copies.has_record(id) {
                call::warn(format!(
                    "`{}` was deployed, and `state.json` does not name it, as an older copy of that file would not: it is \
                     kept; remove it, or move `state.json` away and run: {REBUILD}",
                    path.display()
                ));
            } else {
                Folder::remove_unless_held(path);
            }
        }
        for entry in fs::read_dir(&self.root).into_iter().flatten().filter_map(io::Result::ok) {
            let name = entry.file_name();
            let digits = name.to_str().and_then(|name| name.strip_prefix(UNFINISHED));
            let is_ours = digits.is_some_and(|digits| {
                digits.len() == UNFINISHED_DIGITS && digits.chars().all(|each| each.is_ascii_alphanumeric())
            });
            if is_ours && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                let _left_for_the_next_time = fs::remove_file(entry.path());
            }
        }
    }
}
