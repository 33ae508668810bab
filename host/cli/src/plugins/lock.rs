//! `plugins lock` and `plugins verify`: the lock file is made of what is found, and what is found is held to it.

use std::fmt;
use std::path::Path;

use mlflow_deploy::manifest::{Manifest, TARGET};
use mlflow_deploy::{Candidate, CandidateState, Host, Lock, LockedPlugin, Replacement};
use mlflow_deploy_plugin_api::text;
use serde::Serialize;

use super::lossy;
use crate::context::Context;
use crate::report::{CliError, Report};

#[derive(Serialize)]
struct Written<'a> {
    #[serde(serialize_with = "lossy")]
    lock_file: &'a Path,
    platform: &'static str,
    plugins: Vec<Change<'a>>,
    other_platforms: usize,
}

/// What became of a plugin's entry.
#[derive(Serialize)]
struct Change<'a> {
    change: &'static str,
    #[serde(flatten)]
    plugin: &'a LockedPlugin,
}

/// Writes the lock file. What it has for other platforms stays.
pub(super) fn write(path: &Path, session: &Context) -> Result<(), CliError> {
    // One that is there and cannot be read is not written over: it may be a later version's.
    let old = if path.exists() { Lock::read(path)? } else { Lock::default() };
    let (discovery, report) = (session.discover(), &session.report);
    for candidate in &discovery.candidates {
        if let CandidateState::Refused(refusal) = &candidate.state {
            report.talk().warning(&format!("not locked: `{}`: {refusal}", candidate.path.display()));
        }
    }
    let found = Lock::of(&discovery)?;
    let new = old.refreshed(&found);
    Replacement::write(path, new.to_text().as_bytes())
        .map_err(|error| CliError::Input(format!("failed to write the lock file `{}`: {error}", path.display())))?;
    let ours = |lock: &'_ Lock| lock.plugins().iter().filter(|plugin| plugin.is_for_this_platform()).cloned().collect();
    let (before, after): (Vec<_>, Vec<_>) = (ours(&old), ours(&new));
    let change = |plugin: &LockedPlugin| match before.iter().find(|old| old.name == plugin.name) {
        Some(_) if before.contains(plugin) => "kept",
        Some(_) => "changed",
        None => "added",
    };
    let is_gone = |old: &&LockedPlugin| after.iter().all(|new| new.name != old.name);
    let removed = before.iter().filter(is_gone).map(|plugin| Change { change: "removed", plugin });
    let plugins = after.iter().map(|plugin| Change { change: change(plugin), plugin }).chain(removed).collect();
    let other_platforms = new.plugins().len() - after.len();
    let written = Written { lock_file: path, platform: TARGET, plugins, other_platforms };
    report.value(&written, || written.to_string())
}

impl fmt::Display for Written<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}, for {}:", text::path(self.lock_file), self.platform)?;
        for Change { change, plugin: LockedPlugin { name, version, sha256, .. } } in &self.plugins {
            writeln!(formatter, "  {change:<7} {} {}, sha256 {sha256}", text::line(name), text::line(version))?;
        }
        match self.other_platforms {
            0 => Ok(()),
            others => writeln!(formatter, "  {others} for other platforms, as before"),
        }
    }
}

#[derive(Serialize)]
struct Verified<'a> {
    #[serde(serialize_with = "lossy")]
    lock_file: &'a Path,
    platform: &'static str,
    plugins: Vec<Verdict>,
}

#[derive(Serialize)]
struct Verdict {
    name: String,
    /// `ok`, `refused`, or `missing`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Compares what is found with the lock file, in both directions.
pub(super) fn verify(path: &Path, host: &Host, report: &Report) -> Result<(), CliError> {
    let lock = Lock::read(path)?;
    let discovery = host.discover();
    let used: Vec<_> = discovery.used().collect();
    let verdict = |(candidate, manifest): &(&Candidate, &Manifest)| {
        let refusal = lock.check(candidate).err();
        Verdict {
            name: manifest.name.clone(),
            state: if refusal.is_none() { "ok" } else { "refused" },
            file: Some(candidate.path.to_string_lossy().into_owned()),
            reason: refusal.map(|refusal| refusal.to_string()),
        }
    };
    let is_missing = |locked: &&LockedPlugin| {
        locked.is_for_this_platform() && used.iter().all(|(_, manifest)| manifest.name != locked.name)
    };
    let missing = lock.plugins().iter().filter(is_missing).map(|locked| Verdict {
        name: locked.name.clone(),
        state: "missing",
        file: None,
        reason: Some(format!("version {} is in the lock file, and no such plugin is found", locked.version)),
    });
    let plugins: Vec<_> = used.iter().map(verdict).chain(missing).collect();
    let (all, bad) = (plugins.len(), plugins.iter().filter(|verdict| verdict.state != "ok").count());
    let verified = Verified { lock_file: path, platform: TARGET, plugins };
    report.value(&verified, || verified.to_string())?;
    match bad {
        0 => Ok(()),
        bad => Err(CliError::CheckFailed(format!(
            "{bad} of {all} plugins are not as the lock file `{}` has them",
            path.display()
        ))),
    }
}

impl fmt::Display for Verified<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Verdict { name, state, file, reason } in &self.plugins {
            write!(formatter, "{state:<7} {}", text::line(name))?;
            if let Some(file) = file {
                write!(formatter, " {}", text::line(file))?;
            }
            if let Some(reason) = reason {
                write!(formatter, ": {}", text::line(reason))?;
            }
            writeln!(formatter)?;
        }
        Ok(())
    }
}
