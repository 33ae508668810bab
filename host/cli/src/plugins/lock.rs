//! `plugins lock` writes the lock file, and `plugins verify` checks the plugins in use against it.

use std::fmt;
use std::path::{Path, PathBuf};

use mlflow_deploy::manifest::{Manifest, TARGET};
use mlflow_deploy::{Candidate, CandidateState, Host, Lock, LockedPlugin, Replacement};
use mlflow_deploy_plugin_api::text;
use serde::Serialize;

use super::entry::lossy;
use crate::args::Global;
use crate::context::Context;
use crate::report::{CliError, Report};

#[derive(Serialize)]
struct LockReport<'a> {
    #[serde(serialize_with = "lossy")]
    lock_file: &'a Path,
    platform: &'static str,
    plugins: Vec<LockChange<'a>>,
    other_platforms: usize,
}

/// A change of an entry in the lock file: `added`, `changed`, `kept` or `removed`.
#[derive(Serialize)]
struct LockChange<'a> {
    change: &'static str,
    #[serde(flatten)]
    plugin: &'a LockedPlugin,
}

/// Returns the path of the lock file: that of `--lock-file`, else that of `MLFLOW_DEPLOY_LOCK_FILE`, else
/// `mlflow-deploy.lock` in the current directory.
pub(crate) fn lock_file_path(global: &Global) -> PathBuf {
    global.lock_file.clone().or_else(Lock::variable).unwrap_or_else(|| PathBuf::from(Lock::FILE))
}

/// Writes an entry for each plugin in use to the lock file. Keeps the entries of other platforms.
pub(super) fn write(path: &Path, context: &Context) -> Result<(), CliError> {
    // An unreadable lock file is an error: it may have the format of a later version, and must not be overwritten.
    let old = if path.exists() { Lock::read(path)? } else { Lock::default() };
    let (discovery, report) = (context.discover(), &context.report);
    for candidate in &discovery.candidates {
        if let CandidateState::Refused(refusal) = &candidate.state {
            report.stderr().warning(&format!("cannot lock `{}`: {refusal}", candidate.path.display()));
        }
    }
    let current = Lock::of(&discovery)?;
    let new = old.refreshed(&current);
    Replacement::write(path, new.to_text().as_bytes())
        .map_err(|error| CliError::Input(format!("failed to write the lock file `{}`: {error}", path.display())))?;
    let local =
        |lock: &'_ Lock| lock.plugins().iter().filter(|plugin| plugin.is_for_this_platform()).cloned().collect();
    let (before, after): (Vec<_>, Vec<_>) = (local(&old), local(&new));
    let change = |plugin: &LockedPlugin| match before.iter().find(|old| old.name == plugin.name) {
        Some(_) if before.contains(plugin) => "kept",
        Some(_) => "changed",
        None => "added",
    };
    let is_removed = |old: &&LockedPlugin| after.iter().all(|new| new.name != old.name);
    let removed = before.iter().filter(is_removed).map(|plugin| LockChange { change: "removed", plugin });
    let plugins = after.iter().map(|plugin| LockChange { change: change(plugin), plugin }).chain(removed).collect();
    let other_platforms = new.plugins().len() - after.len();
    let written = LockReport { lock_file: path, platform: TARGET, plugins, other_platforms };
    report.write_value(&written, || written.to_string())
}

impl fmt::Display for LockReport<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}, for {}:", text::path(self.lock_file), self.platform)?;
        for LockChange { change, plugin: LockedPlugin { name, version, sha256, .. } } in &self.plugins {
            writeln!(formatter, "  {change:<7} {} {}, sha256 {sha256}", text::line(name), text::line(version))?;
        }
        match self.other_platforms {
            0 => Ok(()),
            others => writeln!(formatter, "  {others} for other platforms, unchanged"),
        }
    }
}

#[derive(Serialize)]
struct VerifyReport<'a> {
    #[serde(serialize_with = "lossy")]
    lock_file: &'a Path,
    platform: &'static str,
    plugins: Vec<VerifiedPlugin>,
}

#[derive(Serialize)]
struct VerifiedPlugin {
    name: String,
    /// The state of the plugin: `ok`, `refused`, or `missing`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Checks that every plugin in use matches the lock file, and that every plugin of this platform in the lock file is
/// found.
pub(super) fn verify(path: &Path, host: &Host, report: &Report) -> Result<(), CliError> {
    let lock = Lock::read(path)?;
    let discovery = host.discover();
    let used: Vec<_> = discovery.used().collect();
    let check = |(candidate, manifest): &(&Candidate, &Manifest)| {
        let refusal = lock.check(candidate).err();
        VerifiedPlugin {
            name: manifest.name.clone(),
            state: if refusal.is_none() { "ok" } else { "refused" },
            file: Some(candidate.path.to_string_lossy().into_owned()),
            reason: refusal.map(|refusal| refusal.to_string()),
        }
    };
    let is_missing = |locked: &&LockedPlugin| {
        locked.is_for_this_platform() && used.iter().all(|(_, manifest)| manifest.name != locked.name)
    };
    let missing = lock.plugins().iter().filter(is_missing).map(|locked| VerifiedPlugin {
        name: locked.name.clone(),
        state: "missing",
        file: None,
        reason: Some(format!("version {} is in the lock file, but the plugin was not found", locked.version)),
    });
    let plugins: Vec<_> = used.iter().map(check).chain(missing).collect();
    let (all, failed) = (plugins.len(), plugins.iter().filter(|plugin| plugin.state != "ok").count());
    let verified = VerifyReport { lock_file: path, platform: TARGET, plugins };
    report.write_value(&verified, || verified.to_string())?;
    match failed {
        0 => Ok(()),
        failed => Err(CliError::CheckFailed(format!(
            "{failed} of {all} plugins do not match the lock file `{}`",
            path.display()
        ))),
    }
}

impl fmt::Display for VerifyReport<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for VerifiedPlugin { name, state, file, reason } in &self.plugins {
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
