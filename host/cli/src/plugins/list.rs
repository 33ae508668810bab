//! `plugins list`: lists the plugin files and the searched directories.

use std::path::Path;

use mlflow_deploy::{Candidate, Directory, DirectoryState, Discovery, Lock};
use mlflow_deploy_plugin_api::text;
use serde::Serialize;

use super::entry::{FileCheck, PluginEntry, lossy};

/// The output of `plugins list`: the plugin files and the searched directories.
#[derive(Serialize)]
pub(crate) struct Listing<'a> {
    plugins: Vec<PluginEntry<'a>>,
    directories: Vec<ListedDirectory<'a>>,
}

/// A searched directory in the output of `plugins list` and `plugins doctor`.
#[derive(Serialize)]
pub(super) struct ListedDirectory<'a> {
    #[serde(serialize_with = "lossy")]
    path: &'a Path,
    origin: String,
    state: String,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub(super) warnings: &'a [String],
    #[serde(skip)]
    is_missing: bool,
}

impl<'a> Listing<'a> {
    /// Lists the discovered plugin files. If there is a lock file, a plugin that does not match it has the state
    /// `refused`.
    pub(crate) fn new(discovery: &'a Discovery, lock: Option<&Lock>) -> Self {
        Self {
            plugins: discovery.candidates.iter().map(|candidate| entry(candidate, discovery, lock)).collect(),
            directories: ListedDirectory::all(discovery),
        }
    }

    fn with_state(&self, state: &str) -> impl Iterator<Item = &PluginEntry<'a>> {
        self.plugins.iter().filter(move |listed| listed.state == state)
    }
}

impl<'a> ListedDirectory<'a> {
    pub(super) fn all(discovery: &'a Discovery) -> Vec<Self> {
        let listed = |(directory, state): (&'a Directory, String)| Self {
            path: &directory.path,
            origin: directory.origin.to_string(),
            state,
            warnings: &directory.warnings,
            is_missing: matches!(directory.state, DirectoryState::Missing),
        };
        discovery.summaries().map(listed).collect()
    }
}

/// Returns the entry of a plugin file, with its state and the reason for the state.
fn entry<'a>(candidate: &'a Candidate, discovery: &Discovery, lock: Option<&Lock>) -> PluginEntry<'a> {
    let shadowed = "an earlier plugin on the search path serves its schemes";
    let (state, reason) = if let Some(refusal) = FileCheck::of(candidate, lock).refusal {
        ("refused", Some(refusal.to_string()))
    } else if candidate.manifest().is_none() {
        ("ignored", Some("a library without a plugin manifest".to_owned()))
    } else if let Some(rival) = discovery.rival(candidate) {
        ("ambiguous", Some(ambiguous(rival)))
    } else if discovery.is_shadowed(candidate) {
        ("shadowed", Some(shadowed.to_owned()))
    } else {
        ("usable", None)
    };
    PluginEntry::new(candidate, state, reason)
}

/// Returns the reason for the state `ambiguous`. `rival` is the other plugin in the same directory.
pub(super) fn ambiguous(rival: &Candidate) -> String {
    format!("`{}` in the same directory serves one of the same schemes", rival.path.display())
}

impl std::fmt::Display for Listing<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for listed in self.with_state("usable") {
            let (name, version) = (listed.name.unwrap_or_default(), listed.version.unwrap_or_default());
            writeln!(formatter, "{} {}", text::line(name), text::line(version))?;
            writeln!(formatter, "  schemes: {}", text::line(&listed.schemes.join(", ")))?;
            writeln!(formatter, "  file:    {}", text::path(listed.file))?;
            if let Some(why) = &listed.isolated_by {
                writeln!(formatter, "  runs in: its own process, because {}", text::line(why))?;
            }
        }
        if self.with_state("usable").chain(self.with_state("ambiguous")).next().is_none() {
            writeln!(formatter, "no plugins found")?;
        }
        for (state, title) in [
            ("ambiguous", "ambiguous, so using them is an error (select one with `--plugin PATH`):"),
            ("shadowed", "shadowed by an earlier plugin that serves the same schemes:"),
            ("refused", "refused:"),
            ("ignored", "ignored, because they are libraries without a plugin manifest:"),
        ] {
            for (at, listed) in self.with_state(state).enumerate() {
                if at == 0 {
                    writeln!(formatter, "{title}")?;
                }
                let reason = listed.reason.as_ref().filter(|_| ["ambiguous", "refused"].contains(&state));
                let reason = reason.map(|reason| format!(": {}", text::line(reason))).unwrap_or_default();
                writeln!(formatter, "  {}{reason}", text::path(listed.file))?;
            }
        }
        writeln!(formatter, "searched:")?;
        for directory in self.directories.iter().filter(|directory| !directory.is_missing) {
            write!(formatter, "{directory}")?;
        }
        let missing: Vec<_> = self.directories.iter().filter(|directory| directory.is_missing).collect();
        if !missing.is_empty() {
            writeln!(formatter, "missing directories:")?;
        }
        for directory in missing {
            writeln!(formatter, "  {} ({})", text::path(directory.path), directory.origin)?;
        }
        Ok(())
    }
}

impl std::fmt::Display for ListedDirectory<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(formatter, "  {} ({}): {}", text::path(self.path), self.origin, text::line(&self.state))
    }
}
