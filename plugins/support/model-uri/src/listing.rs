//! Lists the files of a model on servers, and checks every name before it is used.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use mlflow_deploy_http::{Policy, send};
use mlflow_deploy_plugin_api::{Error, Result};
use serde::{Deserialize, Deserializer};

use crate::artifacts::RemoteFolder;
use crate::name;
use crate::session::{MAX_CONCURRENT_REQUESTS, Session};

/// The maximum number of files and folders in a model.
const MAX_FILES: usize = 100_000;
/// The maximum size of the listing of one folder, in bytes. The limits of all concurrent listings add up to 1 GiB.
const MAX_LEN: usize = (1 << 30) / MAX_CONCURRENT_REQUESTS;
/// The maximum depth of nested folders in a model.
const MAX_DEPTH: usize = 64;

/// The folders and files of a model on servers, by their paths in the model.
#[derive(Debug, Default)]
pub(crate) struct Listing<'a> {
    pub(crate) folders: BTreeSet<Vec<String>>,
    pub(crate) files: BTreeMap<Vec<String>, RemoteFile<'a>>,
}

/// A file of a model on a server.
#[derive(Debug)]
pub(crate) struct RemoteFile<'a> {
    pub(crate) folder: &'a RemoteFolder,
    /// The length of the file in bytes, if the server reports it.
    pub(crate) size: Option<u64>,
}

impl<'a> Listing<'a> {
    /// Lists these folders recursively. If several folders contain a file with the same path, the file in the last
    /// folder counts.
    ///
    /// # Errors
    /// The server's error, or `INTERNAL_ERROR` if a listing contains an invalid name or exceeds a limit.
    pub(crate) async fn of(session: &Session<'_>, folders: &'a [RemoteFolder]) -> Result<Self> {
        let mut all = Self::default();
        for folder in folders {
            let mut one = Self::default();
            let mut queue = vec![Vec::new()];
            let mut requests = FuturesUnordered::new();
            loop {
                let more = queue.len().min(MAX_CONCURRENT_REQUESTS - requests.len());
                requests.extend(queue.drain(..more).map(|path| list(session, folder, path)));
                let Some(listed) = requests.next().await else { break };
                let (path, entries) = listed?;
                for entry in entries {
                    // Some stores list a folder as its own first entry.
                    if entry.is_dir && entry.path == "." {
                        continue;
                    }
                    queue.extend(one.add(folder, &path, entry)?);
                }
            }
            all.folders.append(&mut one.folders);
            all.files.append(&mut one.files);
        }
        Ok(all)
    }

    /// Returns the names of the files and folders at the top level of the model, for a message. The names of folders
    /// end in a slash.
    pub(crate) fn top(&self) -> String {
        const SHOWN: usize = 8;
        let folders = self.folders.iter().filter(|path| path.len() == 1).map(|path| format!("`{}/`", path[0]));
        let files = self.files.keys().filter(|path| path.len() == 1).map(|path| format!("`{}`", path[0]));
        let mut names: Vec<_> = folders.chain(files).take(SHOWN + 1).collect();
        if names.len() > SHOWN {
            names[SHOWN] = "…".to_owned();
        }
        names.join(", ")
    }

    /// Adds an entry in the listing of a folder. If the entry is itself a folder, returns its path, so that it is
    /// listed next.
    fn add(&mut self, folder: &'a RemoteFolder, path: &[String], entry: Entry) -> Result<Option<Vec<String>>> {
        let invalid = |reason: String| Error::internal(format!("invalid listing of `{folder}`: {reason}"));
        name::check(&entry.path).map_err(invalid)?;
        let mut path = path.to_vec();
        path.push(entry.path);
        if self.folders.contains(&path) || self.files.contains_key(&path) {
            return Err(invalid(format!("duplicate name `{}`", path.join("/"))));
        }
        if path.len() > MAX_DEPTH {
            return Err(invalid(format!("more than {MAX_DEPTH} nested folders")));
        }
        if self.folders.len() + self.files.len() >= MAX_FILES {
            return Err(invalid(format!("more than {MAX_FILES} files")));
        }
        if entry.is_dir {
            self.folders.insert(path.clone());
            return Ok(Some(path));
        }
        self.files.insert(path, RemoteFile { folder, size: entry.file_size });
        Ok(None)
    }
}

/// Requests the listing of one folder. `path` is the path of the folder in the model. Returns this path and the entries
/// of the folder.
async fn list(session: &Session<'_>, folder: &RemoteFolder, path: Vec<String>) -> Result<(Vec<String>, Vec<Entry>)> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Answer {
        files: Option<Vec<Entry>>,
    }
    let request = folder.list(&path)?;
    let policy = Policy { max_response_bytes: MAX_LEN, ..session.policy.clone() };
    let answer = send(session.http, &request, &policy).await.map_err(|error| folder.explain(error))?;
    let answer: Answer = answer.parse(&format!("a listing of `{folder}`"))?;
    Ok((path, answer.files.unwrap_or_default()))
}

/// A file or folder in the listing of a folder. The path is relative to the listed folder.
#[derive(Deserialize)]
struct Entry {
    path: String,
    #[serde(default)]
    is_dir: bool,
    #[serde(default, deserialize_with = "size")]
    file_size: Option<u64>,
}

/// Deserializes the size of a file: a number or, as in Protocol Buffers' JSON, a number in a string.
fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Size {
        Number(u64),
        Text(String),
    }
    match Option::<Size>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Size::Number(number)) => Ok(Some(number)),
        Some(Size::Text(text)) => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}
