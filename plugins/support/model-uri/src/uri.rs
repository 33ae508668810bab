//! Parses model URIs. Accesses neither servers nor files.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use mlflow_deploy_http::redact_url;
use mlflow_deploy_object_store::StoreUrl;
use mlflow_deploy_plugin_api::{Error, Result};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::artifacts::ARTIFACTS;
use crate::name;

/// The supported forms of a model URI, as the end of an error message.
pub(crate) const EXPECTED: &str = "expected a path, `file://`, `runs:/<run_id>/<name>`, `models:/<name>/<version>`, \
                                   `models:/<name>@<alias>`, `models:/<model_id>`, `mlflow-artifacts:/`, `s3://`, `gs://`, \
                                   `az://`, `abfss://`, `wasbs://`, `dbfs:/`, or an `http(s)://` URL of artifacts that a tracking server \
                                   serves";

/// The URI of a model, in one of MLflow's forms. `Display` omits the user, the password and the query of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelUri {
    shown: String,
    pub(crate) kind: UriKind,
}

/// The parsed form of a model URI.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum UriKind {
    /// A folder on this machine.
    Folder(PathBuf),
    /// The id of a logged model, which MLflow 3 introduced.
    LoggedModel(String),
    /// An artifact on the server at `authority`, or else on the tracking server. `path` is a list of file names.
    Artifacts { authority: Option<String>, path: Vec<String> },
    /// An artifact on a server. `base` is the URL up to and including `/mlflow-artifacts/artifacts`, and `path` is the
    /// rest as a list of file names.
    ArtifactsUrl { base: Url, path: Vec<String> },
    /// A version of a registered model.
    Registered { name: String, version: VersionSelector },
    /// A folder in the file system of a Databricks workspace. The path is a list of file names.
    Dbfs(Vec<String>),
    /// A folder in an object store.
    Store(StoreUrl),
    /// An artifact of a run. `path` is a list of file names.
    Run { run_id: String, path: Vec<String> },
}

/// The part of a URI that selects a version of a registered model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum VersionSelector {
    /// The version to which this alias refers.
    Alias(String),
    /// The latest version of the registered model.
    Latest,
    /// The latest version in this stage, such as `Production`.
    Stage(String),
    /// The version with this number.
    Number(String),
}

impl ModelUri {
    /// Parses a model URI. Accesses neither the file system nor a server.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the form of the URI is not supported. The message lists the supported forms.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let Some((scheme, rest)) = split(text) else { return local(text) };
        let kind = match scheme.to_ascii_lowercase().as_str() {
            "file" => UriKind::Folder(file(text, rest)?),
            "http" | "https" => return artifacts_url(text),
            "mlflow-artifacts" => artifacts(text, rest)?,
            "models" => models(text, rest)?,
            "runs" => run(text, rest)?,
            "dbfs" => UriKind::Dbfs(path_names(text, rest, "expected `dbfs:/<path>`")?),
            store if StoreUrl::is_scheme(store) => {
                let url = StoreUrl::parse(text)?;
                return Ok(Self { shown: url.to_string(), kind: UriKind::Store(url) });
            }
            other => return Err(unsupported_scheme(text, other)),
        };
        Ok(Self { shown: redact_uri(text), kind })
    }

    /// Returns the local folder that a path or a `file:` URI names. The folder may be relative. Returns `None` for a
    /// URI that requires a lookup.
    pub fn folder(&self) -> Option<&Path> {
        match &self.kind {
            UriKind::Folder(path) => Some(path),
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

/// Omits the URL of the server, which may contain a password.
impl fmt::Debug for UriKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.fmt(formatter),
            Self::LoggedModel(id) => id.fmt(formatter),
            Self::Artifacts { path, .. } | Self::ArtifactsUrl { path, .. } => path.fmt(formatter),
            Self::Registered { name, version } => formatter.debug_tuple(name).field(version).finish(),
            Self::Dbfs(path) => path.fmt(formatter),
            Self::Store(url) => url.fmt(formatter),
            Self::Run { run_id, path } => formatter.debug_tuple(run_id).field(path).finish(),
        }
    }
}

/// Splits a URI into its scheme and the rest. Returns `None` if the text before the first colon is not a valid scheme.
fn split(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|each| each.is_ascii_alphanumeric() || matches!(each, '+' | '.' | '-'));
    is_scheme.then_some((scheme, rest))
}

/// Returns any URI without user, password and query, for messages and records. Paths, and URIs that MLflow looks up by
/// name, stay unchanged.
///
/// The URI may be invalid. A password with characters that are not allowed in a URL is removed too.
pub fn redact_uri(uri: &str) -> String {
    let Some((scheme, rest)) = split(uri) else { return uri.to_owned() };
    let is_looked_up =
        ["models", "runs", "mlflow-artifacts", "file"].iter().any(|each| scheme.eq_ignore_ascii_case(each));
    let path = rest.trim_start_matches('/');
    let slashes = &rest[..rest.len() - path.len()];
    if is_looked_up && slashes != "//" || path.is_empty() {
        return uri.to_owned();
    }
    // With three slashes, the URI has no host and no user.
    let end = if slashes.len() > 2 { 0 } else { path.find(['/', '?', '#']).unwrap_or(path.len()) };
    // Azure's URLs name a container in the place of a user.
    let has_container = StoreUrl::is_scheme(scheme) && !path[..end].split('@').next().unwrap_or_default().contains(':');
    if let (true, Ok(url)) = (has_container, StoreUrl::parse(uri)) {
        return url.to_string();
    }
    let host = path[..end].rsplit_once('@').map_or(&path[..end], |(_user, host)| host);
    let port = host.rsplit_once(']').map_or(host, |(_address, after)| after).split_once(':').map(|(_, port)| port);
    if port.is_some_and(|port| !port.bytes().all(|byte| byte.is_ascii_digit())) {
        // This may be a user and the start of a password.
        return format!("{scheme}:{slashes}…");
    }
    let after = path[end..].split(['?', '#']).next().unwrap_or_default();
    format!("{scheme}:{slashes}{host}{after}")
}

fn invalid(text: &str, reason: &str) -> Error {
    Error::invalid_parameter(format!("`{}` is not a model URI: {reason}", redact_uri(text)))
}

fn local(text: &str) -> Result<ModelUri> {
    if text.is_empty() {
        return Err(Error::invalid_parameter(format!("the model URI is empty: {EXPECTED}")));
    }
    if text.contains('\0') {
        return Err(Error::invalid_parameter("the model URI contains a NUL character, which is not allowed in a path"));
    }
    Ok(ModelUri { shown: text.to_owned(), kind: UriKind::Folder(PathBuf::from(text)) })
}

fn unsupported_scheme(text: &str, scheme: &str) -> Error {
    let advice = match scheme {
        "r2" | "b2" => {
            "the store has the protocol of S3: use `s3://`, and set `MLFLOW_S3_ENDPOINT_URL` to the URL of the store"
        }
        "hdfs" | "viewfs" | "ftp" | "sftp" => {
            "serve the model with a tracking server, or download it with `mlflow artifacts download` and use its path"
        }
        _ => "to use a path with a colon, write `./` before it",
    };
    invalid(text, &format!("unsupported scheme `{scheme}`; {advice}; {EXPECTED}"))
}

/// Returns the decoded path in a `file:` URI.
fn file(text: &str, rest: &str) -> Result<PathBuf> {
    let path = match rest.strip_prefix("//") {
        None => rest,
        Some(rest) => {
            let (host, _) = rest.split_once('/').unwrap_or((rest, ""));
            if !matches!(host, "" | "localhost" | "127.0.0.1" | ".") {
                let reason =
                    "two slashes are followed by a host, which must be this machine; write three slashes before a path";
                return Err(invalid(text, reason));
            }
            &rest[host.len()..]
        }
    };
    if path.contains(['?', '#']) {
        return Err(invalid(text, "in the path of a URL, write `%3F` for `?` and `%23` for `#`"));
    }
    let decoded = percent_decode_str(path).decode_utf8();
    match decoded.as_deref() {
        Ok("") => Err(invalid(text, "the path is missing")),
        Ok(path) if !path.contains('\0') => Ok(PathBuf::from(path)),
        _ => Err(invalid(text, "its path is not valid UTF-8 text")),
    }
}

fn run(text: &str, rest: &str) -> Result<UriKind> {
    let form = "expected `runs:/<run_id>/<name of the model>`";
    let mut parts = path_names(text, rest, form)?.into_iter();
    let run_id = parts.next().ok_or_else(|| invalid(text, form))?;
    Ok(UriKind::Run { run_id, path: parts.collect() })
}

fn models(text: &str, rest: &str) -> Result<UriKind> {
    let form = "expected `models:/<name>/<version>`, `models:/<name>/latest`, `models:/<name>@<alias>`, or \
                `models:/<model_id>` with an id such as `m-2f…`";
    let parts = path_names(text, rest, form)?;
    match parts.as_slice() {
        [name, version] => {
            let version = match version.as_str() {
                digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                    VersionSelector::Number(digits.to_owned())
                }
                latest if latest.eq_ignore_ascii_case("latest") => VersionSelector::Latest,
                stage => VersionSelector::Stage(stage.to_owned()),
            };
            Ok(UriKind::Registered { name: name.clone(), version })
        }
        [name] => match name.rsplit_once('@') {
            Some((name, alias)) if !name.is_empty() && !alias.is_empty() => {
                names(text, &format!("{name}/{alias}"))?;
                Ok(UriKind::Registered { name: name.to_owned(), version: VersionSelector::Alias(alias.to_owned()) })
            }
            None if name.starts_with("m-") => Ok(UriKind::LoggedModel(name.clone())),
            _ => Err(invalid(text, form)),
        },
        [] => Err(invalid(text, form)),
        _ => Err(invalid(
            text,
            &format!("unexpected path after the version, because models are fetched as a whole; {form}"),
        )),
    }
}

/// Splits the path after `runs:/` or `models:/` into file names.
fn path_names(text: &str, rest: &str, form: &str) -> Result<Vec<String>> {
    if rest.starts_with("//") && !rest.starts_with("///") {
        let reason = format!("Databricks profiles are not supported; {form}");
        return Err(invalid(text, &reason));
    }
    let path = rest.strip_prefix('/').ok_or_else(|| invalid(text, form))?;
    names(text, path)
}

/// Parses a URI of the form `mlflow-artifacts:/path` or `mlflow-artifacts://host:port/path`.
fn artifacts(text: &str, rest: &str) -> Result<UriKind> {
    let (authority, path) = match rest.strip_prefix("//") {
        None => (None, rest),
        Some(rest) => {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            (Some(authority).filter(|authority| !authority.is_empty()), path)
        }
    };
    if authority.is_some_and(|authority| authority.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(invalid(text, "it has a port without a host"));
    }
    if authority.is_some_and(|authority| authority.contains('@')) {
        let message = "a `mlflow-artifacts://` URI must not contain a user: set the options `username` and `password`";
        return Err(Error::invalid_parameter(message));
    }
    Ok(UriKind::Artifacts { authority: authority.map(str::to_owned), path: names(text, path)? })
}

fn artifacts_url(text: &str) -> Result<ModelUri> {
    // The error omits the text, which may contain a password.
    let url =
        Url::parse(text).map_err(|error| Error::invalid_parameter(format!("the model URI is not a URL: {error}")))?;
    let shown = redact_url(&url);
    let Some((before, path)) = url.path().split_once(ARTIFACTS) else {
        let reason = format!(
            "expected the URL of a tracking server's artifacts, such as \
             `http://localhost:5000/api/2.0{ARTIFACTS}/1/models/m-2f…/artifacts`"
        );
        return Err(invalid(&shown, &reason));
    };
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid(&shown, "it has a query or a fragment, but only a path is supported"));
    }
    let decoded = percent_decode_str(path)
        .decode_utf8()
        .map_err(|_broken| invalid(&shown, "its path is not valid UTF-8 text"))?;
    let path = names(&shown, &decoded)?;
    let mut base = url.clone();
    base.set_path(&format!("{before}{ARTIFACTS}"));
    Ok(ModelUri { shown, kind: UriKind::ArtifactsUrl { base, path } })
}

/// Splits a path into file names. Fails if a name is invalid. `text` is the whole URI for the error.
fn names(text: &str, path: &str) -> Result<Vec<String>> {
    let parts = path.split('/').filter(|part| !part.is_empty());
    parts.map(|part| name::check(part).map(|()| part.to_owned()).map_err(|reason| invalid(text, &reason))).collect()
}
