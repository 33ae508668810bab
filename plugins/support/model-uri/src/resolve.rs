//! From what a URI names to where that is kept, by asking whom it takes.

use std::path::PathBuf;
use std::pin::Pin;

use mlflow_deploy_http::{Policy, join, without_user};
use mlflow_deploy_plugin_api::{Error, Result};
use url::Url;

use crate::artifacts::Folder;
use crate::rest::API;
use crate::store::Store;
use crate::uri::{Place, Which, shown};
use crate::{ModelUri, Tracking};

/// A server may name a model by a URI that a server has to be asked about, but not for ever.
const MAX_HOPS: u8 = 4;

/// One fetch: its servers, and the time that it has.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    pub(crate) tracking: &'a Tracking,
    pub(crate) policy: Policy,
}

/// Where a model is kept.
#[derive(Debug)]
pub(crate) enum Location {
    /// In a folder of this machine.
    Here(PathBuf),
    /// In folders of servers; a file counts that is in a later one.
    Served(Vec<Folder>),
}

/// A model that was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) location: Location,
    /// The version of the registered model, where the URI names one.
    pub(crate) version: Option<String>,
}

/// Who named a place: it decides who gets the user's credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Namer {
    Server(u8),
    User,
}

impl Session<'_> {
    /// Finds out where a model is kept.
    pub(crate) async fn find(&self, uri: &ModelUri) -> Result<Found> {
        self.place(uri, &uri.place, Namer::User).await
    }

    /// May be asked of itself, and so is boxed.
    fn place<'f>(
        &'f self,
        uri: &'f ModelUri,
        place: &'f Place,
        namer: Namer,
    ) -> Pin<Box<dyn Future<Output = Result<Found>> + Send + 'f>> {
        Box::pin(async move {
            let mut version = None;
            let location = match place {
                Place::Folder(path) => Location::Here(path.clone()),
                Place::Artifacts { authority, path } => {
                    let base = self.artifacts(uri, authority.as_deref())?;
                    Location::Served(vec![self.folder(&base, path, namer)?])
                }
                Place::HandedOut { base, path } => Location::Served(vec![self.folder(base, path, namer)?]),
                Place::LoggedModel(id) => {
                    let kept = self.tracking.store()?.logged_model(self, id).await?;
                    self.kept(uri, &kept, &[], namer).await?
                }
                Place::Registered { name, which } => {
                    let registry = self.tracking.registry()?;
                    let number = self.version(&registry, name, which).await?;
                    let kept = registry.version(self, name, &number).await?;
                    version = Some(number);
                    self.kept(uri, &kept, &[], namer).await?
                }
                Place::Run { run_id, path } => self.run(uri, run_id, path, namer).await?,
            };
            Ok(Found { location, version })
        })
    }

    async fn version(&self, registry: &Store, name: &str, which: &Which) -> Result<String> {
        match which {
            Which::Alias(alias) => registry.version_of_alias(self, name, alias).await,
            Which::Latest => registry.latest_version(self, name, None).await,
            Which::Stage(stage) => registry.latest_version(self, name, Some(stage)).await,
            Which::Version(version) => Ok(version.clone()),
        }
    }

    /// What a run has logged: its own artifacts, and over them those of the model that it has logged by that name.
    async fn run(&self, uri: &ModelUri, run_id: &str, path: &[String], namer: Namer) -> Result<Location> {
        let store = self.tracking.store()?;
        let run = store.run(self, run_id).await?;
        let own = self.kept(uri, &run.artifact_uri, path, namer).await;
        let Some((name, below)) = path.split_first() else { return own };
        let Some(kept) = store.logged_model_of(self, &run, name).await? else { return own };
        match (own, self.kept(uri, &kept, below, namer).await) {
            (Ok(Location::Served(mut folders)), Ok(Location::Served(logged))) => {
                folders.extend(logged);
                Ok(Location::Served(folders))
            }
            (_, logged) => logged,
        }
    }

    /// Where something is that a server says to keep at `kept`, with a path below it.
    async fn kept(&self, uri: &ModelUri, kept: &str, below: &[String], namer: Namer) -> Result<Location> {
        let hops = match namer {
            Namer::Server(hops) => hops + 1,
            Namer::User => 1,
        };
        if hops > MAX_HOPS {
            return Err(Error::internal(format!("`{uri}` leads from one model URI to the next, without an end")));
        }
        let mut place = ModelUri::parse(kept).map_err(|error| not_handed_out(uri, kept, &error))?.place;
        match &mut place {
            Place::Folder(folder) => folder.extend(below),
            Place::Artifacts { path, .. } | Place::HandedOut { path, .. } | Place::Run { path, .. } => {
                path.extend_from_slice(below);
            }
            Place::LoggedModel(_) | Place::Registered { .. } => {}
        }
        Ok(self.place(uri, &place, Namer::Server(hops)).await?.location)
    }

    /// The URL of the artifacts that the tracking server hands out, or a server in its place.
    fn artifacts(&self, uri: &ModelUri, authority: Option<&str>) -> Result<Url> {
        let server = self.tracking.server()?;
        let mut base = join(&server.base, &format!("{API}/mlflow-artifacts/artifacts"));
        if let Some(authority) = authority {
            let path = base.path().to_owned();
            base = Url::parse(&format!("{}://{authority}", base.scheme()))
                .map_err(|error| Error::invalid_parameter(format!("`{uri}` names no server: {error}")))?;
            base.set_path(&path);
        }
        Ok(base)
    }

    /// A folder on a server, which gets the user's credentials only where it is the user's tracking server or registry,
    /// or named by the user: what is registered as a model can have been registered by anybody.
    fn folder(&self, base: &Url, path: &[String], namer: Namer) -> Result<Folder> {
        let known = [self.tracking.store(), self.tracking.registry()];
        let known = known.into_iter().find_map(|store| match store {
            Ok(Store::Server(server)) if server.base.origin() == base.origin() => Some(server),
            _ => None,
        });
        let headers = match (known, namer) {
            (Some(server), Namer::Server(_)) => Some(server.headers),
            (Some(server), Namer::User) if base.password().is_none() => Some(server.headers),
            (_, Namer::User) => Some(self.tracking.auth.headers(base)?),
            (None, Namer::Server(_)) => None,
        };
        Ok(Folder {
            base: without_user(base),
            path: path.to_vec(),
            is_stranger: headers.is_none(),
            headers: headers.unwrap_or_default(),
        })
    }
}

fn not_handed_out(uri: &ModelUri, kept: &str, error: &Error) -> Error {
    let shown = shown(kept);
    Error::invalid_parameter(format!(
        "`{uri}` is kept at `{shown}`, from where it is not fetched: start the tracking server with \
         `--serve-artifacts`, so that it hands it out, or fetch it with `mlflow artifacts download` and give its path"
    ))
    .with_cause(error)
}
