//! `plugins doctor`: prints the state of each plugin file, the reason for the state, a fix, and the libraries that the
//! plugin needs.

use std::fmt;
use std::path::PathBuf;

use mlflow_deploy::manifest::TARGET;
use mlflow_deploy::{Candidate, Dependency, Discovery, Host, LoadError, Lock, PLUGIN_ABI};
use mlflow_deploy_plugin_api::text;
use serde::Serialize;

use super::entry::{FileCheck, PluginEntry};
use super::list::{ListedDirectory, ambiguous};
use crate::report::{CliError, Report};

#[derive(Serialize)]
struct Diagnosis<'a> {
    host: HostInfo,
    /// The warnings about the user's configuration file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    configuration: Vec<&'a str>,
    plugins: Vec<DiagnosedFile<'a>>,
    directories: Vec<ListedDirectory<'a>>,
}

#[derive(Serialize)]
struct HostInfo {
    version: &'static str,
    abi: u32,
    platform: &'static str,
}

/// The diagnosis of one plugin file.
#[derive(Serialize)]
struct DiagnosedFile<'a> {
    /// The file and its state: `ready`, `shadowed`, `ambiguous`, `refused`, or `ignored`.
    #[serde(flatten)]
    entry: PluginEntry<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    needs: Vec<NeededLibrary>,
}

/// A library that a plugin needs.
#[derive(Serialize)]
struct NeededLibrary {
    name: String,
    /// The path of the library; `null` if the library is missing.
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    needed_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lacks: Option<String>,
}

pub(super) fn run(host: &Host, report: &Report) -> Result<(), CliError> {
    let lock = host.lock()?;
    let discovery = host.discover();
    let examine = |candidate| DiagnosedFile::new(candidate, &discovery, lock.as_ref());
    let diagnosis = Diagnosis {
        host: HostInfo { version: env!("CARGO_PKG_VERSION"), abi: PLUGIN_ABI, platform: TARGET },
        configuration: discovery.config_warnings().collect(),
        plugins: discovery.candidates.iter().map(examine).collect(),
        directories: ListedDirectory::all(&discovery),
    };
    report.write_value(&diagnosis, || diagnosis.to_string())?;
    let is_unusable = |file: &&DiagnosedFile<'_>| ["ambiguous", "refused"].contains(&file.entry.state);
    match (diagnosis.plugins.iter().filter(is_unusable).count(), diagnosis.plugins.len()) {
        (0, _) => Ok(()),
        (unusable, all) => Err(CliError::CheckFailed(format!("{unusable} of {all} plugin files cannot be used"))),
    }
}

impl<'a> DiagnosedFile<'a> {
    fn new(candidate: &'a Candidate, discovery: &Discovery, lock: Option<&Lock>) -> Self {
        let FileCheck { refusal, needs } = FileCheck::of(candidate, lock);
        let (state, reason, fix) = verdict(candidate, discovery, refusal.as_ref());
        let needs = needs.into_iter().map(NeededLibrary::from).collect();
        Self { entry: PluginEntry::new(candidate, state, reason), fix, warnings: &candidate.warnings, needs }
    }
}

/// Returns the state of a plugin file, the reason for the state, and a fix. A file that is ready has neither reason nor
/// fix.
fn verdict(
    candidate: &Candidate,
    discovery: &Discovery,
    refusal: Option<&LoadError>,
) -> (&'static str, Option<String>, Option<String>) {
    let choose = || Some("remove one of them, or select one with `--plugin PATH`".to_owned());
    if let Some(refusal) = refusal {
        ("refused", Some(refusal.reason()), Some(refusal.fix()))
    } else if candidate.manifest().is_none() {
        ("ignored", Some("it is a library without a plugin manifest; this is not an error".to_owned()), None)
    } else if let Some(rival) = discovery.rival(candidate) {
        ("ambiguous", Some(ambiguous(rival)), choose())
    } else if let Some(earlier) = discovery.shadowing(candidate) {
        let reason = format!("`{}` is earlier on the search path and serves its schemes", earlier.path.display());
        ("shadowed", Some(reason), choose())
    } else {
        ("ready", None, None)
    }
}

impl From<Dependency> for NeededLibrary {
    fn from(dependency: Dependency) -> Self {
        let Dependency { name, needed_by, found, lacks, .. } = dependency;
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        Self { name, file: found.map(text), needed_by: needed_by.map(text), lacks }
    }
}

impl fmt::Display for Diagnosis<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HostInfo { version, abi, platform } = self.host;
        writeln!(formatter, "mlflow-deploy {version}, plugin ABI {abi}, {platform}")?;
        self.configuration.iter().try_for_each(|warning| writeln!(formatter, "warning: {}", text::line(warning)))?;
        self.plugins.iter().try_for_each(|file| write!(formatter, "{file}"))?;
        writeln!(formatter, "searched:")?;
        self.directories.iter().try_for_each(|directory| {
            write!(formatter, "{directory}")?;
            directory
                .warnings
                .iter()
                .try_for_each(|warning| writeln!(formatter, "    warning: {}", text::line(warning)))
        })
    }
}

impl fmt::Display for DiagnosedFile<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PluginEntry { file, state, name, version, schemes, isolated_by, reason } = &self.entry;
        writeln!(formatter, "{}", text::path(file))?;
        let plugin = match (name, version) {
            (Some(name), Some(version)) => format!(": {name} {version}, for {}", schemes.join(", ")),
            _ => String::new(),
        };
        writeln!(formatter, "  state:   {state}{}", text::line(&plugin))?;
        let runs_in = isolated_by.as_ref().map(|why| format!("its own process, because {why}"));
        for (title, value) in [("runs in:", &runs_in), ("reason:", reason), ("fix:", &self.fix)] {
            if let Some(value) = value {
                writeln!(formatter, "  {title:<8} {}", text::line(value))?;
            }
        }
        self.warnings.iter().try_for_each(|warning| writeln!(formatter, "  warning: {}", text::line(warning)))?;
        let mut names: Vec<_> = self.needs.iter().map(|need| need.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        if names.is_empty() { Ok(()) } else { writeln!(formatter, "  needs:   {}", text::line(&names.join(", "))) }
    }
}
