//! The host's error: what went wrong before a plugin could be asked, or what the plugin answered.

use std::fmt::{self, Write as _};
use std::path::PathBuf;

use mlflow_deploy_plugin_api::text::{self, line};
use mlflow_deploy_plugin_api::{ErrorCode, TargetUri};

use crate::discovery::scan::{CandidateState, DirectoryState, Discovery};
use crate::{LoadError, Origin, nearest};

/// What goes wrong in a host.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Two plugins in one directory serve the scheme.
    #[error("two plugins in one directory serve `{scheme}`: `{}` and `{}`; remove one, or choose with `--plugin PATH`", first.display(), second.display())]
    Ambiguous {
        /// The scheme that was asked for.
        scheme: String,
        /// One of them.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// The user's configuration cannot be read.
    #[error("the configuration `{}` cannot be used: {why}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// Why, as a fragment.
        why: String,
    },
    /// A plugin was found for the target, and could not be loaded.
    #[error("failed to load the plugin `{}`: {refusal}", path.display())]
    Load {
        /// The plugin's file.
        path: PathBuf,
        /// Why.
        refusal: LoadError,
    },
    /// The lock file that plugins have to agree with is not there, or is none.
    #[error("the lock file `{}` cannot be used: {why}", path.display())]
    Lock {
        /// The file.
        path: PathBuf,
        /// Why, as a fragment.
        why: String,
    },
    /// The program serves targets of other schemes only.
    #[error("targets of the scheme `{scheme}` are not allowed here, only `{}`", allowed.join("`, `"))]
    NotAllowed {
        /// The scheme that was asked for.
        scheme: String,
        /// The schemes that are allowed.
        allowed: Vec<String>,
    },
    /// No plugin serves the target.
    #[error("{0}")]
    NoPlugin(Box<NoPlugin>),
    /// No target was given, and none is set.
    #[error("no deployments target has been set: give one, or set `MLFLOW_DEPLOYMENTS_TARGET`")]
    NoTarget,
    /// The target URI is none, or the plugin answered with an error.
    #[error(transparent)]
    Target(#[from] mlflow_deploy_plugin_api::Error),
}

impl Error {
    /// The machine-readable code.
    pub fn code(&self) -> &ErrorCode {
        match self {
            Self::Ambiguous { .. } | Self::Config { .. } | Self::Lock { .. } | Self::NoTarget => {
                &ErrorCode::INVALID_PARAMETER_VALUE
            }
            Self::Load { .. } => &ErrorCode::PLUGIN_LOAD_FAILED,
            Self::NotAllowed { .. } => &ErrorCode::PERMISSION_DENIED,
            Self::NoPlugin(_) => &ErrorCode::PLUGIN_NOT_FOUND,
            Self::Target(error) => error.code(),
        }
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Target(error) if error.is_retryable())
    }

    /// The status that the server answered, where one did.
    pub fn http_status(&self) -> Option<u16> {
        match self {
            Self::Target(error) => error.http_status(),
            _ => None,
        }
    }

    /// What a person may want to know beside the message: where was looked, what lies behind it.
    pub fn explanation(&self) -> String {
        match self {
            Self::NoPlugin(missing) => missing.explanation(),
            Self::Target(error) => error.causes().fold(String::new(), |mut causes, cause| {
                let _ = writeln!(causes, "{}", text::message(&format!("caused by: {cause}")));
                causes
            }),
            Self::Ambiguous { .. }
            | Self::Config { .. }
            | Self::Load { .. }
            | Self::Lock { .. }
            | Self::NoTarget
            | Self::NotAllowed { .. } => String::new(),
        }
    }
}

/// Why no plugin serves a target: what was asked for, and all that was found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NoPlugin {
    /// What was typed.
    pub target: TargetUri,
    /// What may have been meant: the known scheme that is most like it, or for `HOST:PORT` the URL.
    pub nearest: Option<String>,
    /// Where was looked, and what was there.
    pub discovery: Discovery,
}

impl NoPlugin {
    pub(crate) fn new(target: &TargetUri, discovery: &Discovery) -> Self {
        let schemes = discovery.schemes();
        let nearest = if is_address(target.as_str()) {
            schemes.contains(&"http").then(|| format!("http://{target}"))
        } else {
            nearest(target.scheme(), schemes).map(str::to_owned)
        };
        Self { target: target.clone(), nearest, discovery: discovery.clone() }
    }

    /// Every directory with its state, and every file that was refused with its reason.
    fn explanation(&self) -> String {
        let mut text = String::from("looked in, first to last:\n");
        for (directory, state) in self.discovery.summaries() {
            let found = format!("{} ({}): {state}", directory.path.display(), directory.origin);
            let _ = writeln!(text, "  {}", line(&found));
        }
        let refused: Vec<_> = self
            .discovery
            .candidates
            .iter()
            .filter_map(|candidate| match &candidate.state {
                CandidateState::Refused(refusal) => Some((&candidate.path, refusal)),
                CandidateState::Ignored | CandidateState::Usable(_) => None,
            })
            .collect();
        if !refused.is_empty() {
            text.push_str("refused:\n");
        }
        for (path, refusal) in refused {
            let _ = writeln!(text, "  {}", line(&format!("{}: {refusal}", path.display())));
        }
        if self.discovery.schemes().is_empty() {
            text.push_str("put a plugin into one of these directories, or name its directory with `--plugin-dir` or `MLFLOW_DEPLOY_PLUGIN_PATH`\n");
        }
        text
    }
}

/// Whether a target is a server's `HOST:PORT`, which lacks its scheme.
fn is_address(target: &str) -> bool {
    let authority = target.split(['/', '?', '#']).next().unwrap_or_default();
    let is_host =
        |host: &str| !host.is_empty() && host.chars().all(|each| each.is_alphanumeric() || "-.".contains(each));
    authority.rsplit_once(':').is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok())
}

impl fmt::Display for NoPlugin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "no plugin found for the target `{}`", self.target)?;
        if let Some(nearest) = &self.nearest {
            write!(formatter, "; did you mean `{nearest}`?")?;
        }
        match self.discovery.schemes().join("`, `") {
            known if known.is_empty() => write!(formatter, "; no scheme is known, for no plugin was found at all"),
            known => write!(formatter, "; known schemes: `{known}`"),
        }
    }
}

impl DirectoryState {
    /// One line for a person, given how many plugins in it can be used.
    pub(crate) fn summary(&self, usable: usize) -> String {
        match self {
            Self::Missing => "does not exist".to_owned(),
            Self::Read(0) => "no libraries".to_owned(),
            Self::Read(1) => format!("1 library, {usable} usable as a plugin"),
            Self::Read(files) => format!("{files} libraries, {usable} usable as plugins"),
            Self::Refused(refusal) => format!("not read: {refusal}"),
            Self::Relative => {
                "skipped: the path is relative, and plugins are not taken from the current folder".to_owned()
            }
            Self::Repeated(earlier) => format!("the same folder as `{}`", earlier.display()),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Given => "given",
            Self::Environment => "MLFLOW_DEPLOY_PLUGIN_PATH",
            Self::User => "user",
            Self::Executable => "beside the executable",
            Self::System => "system",
        })
    }
}
