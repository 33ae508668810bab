//! Chooses the plugin for a scheme from the plugins that the search found. Loads nothing.

use mlflow_deploy_plugin_api::TargetUri;
use mlflow_deploy_plugin_api::manifest::Manifest;

use crate::discovery::candidate::{Candidate, CandidateState};
use crate::discovery::no_plugin::NoPlugin;
use crate::discovery::scan::Discovery;
use crate::{Error, NamedTarget};

/// The plugin that [`Discovery::choose`] chose for a scheme, and the plugins that it shadows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Choice<'a> {
    /// The plugin to use for the scheme.
    pub winner: &'a Candidate,
    /// The plugins that serve the same scheme and are not used for it, because `winner` precedes them.
    pub shadowed: Vec<&'a Candidate>,
}

impl Discovery {
    /// Chooses the plugin that serves a target. The first plugin on the search path wins.
    ///
    /// # Errors
    /// [`Error::NoPlugin`] if no plugin serves the scheme; [`Error::Ambiguous`] if two plugins in one directory serve
    /// it; [`Error::Load`] if a plugin that the program specifies by its file cannot be used.
    pub fn choose(&self, target: &TargetUri) -> Result<Choice<'_>, Error> {
        self.choose_plugin(target, None)
    }

    /// Chooses the plugin that serves a target, as [`choose`](Self::choose) does. If `name` is given, only plugins with
    /// this name are chosen.
    ///
    /// # Errors
    /// The errors of [`choose`](Self::choose).
    pub fn choose_plugin(&self, target: &TargetUri, name: Option<&str>) -> Result<Choice<'_>, Error> {
        // If a specified file were ignored, the request could reach another server.
        for specified in self.candidates.iter().filter(|candidate| candidate.directory.is_none()) {
            if let CandidateState::Refused(refusal) = &specified.state {
                return Err(Error::Load { path: specified.path.clone(), refusal: refusal.clone() });
            }
        }
        let has_name = |candidate: &&Candidate| {
            name.is_none_or(|name| candidate.manifest().is_some_and(|manifest| manifest.name == name))
        };
        let mut serving = self.serving(target.scheme()).filter(has_name);
        let Some(winner) = serving.next() else {
            let others = self.serving(target.scheme()).filter_map(Candidate::manifest);
            let plugin = name.map(|name| (name.to_owned(), others.map(|manifest| manifest.name.clone()).collect()));
            return Err(Error::NoPlugin(Box::new(NoPlugin::new(target, plugin, self))));
        };
        let (rivals, shadowed): (Vec<_>, Vec<_>) = serving.partition(|other| other.directory == winner.directory);
        let is_another = |other: &&Candidate| !is_same_file(other, winner);
        match rivals.into_iter().find(is_another) {
            Some(rival) if winner.directory.is_some() => Err(Error::Ambiguous {
                scheme: target.scheme().to_owned(),
                first: winner.path.clone(),
                second: rival.path.clone(),
            }),
            rival => Ok(Choice { winner, shadowed: rival.into_iter().chain(shadowed).collect() }),
        }
    }

    /// Returns true if `candidate` is never used, because earlier plugins on the search path serve all of its schemes.
    pub fn is_shadowed(&self, candidate: &Candidate) -> bool {
        self.shadowing(candidate).is_some()
    }

    /// Returns an earlier plugin that is used instead of `candidate`; `None` if `candidate` is used for at least one of
    /// its schemes.
    pub fn shadowing(&self, candidate: &Candidate) -> Option<&Candidate> {
        // Another file in the same directory does not shadow this one: neither of the two is used.
        let is_earlier = |first: &&Candidate| {
            let is_rival = first.directory.is_some() && first.directory == candidate.directory;
            first.path != candidate.path && (!is_rival || is_same_file(first, candidate))
        };
        let shadows = |scheme: &String| self.serving(scheme).next().filter(is_earlier);
        let firsts: Option<Vec<_>> = candidate.manifest()?.schemes.iter().map(shadows).collect();
        firsts?.into_iter().next()
    }

    /// Returns another plugin in the same directory that serves a scheme of `candidate`. Neither of the two is used for
    /// that scheme.
    pub fn rival(&self, candidate: &Candidate) -> Option<&Candidate> {
        let directory = candidate.directory?;
        let of_scheme = |scheme: &String| {
            let is_first = self.serving(scheme).next()?.directory == Some(directory);
            let is_rival = |other: &&Candidate| other.directory == Some(directory) && !is_same_file(other, candidate);
            self.serving(scheme).find(is_rival).filter(|_| is_first)
        };
        candidate.manifest()?.schemes.iter().find_map(of_scheme)
    }

    /// Returns the plugins that are used for at least one scheme, each with its manifest.
    pub fn used(&self) -> impl Iterator<Item = (&Candidate, &Manifest)> {
        let is_used = |candidate: &&Candidate| !self.is_shadowed(candidate);
        self.candidates.iter().filter(is_used).filter_map(|candidate| Some((candidate, candidate.manifest()?)))
    }

    /// Returns a warning if a plugin serves the name of a named target as a scheme.
    pub fn scheme_warning(&self, target: &NamedTarget) -> Option<String> {
        let NamedTarget { name, file, .. } = target;
        let plugin = self.serving(&name.to_lowercase()).next()?;
        let (file, plugin) = (file.display(), plugin.path.display());
        Some(format!(
            "the target `{name}` of `{file}` is used, and not the scheme `{name}` of the plugin `{plugin}`: rename the target"
        ))
    }

    /// Returns the usable plugins that serve a scheme, in the order of the search path.
    fn serving(&self, scheme: &str) -> impl Iterator<Item = &Candidate> {
        let serves = move |candidate: &&Candidate| {
            candidate.manifest().is_some_and(|manifest| manifest.schemes.iter().any(|served| served == scheme))
        };
        self.candidates.iter().filter(serves)
    }
}

/// Returns true if two candidates are one file, which two paths lead to.
fn is_same_file(one: &Candidate, other: &Candidate) -> bool {
    let file_id = |candidate: &Candidate| Some(candidate.identity?.file_id());
    file_id(one).is_some() && file_id(one) == file_id(other)
}
