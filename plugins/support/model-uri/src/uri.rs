//! Model URIs as they are written, before anybody is asked what they name.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use mlflow_deploy_http::redact_url;
use mlflow_deploy_plugin_api::{Error, Result};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::name;

/// The kinds of URIs that work, as the end of a sentence.
pub(crate) const WORKING: &str = "a model URI is a path, `file://`, `runs:/<run_id>/<name>`, `models:/<name>/<version>`, \
                                  `models:/<name>@<alias>`, `models:/<model_id>`, `mlflow-artifacts:/` or the `http(s)://` \
                                  URL of artifacts that a tracking server hands out";

/// What a URL has in it where it leads to artifacts that a server hands out.
const HANDED_OUT: &str = "/mlflow-artifacts/artifacts";

/// A model's URI, in one of MLflow's forms. It prints as it was written, without the password of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelUri {
    shown: String,
    pub(crate) place: Place,
}

/// What a URI names.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A model that MLflow 3 has logged, by its id.
    LoggedModel(String),
    /// An artifact of the tracking server's, or of another server in its place; the path's parts are names.
    Artifacts { authority: Option<String>, path: Vec<String> },
    /// An artifact of a server: its URL up to and with `/mlflow-artifacts/artifacts`, and what follows, as names.
    HandedOut { base: Url, path: Vec<String> },
    /// A version of a registered model.
    Registered { name: String, which: Which },
    /// What a run has logged; the path's parts are names.
    Run { run_id: String, path: Vec<String> },
}

/// The version of a registered model that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The one that an alias points to.
    Alias(String),
    /// The last one.
    Latest,
    /// The last one of a stage, such as `Production`.
    Stage(String),
    /// This one.
    Version(String),
}

impl ModelUri {
    /// Reads a URI. Nothing is looked up: neither the file system nor a server is asked.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where it has none of the forms that work; the message names them.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let Some((scheme, rest)) = split(text) else { return local(text) };
        let place = match scheme.to_ascii_lowercase().as_str() {
            "file" => Place::Folder(file(text, rest)?),
            "http" | "https" => return handed_out(text),
            "mlflow-artifacts" => artifacts(text, rest)?,
            "models" => models(text, rest)?,
            "runs" => run(text, rest)?,
            other => return Err(unknown(text, other)),
        };
        Ok(Self { shown: shown(text), place })
    }

    /// The folder of this machine that it names: a path, as it is relative or not, or a `file:` URI. `None` where it
    /// takes somebody to be asked.
    pub fn folder(&self) -> Option<&Path> {
        match &self.place {
            Place::Folder(path) => Some(path),
            _ => None,
        }
    }
}

impl FromStr for ModelUri {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl fmt::Display for ModelUri {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.shown)
    }
}

/// Shows a URL without its password.
impl fmt::Debug for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.fmt(formatter),
            Self::LoggedModel(id) => id.fmt(formatter),
            Self::Artifacts { path, .. } | Self::HandedOut { path, .. } => path.fmt(formatter),
            Self::Registered { name, which } => formatter.debug_tuple(name).field(which).finish(),
            Self::Run { run_id, path } => formatter.debug_tuple(run_id).field(path).finish(),
        }
    }
}

/// Scheme and rest, where there is a scheme: the letters before the first colon, as long as they look like one.
fn split(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|each| each.is_ascii_alphanumeric() || matches!(each, '+' | '.' | '-'));
    is_scheme.then_some((scheme, rest))
}

/// A URI of any kind, a model's or not, as it may be printed and kept: without user, password and query. A path, and what
/// MLflow looks up by name, stays as it is.
///
/// It need not be right: a password with characters that a URL cannot have is not shown either.
pub fn shown(uri: &str) -> String {
    let Some((scheme, rest)) = split(uri) else { return uri.to_owned() };
    let is_looked_up =
        ["models", "runs", "mlflow-artifacts", "file"].iter().any(|each| scheme.eq_ignore_ascii_case(each));
    let path = rest.trim_start_matches('/');
    let slashes = &rest[..rest.len() - path.len()];
    if is_looked_up && slashes != "//" || path.is_empty() {
        return uri.to_owned();
    }
    // With three slashes there is no host, and so no user.
    let end = if slashes.len() > 2 { 0 } else { path.find(['/', '?', '#']).unwrap_or(path.len()) };
    let host = path[..end].rsplit_once('@').map_or(&path[..end], |(_user, host)| host);
    let port = host.rsplit_once(']').map_or(host, |(_address, after)| after).split_once(':').map(|(_, port)| port);
    if port.is_some_and(|port| !port.bytes().all(|byte| byte.is_ascii_digit())) {
        // A user and the beginning of a password look like this.
        return format!("{scheme}:{slashes}…");
    }
    let after = path[end..].split(['?', '#']).next().unwrap_or_default();
    format!("{scheme}:{slashes}{host}{after}")
}

fn wrong(text: &str, why: &str) -> Error {
    Error::invalid_parameter(format!("`{}` is not a model URI: {why}", shown(text)))
}

fn local(text: &str) -> Result<ModelUri> {
    if text.is_empty() {
        return Err(Error::invalid_parameter(format!("the model URI is empty: {WORKING}")));
    }
    if text.contains('\0') {
        return Err(Error::invalid_parameter("the model URI has a NUL character in it, which no path can have"));
    }
    Ok(ModelUri { shown: text.to_owned(), place: Place::Folder(PathBuf::from(text)) })
}

fn unknown(text: &str, scheme: &str) -> Error {
    let advice = match scheme {
        "s3" | "r2" | "b2" | "gs" | "wasb" | "wasbs" | "abfs" | "abfss" | "dbfs" | "hdfs" | "viewfs" | "ftp"
        | "sftp" => {
            "it is not fetched from there: have a tracking server hand it out, or fetch it first, with `mlflow artifacts \
             download`, and give its path"
        }
        _ => "where it is a path with a colon, write `./` before it",
    };
    wrong(text, &format!("the scheme `{scheme}` does not work; {advice}; {WORKING}"))
}

/// A path of this machine: what follows `file:`, without percent-encoding.
fn file(text: &str, rest: &str) -> Result<PathBuf> {
    let path = match rest.strip_prefix("//") {
        None => rest,
        Some(rest) => {
            let (host, _) = rest.split_once('/').unwrap_or((rest, ""));
            if !matches!(host, "" | "localhost" | "127.0.0.1" | ".") {
                let why = "what follows two slashes would be another machine; a path has three before it";
                return Err(wrong(text, why));
            }
            &rest[host.len()..]
        }
    };
    if path.contains(['?', '#']) {
        return Err(wrong(text, "a path in a URL has `%3F` in place of `?`, and `%23` in place of `#`"));
    }
    let decoded = percent_decode_str(path).decode_utf8();
    match decoded.as_deref() {
        Ok("") => Err(wrong(text, "the path is missing")),
        Ok(path) if !path.contains('\0') => Ok(PathBuf::from(path)),
        _ => Err(wrong(text, "its path is no text")),
    }
}

fn run(text: &str, rest: &str) -> Result<Place> {
    let form = "expected `runs:/<run_id>/<name of the model>`";
    let mut parts = path_of(text, rest, form)?.into_iter();
    let run_id = parts.next().ok_or_else(|| wrong(text, form))?;
    Ok(Place::Run { run_id, path: parts.collect() })
}

fn models(text: &str, rest: &str) -> Result<Place> {
    let form = "expected `models:/<name>/<version>`, `models:/<name>/latest`, `models:/<name>@<alias>`, or \
                `models:/<model_id>` with an id such as `m-2f…`";
    let parts = path_of(text, rest, form)?;
    match parts.as_slice() {
        [name, version] => {
            let which = match version.as_str() {
                digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => Which::Version(digits.to_owned()),
                latest if latest.eq_ignore_ascii_case("latest") => Which::Latest,
                stage => Which::Stage(stage.to_owned()),
            };
            Ok(Place::Registered { name: name.clone(), which })
        }
        [one] => match one.rsplit_once('@') {
            Some((name, alias)) if !name.is_empty() && !alias.is_empty() => {
                names(text, &format!("{name}/{alias}"))?;
                Ok(Place::Registered { name: name.to_owned(), which: Which::Alias(alias.to_owned()) })
            }
            None if one.starts_with("m-") => Ok(Place::LoggedModel(one.clone())),
            _ => Err(wrong(text, form)),
        },
        [] => Err(wrong(text, form)),
        _ => Err(wrong(text, &format!("nothing follows the version, as a model is fetched whole; {form}"))),
    }
}

/// The path's parts after `runs:/` and `models:/`.
fn path_of(text: &str, rest: &str, form: &str) -> Result<Vec<String>> {
    if rest.starts_with("//") && !rest.starts_with("///") {
        let why = format!(
            "models are fetched from a tracking server, and what follows two slashes is a profile of Databricks; {form}"
        );
        return Err(wrong(text, &why));
    }
    let path = rest.strip_prefix('/').ok_or_else(|| wrong(text, form))?;
    names(text, path)
}

/// `mlflow-artifacts:/path` or `mlflow-artifacts://host:port/path`.
fn artifacts(text: &str, rest: &str) -> Result<Place> {
    let (authority, path) = match rest.strip_prefix("//") {
        None => (None, rest),
        Some(rest) => {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            (Some(authority).filter(|authority| !authority.is_empty()), path)
        }
    };
    if authority.is_some_and(|authority| authority.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(wrong(text, "there is a port, and no host before it"));
    }
    if authority.is_some_and(|authority| authority.contains('@')) {
        let message = "a `mlflow-artifacts://` URI has no user: give `username` and `password` as options";
        return Err(Error::invalid_parameter(message));
    }
    Ok(Place::Artifacts { authority: authority.map(str::to_owned), path: names(text, path)? })
}

fn handed_out(text: &str) -> Result<ModelUri> {
    // The text is not repeated: it may hold a password.
    let url =
        Url::parse(text).map_err(|error| Error::invalid_parameter(format!("the model URI is not a URL: {error}")))?;
    let shown = redact_url(&url);
    let Some((before, path)) = url.path().split_once(HANDED_OUT) else {
        let why = format!(
            "its path leads to no artifacts that a tracking server hands out, as \
             `http://localhost:5000/api/2.0{HANDED_OUT}/1/models/m-2f…/artifacts` would"
        );
        return Err(wrong(&shown, &why));
    };
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong(&shown, "it has a query or a fragment, where the path is all that counts"));
    }
    let decoded = percent_decode_str(path).decode_utf8().map_err(|_broken| wrong(&shown, "its path is no text"))?;
    let path = names(&shown, &decoded)?;
    let mut base = url.clone();
    base.set_path(&format!("{before}{HANDED_OUT}"));
    Ok(ModelUri { shown, place: Place::HandedOut { base, path } })
}

/// The parts of a path, each of them a name.
fn names(text: &str, path: &str) -> Result<Vec<String>> {
    let parts = path.split('/').filter(|part| !part.is_empty());
    parts.map(|part| name::check(part).map(|()| part.to_owned()).map_err(|why| wrong(text, &why))).collect()
}
