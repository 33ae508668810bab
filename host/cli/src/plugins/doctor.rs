//! `plugins doctor`: what is wrong with each file that might be a plugin, and what to do about it. More than `list`, it
//! looks at what only loading would show: the libraries that a plugin needs, and the lock file.

use std::fmt;
use std::path::PathBuf;

use mlflow_deploy::manifest::TARGET;
use mlflow_deploy::{Candidate, CandidateState, Dependency, Discovery, Host, LoadError, Lock, PLUGIN_ABI};
use mlflow_deploy_plugin_api::text;
use serde::Serialize;

use super::entry::PluginEntry;
use super::list::{ListedDirectory, ambiguous};
use crate::report::{CliError, Report};

#[derive(Serialize)]
struct Diagnosis<'a> {
    host: Version,
    /// What the user's configuration says that does nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    configuration: Vec<&'a str>,
    plugins: Vec<Finding<'a>>,
    directories: Vec<ListedDirectory<'a>>,
}

#[derive(Serialize)]
struct Version {
    version: &'static str,
    abi: u32,
    platform: &'static str,
}

/// What is known of one file.
#[derive(Serialize)]
struct Finding<'a> {
    /// Its state is `ready`, `shadowed`, `ambiguous`, `refused`, or `ignored`.
    #[serde(flatten)]
    about: PluginEntry<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    needs: Vec<Need>,
}

/// A library that a plugin needs.
#[derive(Serialize)]
struct Need {
    name: String,
    /// Where it is; `null` where it is missing.
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    needed_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lacks: Option<String>,
}

pub(super) fn run(host: &Host, report: &Report) -> Result<(), CliError> {
    let lock = host.lock()?;
    let discovery = host.discover();
    let examine = |candidate| Finding::new(candidate, &discovery, lock.as_ref());
    let diagnosis = Diagnosis {
        host: Version { version: env!("CARGO_PKG_VERSION"), abi: PLUGIN_ABI, platform: TARGET },
        configuration: discovery.config_warnings().collect(),
        plugins: discovery.candidates.iter().map(examine).collect(),
        directories: ListedDirectory::all(&discovery),
    };
    report.value(&diagnosis, || diagnosis.to_string())?;
    let is_bad = |finding: &&Finding<'_>| ["ambiguous", "refused"].contains(&finding.about.state);
    match (diagnosis.plugins.iter().filter(is_bad).count(), diagnosis.plugins.len()) {
        (0, _) => Ok(()),
        (bad, all) => Err(CliError::CheckFailed(format!("{bad} of {all} files cannot be used"))),
    }
}

impl<'a> Finding<'a> {
    fn new(candidate: &'a Candidate, discovery: &Discovery, lock: Option<&Lock>) -> Self {
        let (mut needs, mut refusal) = (Vec::new(), None);
        match &candidate.state {
            CandidateState::Ignored => {}
            CandidateState::Refused(why) => refusal = Some(why.clone()),
            CandidateState::Usable(_) => match candidate.dependencies() {
                Ok(found) => {
                    refusal = found.iter().find_map(Dependency::load_error);
                    needs = found.into_iter().map(Need::from).collect();
                }
                Err(why) => refusal = Some(why),
            },
        }
        let refusal = refusal.or_else(|| lock?.check(candidate).err());
        let (state, reason, fix) = verdict(candidate, discovery, refusal.as_ref());
        Self { about: PluginEntry::new(candidate, state, reason), fix, warnings: &candidate.warnings, needs }
    }
}

/// The state, the reason and the fix.
fn verdict(
    candidate: &Candidate,
    discovery: &Discovery,
    refusal: Option<&LoadError>,
) -> (&'static str, Option<String>, Option<String>) {
    let choose = || Some("remove one of them, or choose with `--plugin PATH`".to_owned());
    if let Some(refusal) = refusal {
        ("refused", Some(refusal.reason()), Some(refusal.fix()))
    } else if candidate.manifest().is_none() {
        ("ignored", Some("a library without a plugin's manifest, which is no fault".to_owned()), None)
    } else if let Some(rival) = discovery.rival(candidate) {
        ("ambiguous", Some(ambiguous(rival)), choose())
    } else if let Some(earlier) = discovery.shadowing(candidate) {
        let reason = format!("`{}` comes earlier and serves its schemes", earlier.path.display());
        ("shadowed", Some(reason), choose())
    } else {
        ("ready", None, None)
    }
}

impl From<Dependency> for Need {
    fn from(dependency: Dependency) -> Self {
        let Dependency { name, needed_by, found, lacks, .. } = dependency;
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        Self { name, file: found.map(text), needed_by: needed_by.map(text), lacks }
    }
}

impl fmt::Display for Diagnosis<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Version { version, abi, platform } = self.host;
        writeln!(formatter, "mlflow-deploy {version}, plugin ABI {abi}, {platform}")?;
        self.configuration.iter().try_for_each(|doubt| writeln!(formatter, "warning: {}", text::line(doubt)))?;
        self.plugins.iter().try_for_each(|finding| write!(formatter, "{finding}"))?;
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

impl fmt::Display for Finding<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PluginEntry { file, state, name, version, schemes, isolated_by, reason } = &self.about;
        writeln!(formatter, "{}", text::path(file))?;
        let plugin = match (name, version) {
            (Some(name), Some(version)) => format!(": {name} {version}, for {}", schemes.join(", ")),
            _ => String::new(),
        };
        writeln!(formatter, "  state:   {state}{}", text::line(&plugin))?;
        let runs_in = isolated_by.as_ref().map(|why| format!("a process of its own, for {why}"));
        for (title, said) in [("runs in:", &runs_in), ("reason:", reason), ("fix:", &self.fix)] {
            if let Some(said) = said {
                writeln!(formatter, "  {title:<8} {}", text::line(said))?;
            }
        }
        self.warnings.iter().try_for_each(|warning| writeln!(formatter, "  warning: {}", text::line(warning)))?;
        let mut names: Vec<_> = self.needs.iter().map(|need| need.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        if names.is_empty() { Ok(()) } else { writeln!(formatter, "  needs:   {}", text::line(&names.join(", "))) }
    }
}
