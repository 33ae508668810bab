//! Lists the files of a model on servers, and checks every name before it is used.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use mlflow_deploy_http::{Policy, send};
use mlflow_deploy_object_store::{Store, StoredObject};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result};
use serde::{Deserialize, Deserializer};

use crate::artifacts::RemoteFolder;
use crate::folder::Folder;
use crate::limits::ModelLimits;
use crate::name;
use crate::session::{MAX_CONCURRENT_REQUESTS, Session};

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

/// A file of a model on a server or in an object store.
#[derive(Debug)]
pub(crate) struct RemoteFile<'a> {
    pub(crate) source: FileSource<'a>,
    /// The length of the file in bytes, if the server reports it.
    pub(crate) size: Option<u64>,
}

/// The place from which a file is downloaded.
#[derive(Debug)]
pub(crate) enum FileSource<'a> {
    Server(&'a RemoteFolder),
    Store(&'a Store, StoredObject),
}

impl<'a> Listing<'a> {
    /// Lists these folders recursively. If several folders contain a file with the same path, the file in the last
    /// folder counts.
    ///
    /// # Errors
    /// The server's error, or `INTERNAL_ERROR` if a listing contains an invalid name or exceeds a limit.
    pub(crate) async fn of(session: &Session<'_>, folders: &'a [Folder]) -> Result<Self> {
        let mut all = Self::default();
        for folder in folders {
            let mut one = match folder {
                Folder::Server(folder) => Self::of_server(session, folder).await?,
                Folder::Store(store) => Self::of_store(session, store).await?,
            };
            all.folders.append(&mut one.folders);
            all.files.append(&mut one.files);
        }
        let (bytes, limit) = (all.bytes(), session.limits.bytes);
        if bytes > limit {
            let message = format!("the model has {bytes} bytes, but `max_model_bytes` allows {limit}");
            return Err(Error::new(ErrorCode::RESOURCE_EXHAUSTED, message));
        }
        Ok(all)
    }

    async fn of_server(session: &Session<'_>, folder: &'a RemoteFolder) -> Result<Self> {
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
                let file = RemoteFile { source: FileSource::Server(folder), size: entry.file_size };
                let name = folder.name_of(&path, entry.path);
                let (path, is_dir) = (child(&path, name), entry.is_dir);
                let invalid = |reason| invalid(folder, reason);
                one.check(&path, session.limits).map_err(invalid)?;
                if is_dir {
                    one.folders.insert(path.clone());
                    queue.push(path);
                } else {
                    one.files.insert(path, file);
                }
            }
        }
        Ok(one)
    }

    async fn of_store(session: &Session<'_>, store: &'a Store) -> Result<Self> {
        let mut one = Self::default();
        for object in store.list(session.limits.files).await? {
            let path = object.path.clone();
            let invalid = |reason| invalid(store.url(), reason);
            // An object store has no folders, so a folder is a common part of paths.
            for end in 1..path.len() {
                if !one.folders.contains(&path[..end]) {
                    // An empty file with the name of a folder marks the folder.
                    if one.files.get(&path[..end]).is_some_and(|file| file.size == Some(0)) {
                        one.files.remove(&path[..end]);
                    }
                    one.check(&path[..end], session.limits).map_err(invalid)?;
                    one.folders.insert(path[..end].to_vec());
                }
            }
            if object.size == 0 && one.folders.contains(&path) {
                continue;
            }
            one.check(&path, session.limits).map_err(invalid)?;
            let size = Some(object.size);
            one.files.insert(path, RemoteFile { source: FileSource::Store(store, object), size });
        }
        Ok(one)
    }

    /// Returns the size of all files together, as far as the server reports it.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.values().filter_map(|file| file.size).fold(0, u64::saturating_add)
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

    /// Checks the path of a new file or folder. Fails with the reason if it is invalid or exceeds a limit.
    fn check(&self, path: &[String], limits: ModelLimits) -> Result<(), String> {
        name::check(path.last().map_or("", String::as_str))?;
        if self.folders.contains(path) || self.files.contains_key(path) {
            return Err(format!("duplicate name `{}`", path.join("/")));
        }
        if path.len() > MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} nested folders"));
        }
        if self.folders.len() + self.files.len() >= limits.files {
            return Err(format!("more than {} files, which `max_model_files` allows", limits.files));
        }
        Ok(())
    }
}

fn child(folder: &[String], name: String) -> Vec<String> {
    let mut path = folder.to_vec();
    path.push(name);
    path
}

fn invalid(folder: &impl fmt::Display, reason: String) -> Error {
    Error::internal(format!("invalid listing of `{folder}`: {reason}"))
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
