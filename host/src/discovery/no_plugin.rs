//! The error for a target that no plugin serves.

use std::fmt::{self, Write as _};

use mlflow_deploy_plugin_api::text::line;
use mlflow_deploy_plugin_api::{TargetUri, nearest};

use crate::discovery::candidate::CandidateState;
use crate::discovery::scan::Discovery;

/// The content of [`Error::NoPlugin`](crate::Error::NoPlugin): the target that no plugin serves, and the search result.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NoPlugin {
    /// The requested target, which no plugin serves.
    pub target: TargetUri,
    /// The name of the named target whose URI `target` is; `None` if the caller specified the URI.
    pub name: Option<String>,
    /// The environment variable that holds the target; `None` if the caller specified it.
    pub variable: Option<&'static str>,
    /// The name of the plugin that the named target requires, and the names of the plugins that serve the scheme; `None`
    /// if the named target requires no plugin.
    pub plugin: Option<(String, Vec<String>)>,
    /// The names of all named targets.
    pub known_names: Vec<String>,
    /// The reason why the targets of a project file are not read; `None` if they are, or if the target is not a name.
    pub unread_file: Option<String>,
    /// A suggestion: the most similar known scheme, or the URL if the target is `HOST:PORT`.
    pub nearest: Option<String>,
    /// The searched directories and the files in them.
    pub discovery: Discovery,
}

impl NoPlugin {
    pub(crate) fn new(target: &TargetUri, plugin: Option<(String, Vec<String>)>, discovery: &Discovery) -> Self {
        let schemes = discovery.schemes();
        let nearest = if is_address(target.as_str()) {
            schemes.contains(&"http").then(|| format!("http://{target}"))
        } else {
            nearest(target.scheme(), schemes).map(str::to_owned)
        };
        let (target, discovery) = (target.clone(), discovery.clone());
        let (name, variable, known_names, unread_file) = (None, None, Vec::new(), None);
        Self { target, name, variable, nearest, plugin, known_names, unread_file, discovery }
    }

    /// Adds the names of the named targets. One of them may be the most similar word.
    pub(crate) fn with_names(self, names: Vec<String>) -> Self {
        let schemes = self.discovery.schemes();
        let known = schemes.into_iter().chain(names.iter().map(String::as_str));
        let similar = nearest(self.target.as_str(), known).map(str::to_owned);
        Self { nearest: similar.or(self.nearest), known_names: names, ..self }
    }

    /// Returns the search report. If no plugin is installed, also says how to install one.
    pub(crate) fn explanation(&self) -> String {
        let mut text = self.search_report();
        if self.discovery.schemes().is_empty() {
            text.push_str(
                "put a plugin into one of these directories, or specify its directory with `HostBuilder::plugin_dir` or \
                 `MLFLOW_DEPLOY_PLUGIN_PATH`\n",
            );
        }
        text
    }

    /// Returns the result of the search in several lines. They list every directory with its state, and every refused
    /// file with the reason.
    pub fn search_report(&self) -> String {
        let mut text = String::from("searched, in this order:\n");
        for (directory, state) in self.discovery.summaries() {
            let entry = format!("{} ({}): {state}", directory.path.display(), directory.origin);
            let _ = writeln!(text, "  {}", line(&entry));
        }
        let refused: Vec<_> = self
            .discovery
            .candidates
            .iter()
            .filter_map(|candidate| match &candidate.state {
                CandidateState::Refused(error) => Some((&candidate.path, error)),
                CandidateState::Ignored | CandidateState::Usable(_) => None,
            })
            .collect();
        if !refused.is_empty() {
            text.push_str("refused:\n");
        }
        for (path, error) in refused {
            let _ = writeln!(text, "  {}", line(&format!("{}: {error}", path.display())));
        }
        if let Some(unread) = &self.unread_file {
            let _ = writeln!(text, "{}", line(unread));
        }
        text
    }
}

impl fmt::Display for NoPlugin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = &self.target;
        match (&self.name, &self.plugin) {
            (Some(name), Some((plugin, others))) => {
                write!(formatter, "the plugin `{plugin}` of the target `{name}` is not found for `{target}`")?;
                return match others.join("`, `") {
                    none if none.is_empty() => write!(formatter, "; no plugin serves `{}`", target.scheme()),
                    others => write!(formatter, "; plugins for `{}`: `{others}`", target.scheme()),
                };
            }
            (Some(name), None) => write!(formatter, "no plugin found for `{target}` of the target `{name}`")?,
            (None, _) => write!(formatter, "no plugin found for the target `{target}`")?,
        }
        if let Some(variable) = self.variable {
            write!(formatter, " of `{variable}`")?;
        }
        if let Some(nearest) = &self.nearest {
            write!(formatter, "; did you mean `{nearest}`?")?;
        }
        match self.discovery.schemes().join("`, `") {
            known if known.is_empty() => write!(formatter, "; no plugins are installed")?,
            known => write!(formatter, "; known schemes: `{known}`")?,
        }
        if self.known_names.is_empty() {
            return Ok(());
        }
        write!(formatter, "; named targets: `{}`", self.known_names.join("`, `"))
    }
}

/// Returns true if a target is `HOST:PORT`, without a scheme.
fn is_address(target: &str) -> bool {
    let authority = target.split(['/', '?', '#']).next().unwrap_or_default();
    let is_host =
        |host: &str| !host.is_empty() && host.chars().all(|each| each.is_alphanumeric() || "-.".contains(each));
    authority.rsplit_once(':').is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok())
}
