//! Chooses the plugin for a scheme from what was found. Loads nothing.

use std::path::PathBuf;

use mlflow_deploy_plugin_api::TargetUri;
use mlflow_deploy_plugin_api::manifest::Manifest;

use crate::discovery::scan::{Candidate, CandidateState, Discovery};
use crate::{Error, NoPlugin};

/// The plugin for a scheme, and those that it hides.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Choice<'a> {
    /// The plugin that is used.
    pub winner: &'a Candidate,
    /// Plugins for the same scheme in later directories.
    pub shadowed: Vec<&'a Candidate>,
}

impl Discovery {
    /// The plugin that serves a target: the first directory wins.
    ///
    /// # Errors
    /// [`Error::NoPlugin`] where none serves the scheme; [`Error::Ambiguous`] where two in one directory do;
    /// [`Error::Load`] where a plugin that was named by its file cannot be used.
    pub fn choose(&self, target: &TargetUri) -> Result<Choice<'_>, Error> {
        // A file that was named is meant: to pass it over in silence would be to ask another target.
        for named in self.candidates.iter().filter(|candidate| candidate.directory.is_none()) {
            if let CandidateState::Refused(refusal) = &named.state {
                return Err(Error::Load { path: named.path.clone(), refusal: refusal.clone() });
            }
        }
        let mut serving = self.serving(target.scheme());
        let Some(winner) = serving.next() else {
            return Err(Error::NoPlugin(Box::new(NoPlugin::new(target, self))));
        };
        let (rivals, shadowed): (Vec<_>, Vec<_>) = serving.partition(|other| other.directory == winner.directory);
        let is_another = |other: &&Candidate| real(other) != real(winner);
        match rivals.into_iter().find(is_another) {
            Some(rival) if winner.directory.is_some() => Err(Error::Ambiguous {
                scheme: target.scheme().to_owned(),
                first: winner.path.clone(),
                second: rival.path.clone(),
            }),
            rival => Ok(Choice { winner, shadowed: rival.into_iter().chain(shadowed).collect() }),
        }
    }

    /// Whether another plugin is used for every scheme that this one serves.
    pub fn is_shadowed(&self, candidate: &Candidate) -> bool {
        self.shadowing(candidate).is_some()
    }

    /// Where other plugins are used for every scheme that this one serves, the first of them.
    pub fn shadowing(&self, candidate: &Candidate) -> Option<&Candidate> {
        // Another file in the same directory hides nothing: neither of the two is used.
        let is_earlier = |first: &&Candidate| {
            let is_rival = first.directory.is_some() && first.directory == candidate.directory;
            first.path != candidate.path && (!is_rival || real(first) == real(candidate))
        };
        let hides = |scheme: &String| self.serving(scheme).next().filter(is_earlier);
        let firsts: Option<Vec<_>> = candidate.manifest()?.schemes.iter().map(hides).collect();
        firsts?.into_iter().next()
    }

    /// Another plugin in the same directory that serves one of its schemes, so that neither is used for it.
    pub fn rival(&self, candidate: &Candidate) -> Option<&Candidate> {
        let directory = candidate.directory?;
        let of_scheme = |scheme: &String| {
            let is_first = self.serving(scheme).next()?.directory == Some(directory);
            let is_rival = |other: &&Candidate| other.directory == Some(directory) && real(other) != real(candidate);
            self.serving(scheme).find(is_rival).filter(|_| is_first)
        };
        candidate.manifest()?.schemes.iter().find_map(of_scheme)
    }

    /// The plugins that are used for some scheme, with their manifests.
    pub fn used(&self) -> impl Iterator<Item = (&Candidate, &Manifest)> {
        let is_used = |candidate: &&Candidate| !self.is_shadowed(candidate);
        self.candidates.iter().filter(is_used).filter_map(|candidate| Some((candidate, candidate.manifest()?)))
    }

    /// Every scheme that some plugin serves, in alphabetical order.
    pub fn schemes(&self) -> Vec<&str> {
        let manifests = self.candidates.iter().filter_map(Candidate::manifest);
        let mut schemes: Vec<_> = manifests.flat_map(|manifest| manifest.schemes.iter().map(String::as_str)).collect();
        schemes.sort_unstable();
        schemes.dedup();
        schemes
    }

    fn serving(&self, scheme: &str) -> impl Iterator<Item = &Candidate> {
        let serves = move |candidate: &&Candidate| {
            candidate.manifest().is_some_and(|manifest| manifest.schemes.iter().any(|served| served == scheme))
        };
        self.candidates.iter().filter(serves)
    }
}

/// The file itself: two names of one file are one plugin.
fn real(candidate: &Candidate) -> PathBuf {
    candidate.path.canonicalize().unwrap_or_else(|_gone| candidate.path.clone())
}
