//! Parses the URLs of folders in object stores. Accesses no server.

use std::fmt;

use mlflow_deploy_plugin_api::{Error, Result};
use object_store::path::Path;

/// The schemes of the supported object stores.
const SCHEMES: [&str; 8] = ["s3", "s3a", "gs", "az", "abfs", "abfss", "wasb", "wasbs"];
/// The domains of Azure's clouds. A host outside of them gets no request.
const AZURE_DOMAINS: [&str; 3] = ["core.windows.net", "core.usgovcloudapi.net", "core.chinacloudapi.cn"];

/// The URL of a folder in an object store, such as `s3://bucket/models/iris`. It contains no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreUrl {
    scheme: &'static str,
    pub(crate) place: Place,
    pub(crate) key: Path,
}

/// A bucket or container, and the service that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A container in Azure Blob Storage. `account` is the account and the domain of its cloud, if the URL names them.
    Azure { container: String, account: Option<Account> },
    /// A bucket in Google Cloud Storage.
    Gcs { bucket: String },
    /// A bucket in Amazon S3 or in a store with its protocol.
    S3 { bucket: String },
}

/// An account of Azure Blob Storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    /// The domain of the cloud, such as `core.windows.net`.
    pub(crate) domain: &'static str,
}

impl StoreUrl {
    /// Returns true if a scheme is that of an object store.
    pub fn is_scheme(scheme: &str) -> bool {
        SCHEMES.iter().any(|each| each.eq_ignore_ascii_case(scheme))
    }

    /// Parses a URL.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the scheme, the bucket or the path is invalid. The error contains no password.
    pub fn parse(text: &str) -> Result<Self> {
        let (given, rest) = text.split_once("://").unwrap_or((text.split(':').next().unwrap_or_default(), ""));
        let Some(scheme) = SCHEMES.into_iter().find(|each| each.eq_ignore_ascii_case(given)) else {
            let known = SCHEMES.join("`, `");
            return Err(Error::invalid_parameter(format!(
                "`{given}` is not the scheme of an object store: expected one of `{known}`"
            )));
        };
        let (authority, key) = rest.split_once('/').unwrap_or((rest, ""));
        let place = match scheme {
            "s3" | "s3a" => Place::S3 { bucket: bucket(scheme, authority)? },
            "gs" => Place::Gcs { bucket: bucket(scheme, authority)? },
            _ => azure(scheme, authority)?,
        };
        let url = Self { scheme, place, key: Path::default() };
        let invalid = |reason: &str| Error::invalid_parameter(format!("invalid path in a URL at `{url}`: {reason}"));
        if key.contains(['?', '#']) {
            return Err(invalid("it has a query or a fragment, but only a path is supported"));
        }
        let key = Path::parse(key).map_err(|_faulty| {
            invalid("expected names that are not empty, not `.` or `..`, and have no control characters")
        })?;
        Ok(Self { key, ..url })
    }

    /// Returns the URL of a file or folder below this folder.
    #[must_use]
    pub fn join(&self, below: &[String]) -> Self {
        let key = self.key.parts().map(|part| part.as_ref().to_owned()).chain(below.iter().cloned());
        Self { key: Path::from(key.collect::<Vec<_>>().join("/")), ..self.clone() }
    }

    /// Returns the path of the folder in its bucket or container, without a slash at its start and end.
    pub fn key(&self) -> &str {
        self.key.as_ref()
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, place, key } = self;
        match place {
            Place::Azure { container, account: Some(Account { name, domain }) } => {
                let service = if scheme.starts_with("wasb") { "blob" } else { "dfs" };
                write!(formatter, "{scheme}://{container}@{name}.{service}.{domain}")?;
            }
            Place::Azure { container: bucket, account: None } | Place::Gcs { bucket } | Place::S3 { bucket } => {
                write!(formatter, "{scheme}://{bucket}")?;
            }
        }
        if key.as_ref().is_empty() { Ok(()) } else { write!(formatter, "/{key}") }
    }
}

/// Checks the name of a bucket, which becomes a part of the host or the path of a URL.
fn bucket(scheme: &str, authority: &str) -> Result<String> {
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name.chars().all(|each| each.is_ascii_alphanumeric() || "-._".contains(each))
    };
    if is_name(authority) {
        return Ok(authority.to_owned());
    }
    // A user before `@` may be a key with its secret.
    let reason = match authority {
        "" => "the name of the bucket is missing",
        _ if authority.contains('@') => {
            "a user before `@` is not supported: set the environment variables of the store"
        }
        _ => "the name of the bucket has a character other than letters, digits, `-`, `.` and `_`",
    };
    Err(Error::invalid_parameter(format!("invalid `{scheme}://` URL: {reason}; expected `{scheme}://<bucket>/<path>`")))
}

/// Parses the authority of a URL in Azure Blob Storage.
fn azure(scheme: &str, authority: &str) -> Result<Place> {
    let form = "expected `<container>@<account>.blob.core.windows.net` or `<container>@<account>.dfs.core.windows.net`";
    let invalid = |reason: &str| Err(Error::invalid_parameter(format!("invalid `{scheme}://` URL: {reason}; {form}")));
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|each| each.is_ascii_alphanumeric() || each == '-');
    let Some((container, host)) = authority.split_once('@') else {
        // `$root` and `$web` are names of special containers.
        if is_name(authority.strip_prefix('$').unwrap_or(authority)) {
            return Ok(Place::Azure { container: authority.to_owned(), account: None });
        }
        return invalid("the name of the container is missing or invalid");
    };
    if !is_name(container.strip_prefix('$').unwrap_or(container)) {
        return invalid("the name of the container is missing or invalid");
    }
    let host = host.to_ascii_lowercase();
    let account = host.split_once('.').and_then(|(name, rest)| {
        let domain = rest.strip_prefix("blob.").or_else(|| rest.strip_prefix("dfs."))?;
        let domain = AZURE_DOMAINS.into_iter().find(|each| *each == domain)?;
        is_name(name).then(|| Account { name: name.to_owned(), domain })
    });
    match account {
        Some(account) => Ok(Place::Azure { container: container.to_owned(), account: Some(account) }),
        None => invalid("its host is not that of an account in Azure Blob Storage"),
    }
}
