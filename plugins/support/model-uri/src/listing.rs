//! What is in a model's folder, as its server lists it: names that are checked one by one before any is used.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use mlflow_deploy_http::{Policy, send};
use mlflow_deploy_plugin_api::{Error, Result};
use serde::{Deserialize, Deserializer};

use crate::artifacts::Folder;
use crate::fetch::AT_ONCE;
use crate::name;
use crate::resolve::Session;

/// No model has more files, and no server makes us ask for more.
const MAX_FILES: usize = 100_000;
/// No listing of one folder is longer, in bytes: some are under way at once, and hold 1 GiB together at most.
const MAX_LEN: usize = (1 << 30) / AT_ONCE;
/// No model has folders in folders to this depth.
const MAX_DEPTH: usize = 64;

/// A model's folders and files, by their paths below its own folder.
#[derive(Debug, Default)]
pub(crate) struct Listing<'a> {
    pub(crate) folders: BTreeSet<Vec<String>>,
    pub(crate) files: BTreeMap<Vec<String>, File<'a>>,
}

/// A file on a server.
#[derive(Debug)]
pub(crate) struct File<'a> {
    pub(crate) folder: &'a Folder,
    /// Its length in bytes, where the server says it.
    pub(crate) size: Option<u64>,
}

impl<'a> Listing<'a> {
    /// Lists all that is in these folders and below them. A file of a later one takes the place of an earlier one's.
    ///
    /// # Errors
    /// Where a server does not list it, or lists something that is not a file or folder inside the folder.
    pub(crate) async fn of(session: &Session<'_>, folders: &'a [Folder]) -> Result<Self> {
        let mut all = Self::default();
        for folder in folders {
            let mut one = Self::default();
            let mut waiting = vec![Vec::new()];
            let mut asked = FuturesUnordered::new();
            loop {
                let more = waiting.len().min(AT_ONCE - asked.len());
                asked.extend(waiting.drain(..more).map(|path| list(session, folder, path)));
                let Some(listed) = asked.next().await else { break };
                let (path, entries) = listed?;
                for entry in entries {
                    // Some stores list a folder as its own first entry.
                    if entry.is_dir && entry.path == "." {
                        continue;
                    }
                    waiting.extend(one.add(folder, &path, entry)?);
                }
            }
            all.folders.append(&mut one.folders);
            all.files.append(&mut one.files);
        }
        Ok(all)
    }

    /// The names at the top, folders with a slash, as the part of a sentence.
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

    /// Takes an entry in; gives the path of a folder that has still to be listed.
    fn add(&mut self, folder: &'a Folder, path: &[String], entry: Entry) -> Result<Option<Vec<String>>> {
        let refused = |why: String| Error::internal(format!("the listing of `{folder}` is refused: {why}"));
        name::check(&entry.path).map_err(refused)?;
        let mut path = path.to_vec();
        path.push(entry.path);
        if self.folders.contains(&path) || self.files.contains_key(&path) {
            return Err(refused(format!("`{}` is in it twice", path.join("/"))));
        }
        if path.len() > MAX_DEPTH {
            return Err(refused(format!("there are more than {MAX_DEPTH} folders in each other")));
        }
        if self.folders.len() + self.files.len() >= MAX_FILES {
            return Err(refused(format!("there are more than {MAX_FILES} files")));
        }
        if entry.is_dir {
            self.folders.insert(path.clone());
            return Ok(Some(path));
        }
        self.files.insert(path, File { folder, size: entry.file_size });
        Ok(None)
    }
}

/// Lists one folder, by its path below the model's.
async fn list(session: &Session<'_>, folder: &Folder, path: Vec<String>) -> Result<(Vec<String>, Vec<Entry>)> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Answer {
        files: Vec<Entry>,
    }
    let request = folder.list(&path)?;
    let policy = Policy { max_response_bytes: MAX_LEN, ..session.policy.clone() };
    let answer = send(&session.tracking.http, &request, &policy).await.map_err(|error| folder.explain(error))?;
    let answer: Answer = answer.parse(&format!("a listing of `{folder}`"))?;
    Ok((path, answer.files))
}

/// What a server says of a file or folder. Its name is relative to the folder that was asked about.
#[derive(Deserialize)]
struct Entry {
    path: String,
    #[serde(default)]
    is_dir: bool,
    #[serde(default, deserialize_with = "size")]
    file_size: Option<u64>,
}

/// A number, or one in a string, which is how Protocol Buffers write large ones.
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
