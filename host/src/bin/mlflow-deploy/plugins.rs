//! The verbs about plugins themselves.

use std::borrow::Cow;
use std::path::Path;

use mlflow_deploy::{Candidate, CandidateState, DirectoryState, Discovery, Error, Host, TargetUri};
use serde::{Serialize, Serializer};

use crate::args::Plugins;
use crate::facts::facts;
use crate::report::{Failure, Report};

pub(crate) fn run(verb: &Plugins, host: &Host, report: &Report) -> Result<(), Failure> {
    match verb {
        Plugins::List => {
            let discovery = host.discover();
            discovery.warnings().for_each(|warning| report.talk().warning(warning));
            let listing = Listing::new(&discovery);
            report.value(&listing, || listing.to_string())
        }
        Plugins::Inspect { file } => {
            let discovery = Host::builder().search_path([""; 0]).trusted_plugin(file).build().discover();
            let candidate = &discovery.candidates[0];
            match &candidate.state {
                CandidateState::Usable(manifest) => report.value(manifest, || facts(manifest)),
                CandidateState::Refused(refusal) => {
                    Err(Failure::Target(Error::Load { path: file.clone(), refusal: refusal.clone() }))
                }
                CandidateState::Ignored => Err(Failure::NotAPlugin(file.clone())),
            }
        }
        Plugins::Which { target } => {
            let target = TargetUri::parse(target).map_err(Error::from)?;
            let discovery = host.discover();
            let choice = discovery.choose(&target)?;
            let which = Which {
                scheme: target.scheme(),
                file: &choice.winner.path,
                shadowed: choice.shadowed.iter().map(|candidate| candidate.path.to_string_lossy()).collect(),
            };
            report.value(&which, || which.to_string())
        }
    }
}

/// `plugins list`: the files, and the directories that they were found in.
#[derive(Serialize)]
pub(crate) struct Listing<'a> {
    plugins: Vec<Listed<'a>>,
    directories: Vec<ListedDirectory<'a>>,
}

#[derive(Serialize)]
struct Listed<'a> {
    #[serde(serialize_with = "lossy")]
    file: &'a Path,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    schemes: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize)]
struct ListedDirectory<'a> {
    #[serde(serialize_with = "lossy")]
    path: &'a Path,
    origin: String,
    state: String,
    #[serde(skip)]
    is_missing: bool,
}

impl<'a> Listing<'a> {
    pub(crate) fn new(discovery: &'a Discovery) -> Self {
        let usable_in = |at| {
            let in_here = discovery.candidates.iter().filter(|candidate| candidate.directory == Some(at));
            in_here.filter(|candidate| candidate.manifest().is_some()).count()
        };
        Self {
            plugins: discovery.candidates.iter().map(|candidate| Listed::new(candidate, discovery)).collect(),
            directories: (discovery.directories.iter().enumerate())
                .map(|(at, directory)| ListedDirectory {
                    path: &directory.path,
                    origin: directory.origin.to_string(),
                    state: directory.state.summary(usable_in(at)),
                    is_missing: matches!(directory.state, DirectoryState::Missing),
                })
                .collect(),
        }
    }

    fn with_state(&self, state: &str) -> impl Iterator<Item = &Listed<'a>> {
        self.plugins.iter().filter(move |listed| listed.state == state)
    }
}

impl<'a> Listed<'a> {
    fn new(candidate: &'a Candidate, discovery: &Discovery) -> Self {
        let (state, manifest, reason) = match &candidate.state {
            CandidateState::Ignored => ("ignored", None, Some("a library without a plugin's manifest".to_owned())),
            CandidateState::Refused(refusal) => ("refused", None, Some(refusal.to_string())),
            CandidateState::Usable(manifest) if discovery.is_shadowed(candidate) => {
                ("shadowed", Some(manifest), Some("an earlier plugin serves its schemes".to_owned()))
            }
            CandidateState::Usable(manifest) => ("usable", Some(manifest), None),
        };
        Self {
            file: &candidate.path,
            state,
            name: manifest.map(|manifest| manifest.name.as_str()),
            version: manifest.map(|manifest| manifest.version.as_str()),
            schemes: manifest.map_or(&[], |manifest| &manifest.schemes),
            reason,
        }
    }
}

impl std::fmt::Display for Listing<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for listed in self.with_state("usable") {
            let (name, version) = (listed.name.unwrap_or_default(), listed.version.unwrap_or_default());
            writeln!(formatter, "{name} {version}")?;
            writeln!(formatter, "  schemes: {}", listed.schemes.join(", "))?;
            writeln!(formatter, "  file:    {}", listed.file.display())?;
        }
        if self.with_state("usable").next().is_none() {
            writeln!(formatter, "no plugins found")?;
        }
        for (state, title) in [
            ("shadowed", "shadowed by an earlier plugin for the same schemes:"),
            ("refused", "refused:"),
            ("ignored", "ignored, for they are libraries without a plugin's manifest:"),
        ] {
            for (at, listed) in self.with_state(state).enumerate() {
                if at == 0 {
                    writeln!(formatter, "{title}")?;
                }
                match &listed.reason {
                    Some(reason) if state == "refused" => writeln!(formatter, "  {}: {reason}", listed.file.display())?,
                    _ => writeln!(formatter, "  {}", listed.file.display())?,
                }
            }
        }
        writeln!(formatter, "searched:")?;
        for directory in self.directories.iter().filter(|directory| !directory.is_missing) {
            writeln!(formatter, "  {} ({}): {}", directory.path.display(), directory.origin, directory.state)?;
        }
        let missing: Vec<_> = self.directories.iter().filter(|directory| directory.is_missing).collect();
        if !missing.is_empty() {
            writeln!(formatter, "do not exist:")?;
        }
        for directory in missing {
            writeln!(formatter, "  {} ({})", directory.path.display(), directory.origin)?;
        }
        Ok(())
    }
}

/// `plugins which`: the file that is used, and those that it hides.
#[derive(Serialize)]
struct Which<'a> {
    scheme: &'a str,
    #[serde(serialize_with = "lossy")]
    file: &'a Path,
    shadowed: Vec<Cow<'a, str>>,
}

impl std::fmt::Display for Which<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(formatter, "{}", self.file.display())?;
        self.shadowed.iter().try_for_each(|path| writeln!(formatter, "shadows {path}"))
    }
}

/// A path as text: JSON has no way to say one that is not.
fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}
