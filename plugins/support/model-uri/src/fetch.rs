//! Downloads a model to this machine, either completely or not at all.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{StreamExt, TryStreamExt, stream};
use mlflow_deploy_http::Download;
use mlflow_deploy_plugin_api::call::{self, Level};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, blocking};
use tokio::sync::Semaphore;

use crate::artifacts::RemoteFolder;
use crate::folder::Folder;
use crate::listing::{FileSource, Listing};
use crate::presigned;
use crate::progress::Progress;
use crate::ranges;
use crate::resolve::{Location, Resolver};
use crate::session::{MAX_CONCURRENT_REQUESTS, Session};
use crate::staging::StagingDir;
use crate::uri::UriKind;
use crate::{ModelUri, Tracking};

/// The name of the file that identifies a folder as a model.
const MLMODEL: &str = "MLmodel";

/// A model that was fetched to this machine, or was already on it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetched {
    /// The absolute path of the model's folder: the destination of the download, or the folder of a local model.
    pub path: PathBuf,
    /// True if the model was downloaded. A model that was already on this machine is not copied.
    pub is_downloaded: bool,
    /// The version of a registered model to which an alias or `latest` was resolved; `None` for other models.
    pub version: Option<String>,
}

/// Resolves a model URI, and downloads the model into the folder `destination` unless the model is already on this
/// machine.
///
/// The destination must be a new path or an empty folder. Files are downloaded concurrently into a hidden folder next
/// to the destination. At the end, this folder is synced to disk and renamed to the destination. If the download fails,
/// or the future is dropped, all downloaded files are removed. Progress is reported as events of the call.
///
/// Requires a tokio runtime, such as the plugins' runtime.
///
/// # Errors
/// - `RESOURCE_DOES_NOT_EXIST` if the run, model, version, alias, or artifact does not exist, or contains no model.
/// - `RESOURCE_ALREADY_EXISTS` if the destination is a file or a folder that is not empty.
/// - `INVALID_PARAMETER_VALUE` if no tracking server is configured, or the model's storage is not supported.
/// - `RESOURCE_EXHAUSTED` if the disk has too little space.
/// - The server's error, or the failure to reach the server.
pub async fn fetch(uri: &ModelUri, tracking: &Tracking, destination: &Path) -> Result<Fetched> {
    let session = Session {
        http: &tracking.http,
        storage: &tracking.storage,
        policy: tracking.policy.started(),
        limits: tracking.limits,
        places: Semaphore::new(MAX_CONCURRENT_REQUESTS),
    };
    let resolved = Resolver::new(tracking, &session).resolve(uri).await?;
    let path = match resolved.location {
        Location::Local(path) => {
            let path = check_local(uri, &path)?;
            if uri.folder().is_none() && tracking.uses_server() {
                // Any user who may register a model may have chosen the folder.
                let message =
                    format!("the server says that `{uri}` is in the folder `{}` on this machine", path.display());
                call::log(Level::Warn, message);
            }
            return Ok(Fetched { path, is_downloaded: false, version: resolved.version });
        }
        Location::Remote(folders) => download_model(uri, &session, &folders, destination).await?,
    };
    Ok(Fetched { path, is_downloaded: true, version: resolved.version })
}

/// Checks that a local folder contains a model. Returns the absolute path of the folder.
fn check_local(uri: &ModelUri, path: &Path) -> Result<PathBuf> {
    let shown = path.display();
    let missing =
        |reason: String| Err(Error::new(ErrorCode::RESOURCE_DOES_NOT_EXIST, format!("no model at `{uri}`: {reason}")));
    match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => missing(missing_folder(uri, path)),
        Err(error) => missing(format!("failed to access `{shown}`: {error}")),
        Ok(metadata) if !metadata.is_dir() => missing(format!("`{shown}` is a file, but a folder was expected")),
        Ok(_) if !path.join(MLMODEL).is_file() => missing(format!("`{shown}` contains no file `{MLMODEL}`")),
        Ok(_) => std::path::absolute(path)
            .map_err(|error| Error::internal(format!("failed to resolve `{shown}`: {error}")).with_cause(&error)),
    }
}

/// Describes the missing folder of a model for the error message.
fn missing_folder(uri: &ModelUri, path: &Path) -> String {
    let shown = path.display();
    match (&uri.kind, path.to_str()) {
        (UriKind::Folder(_), Some(id)) if id.starts_with("m-") && !id.contains('/') => {
            format!("folder `{shown}` not found; did you mean `models:/{id}`?")
        }
        (UriKind::Folder(_), _) => format!("folder `{shown}` not found"),
        _ => format!(
            "the server says that it is in `{shown}`, which does not exist on this machine; start the tracking server with \
             `--serve-artifacts`, so that it serves its artifacts"
        ),
    }
}

/// Downloads a model from servers into the folder `destination`. Returns the absolute path of the folder.
async fn download_model(
    uri: &ModelUri,
    session: &Session<'_>,
    folders: &[Folder],
    destination: &Path,
) -> Result<PathBuf> {
    // The folder is prepared first, so that an unusable destination causes no request.
    let mut staging = StagingDir::prepare(destination)?;
    let listing = Listing::of(session, folders).await?;
    if !listing.files.contains_key([MLMODEL.to_owned()].as_slice()) {
        return Err(no_model(uri, folders, &listing));
    }
    for folder in &listing.folders {
        staging.create(folder)?;
    }
    let total = listing.bytes();
    staging.check_space(total)?;
    let signing = &presigned::signing_servers(session, folders).await;
    let progress = Progress::start(uri, listing.files.len(), total);
    let files = stream::iter(&listing.files).map(Ok::<_, Error>);
    let target_folder = &staging;
    let progress = &progress;
    files
        .try_for_each_concurrent(MAX_CONCURRENT_REQUESTS, |(path, file)| async move {
            let target = &target_folder.path(path);
            match &file.source {
                FileSource::Server(folder) => {
                    let is_presigned = signing.contains(&folder.base);
                    let file = ServerFile { folder, path, size: file.size, is_presigned };
                    file.download(session, target, progress.of_file()).await
                }
                FileSource::Store(store, object) => {
                    ranges::download(session, store, object, target, &progress.of_file()).await
                }
            }
        })
        .await?;
    let path = staging.destination().to_owned();
    blocking(move || staging.finish()).await?;
    progress.finish();
    Ok(path)
}

/// A file on a server of artifacts.
struct ServerFile<'a> {
    folder: &'a RemoteFolder,
    path: &'a [String],
    size: Option<u64>,
    is_presigned: bool,
}

impl ServerFile<'_> {
    /// Downloads the file from the server, or from the storage for which the server signs URLs.
    async fn download(&self, session: &Session<'_>, target: &Path, report: impl Fn(u64) + Sync) -> Result<()> {
        let Self { folder, path, .. } = *self;
        let received = AtomicU64::new(0);
        let note = |bytes: u64| {
            received.fetch_max(bytes, Ordering::Relaxed);
            report(bytes);
        };
        let target = Download::create(target, self.size, &note)?;
        let by_server = match self.is_presigned {
            true => None,
            false => match target.receive(session.http, &folder.file(path)?, &session.policy).await {
                Err(error) if presigned::is_demanded(&error) => None,
                result => Some(result.map_err(|error| folder.explain(error))),
            },
        };
        match by_server {
            Some(result) => result?,
            None => presigned::receive(session, folder, path, &target, &received).await?,
        };
        target.finish().await
    }
}

fn no_model(uri: &ModelUri, folders: &[Folder], listing: &Listing<'_>) -> Error {
    let searched: Vec<_> = folders.iter().map(|folder| format!("`{folder}`")).collect();
    let searched = searched.join(" and ");
    let reason = match listing.top() {
        top if top.is_empty() => match folders {
            [Folder::Store(_), ..] => format!("the store has no files in {searched}: check the path"),
            _ => format!("the server has no files in {searched}"),
        },
        top => format!("no file `{MLMODEL}` in {searched}, which contains {top}"),
    };
    Error::new(ErrorCode::RESOURCE_DOES_NOT_EXIST, format!("no model at `{uri}`: {reason}"))
}
