//! A model, fetched whole or not at all.

use std::io;
use std::path::{Path, PathBuf};

use futures_util::{StreamExt, TryStreamExt, stream};
use mlflow_deploy_http::download;
use mlflow_deploy_plugin_api::call::{self, Level};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, blocking};

use crate::artifacts::Folder;
use crate::listing::Listing;
use crate::progress::Progress;
use crate::resolve::{Location, Session};
use crate::staging::StagingDir;
use crate::uri::Place;
use crate::{ModelUri, Tracking};

/// The file that makes a folder a model.
const MLMODEL: &str = "MLmodel";

/// How many requests are under way at a time.
pub(crate) const AT_ONCE: usize = 8;

/// A model that is on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetched {
    /// The model's folder: the destination, or where it was all along. An absolute path.
    pub path: PathBuf,
    /// Whether it was downloaded. What was on this machine already is not copied: that is for the caller to decide.
    pub is_downloaded: bool,
    /// The number of the version, where the URI names a registered model: what an alias or `latest` meant at the time.
    pub version: Option<String>,
}

/// Finds a model, and downloads it into the folder `destination` unless it is on this machine already.
///
/// The folder must not exist, or be empty. The model arrives in a folder beside it, whose name begins with a dot, and
/// is moved into place once every file is there and written to the disk. Where anything fails, or the future is
/// dropped before that, nothing is left. Files come several at a time; what is going on is said as events of the call.
///
/// To be awaited on a tokio runtime, such as the one that plugins run on.
///
/// # Errors
/// `RESOURCE_DOES_NOT_EXIST` where the run, model, version, alias, or artifact does not exist, or has no model in it;
/// `RESOURCE_ALREADY_EXISTS` where the destination is taken; `INVALID_PARAMETER_VALUE` where no tracking server is
/// known, or the model is kept where nothing is fetched from; `RESOURCE_EXHAUSTED` where it has no room; else what the server answered or kept it from answering.
pub async fn fetch(uri: &ModelUri, tracking: &Tracking, destination: &Path) -> Result<Fetched> {
    let session = Session { tracking, policy: tracking.policy.started() };
    let found = session.find(uri).await?;
    let path = match found.location {
        Location::Here(path) => {
            let path = here(uri, &path)?;
            if uri.folder().is_none() && tracking.asks_a_server() {
                // Nobody on this machine has named it: whoever may register a model may have.
                let message =
                    format!("a server says that `{uri}` is in the folder `{}` of this machine", path.display());
                call::log(Level::Warn, message);
            }
            return Ok(Fetched { path, is_downloaded: false, version: found.version });
        }
        Location::Served(folders) => land(uri, &session, &folders, destination).await?,
    };
    Ok(Fetched { path, is_downloaded: true, version: found.version })
}

/// A model that is on this machine.
fn here(uri: &ModelUri, path: &Path) -> Result<PathBuf> {
    let shown = path.display();
    let missing =
        |why: String| Err(Error::new(ErrorCode::RESOURCE_DOES_NOT_EXIST, format!("no model at `{uri}`: {why}")));
    match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => missing(nowhere(uri, path)),
        Err(error) => missing(format!("failed to look at `{shown}`: {error}")),
        Ok(metadata) if !metadata.is_dir() => missing(format!("`{shown}` is a file, where a folder was expected")),
        Ok(_) if !path.join(MLMODEL).is_file() => missing(format!("there is no file `{MLMODEL}` in `{shown}`")),
        Ok(_) => std::path::absolute(path)
            .map_err(|error| Error::internal(format!("failed to find `{shown}`: {error}")).with_cause(&error)),
    }
}

/// What is said of a folder that does not exist.
fn nowhere(uri: &ModelUri, path: &Path) -> String {
    let shown = path.display();
    match (&uri.place, path.to_str()) {
        (Place::Folder(_), Some(id)) if id.starts_with("m-") && !id.contains('/') => {
            format!("there is no folder `{shown}`; is `models:/{id}` meant?")
        }
        (Place::Folder(_), _) => format!("there is no folder `{shown}`"),
        _ => format!(
            "it is said to be kept in `{shown}`, and this machine has no such folder; a tracking server that is started \
             with `--serve-artifacts` hands out what it keeps"
        ),
    }
}

/// Downloads a model that servers hand out.
async fn land(uri: &ModelUri, session: &Session<'_>, folders: &[Folder], destination: &Path) -> Result<PathBuf> {
    // What cannot be put anywhere need not be asked for.
    let mut landing = StagingDir::prepare(destination)?;
    let listing = Listing::of(session, folders).await?;
    if !listing.files.contains_key([MLMODEL.to_owned()].as_slice()) {
        return Err(no_model(uri, folders, &listing));
    }
    for folder in &listing.folders {
        landing.create(folder)?;
    }
    let total = listing.files.values().filter_map(|file| file.size).fold(0, u64::saturating_add);
    landing.check_room(total)?;
    let progress = Progress::start(uri, listing.files.len(), total);
    let files = stream::iter(&listing.files).map(Ok::<_, Error>);
    let landed = &landing;
    let progress = &progress;
    files
        .try_for_each_concurrent(AT_ONCE, |(path, file)| async move {
            let request = file.folder.file(path)?;
            let target = landed.path(path);
            let http = &session.tracking.http;
            let length = download(http, &request, &session.policy, &target, file.size, progress.of_file()).await;
            length.map(drop).map_err(|error| file.folder.explain(error))
        })
        .await?;
    let path = landing.destination().to_owned();
    blocking(move || landing.finish()).await?;
    progress.finish();
    Ok(path)
}

fn no_model(uri: &ModelUri, folders: &[Folder], listing: &Listing<'_>) -> Error {
    let asked: Vec<_> = folders.iter().map(|folder| format!("`{folder}`")).collect();
    let asked = asked.join(" and ");
    let why = match listing.top() {
        top if top.is_empty() => format!("the server has nothing in {asked}"),
        top => format!("there is no file `{MLMODEL}` in {asked}, which has {top}"),
    };
    Error::new(ErrorCode::RESOURCE_DOES_NOT_EXIST, format!("no model at `{uri}`: {why}"))
}
