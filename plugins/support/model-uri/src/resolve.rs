//! Resolves a model URI to a folder on this machine or to folders on servers.

use std::path::PathBuf;
use std::pin::Pin;

use mlflow_deploy_http::{join, without_user};
use mlflow_deploy_plugin_api::{Error, Result};
use url::Url;

use crate::artifacts::{ARTIFACTS, Protocol, RemoteFolder};
use crate::folder::Folder;
use crate::rest::{API, Server};
use crate::session::Session;
use crate::store::Store;
use crate::uri::{UriKind, VersionSelector, redact_uri};
use crate::{ModelUri, Tracking};

/// The maximum length of a chain of URIs, each of which resolves to the next one.
const MAX_HOPS: u8 = 4;

/// Resolves the model URIs of one fetch.
#[derive(Debug)]
pub(crate) struct Resolver<'a> {
    tracking: &'a Tracking,
    session: &'a Session<'a>,
}

/// The location of a model, on this machine or on servers.
#[derive(Debug)]
pub(crate) enum Location {
    /// A folder on this machine.
    Local(PathBuf),
    /// Folders on servers. If several folders contain the same file, the file in the last folder counts.
    Remote(Vec<Folder>),
}

/// The location and the version to which a model URI was resolved.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) location: Location,
    /// The version of a registered model; `None` for other models.
    pub(crate) version: Option<String>,
}

/// The origin of a URI: the user, or the response of a server. It determines which servers receive the user's
/// credentials. `Server` contains the number of URIs from servers that were followed so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UriOrigin {
    Server(u8),
    User,
}

impl<'a> Resolver<'a> {
    pub(crate) fn new(tracking: &'a Tracking, session: &'a Session<'a>) -> Self {
        Self { tracking, session }
    }

    /// Locates the model of a URI that the user has given.
    pub(crate) async fn resolve(&self, uri: &ModelUri) -> Result<Resolved> {
        self.locate(uri, &uri.kind, UriOrigin::User).await
    }

    /// Locates the model of a parsed URI. The future is boxed, because the function is recursive.
    fn locate<'f>(
        &'f self,
        uri: &'f ModelUri,
        kind: &'f UriKind,
        origin: UriOrigin,
    ) -> Pin<Box<dyn Future<Output = Result<Resolved>> + Send + 'f>> {
        Box::pin(async move {
            let mut version = None;
            let location = match kind {
                UriKind::Folder(path) => Location::Local(path.clone()),
                UriKind::Artifacts { authority, path } => {
                    let base = self.artifacts(uri, authority.as_deref())?;
                    Location::Remote(vec![Folder::Server(self.folder(&base, path, origin)?)])
                }
                UriKind::ArtifactsUrl { base, path } => {
                    Location::Remote(vec![Folder::Server(self.folder(base, path, origin)?)])
                }
                UriKind::LoggedModel(id) => {
                    let artifact_uri = self.tracking.store()?.logged_model(self.session, id).await?;
                    self.follow(uri, &artifact_uri, &[], origin).await?
                }
                UriKind::Registered { name, version: selector } => {
                    let registry = self.tracking.registry()?;
                    let number = self.version(&registry, name, selector).await?;
                    let location = match &registry {
                        Store::Catalog(catalog) => {
                            let found = catalog.version(self.session, name, &number).await?;
                            let stores = &self.tracking.stores;
                            let store = stores.open_with(&found.url, &self.session.policy, &found.credentials)?;
                            Location::Remote(vec![Folder::Store(store)])
                        }
                        _ => {
                            let artifact_uri = registry.version(self.session, name, &number).await?;
                            self.follow(uri, &artifact_uri, &[], origin).await?
                        }
                    };
                    version = Some(number);
                    location
                }
                UriKind::Store(url) => {
                    let store = self.tracking.stores.open(url, &self.session.policy)?;
                    Location::Remote(vec![Folder::Store(store)])
                }
                UriKind::Dbfs(path) => {
                    let Server { base, headers } = self.tracking.databricks()?;
                    let (path, protocol) = (path.clone(), Protocol::Dbfs);
                    let folder = RemoteFolder { base, path, headers, is_untrusted: false, protocol };
                    Location::Remote(vec![Folder::Server(folder)])
                }
                UriKind::Run { run_id, path } => self.run(uri, run_id, path, origin).await?,
            };
            Ok(Resolved { location, version })
        })
    }

    async fn version(&self, registry: &Store, name: &str, selector: &VersionSelector) -> Result<String> {
        match selector {
            VersionSelector::Alias(alias) => registry.version_of_alias(self.session, name, alias).await,
            VersionSelector::Latest => registry.latest_version(self.session, name, None).await,
            VersionSelector::Stage(stage) => registry.latest_version(self.session, name, Some(stage)).await,
            VersionSelector::Number(number) => Ok(number.clone()),
        }
    }

    /// Locates an artifact of a run. If the run has a logged model of the same name, combines the folders of both, and
    /// the files of the logged model take precedence.
    async fn run(&self, uri: &ModelUri, run_id: &str, path: &[String], origin: UriOrigin) -> Result<Location> {
        let store = self.tracking.store()?;
        let run = store.run(self.session, run_id).await?;
        let own = self.follow(uri, &run.artifact_uri, path, origin).await;
        let Some((name, below)) = path.split_first() else { return own };
        let Some(artifact_uri) = store.logged_model_of(self.session, &run, name).await? else { return own };
        match (own, self.follow(uri, &artifact_uri, below, origin).await) {
            (Ok(Location::Remote(mut folders)), Ok(Location::Remote(logged))) => {
                folders.extend(logged);
                Ok(Location::Remote(folders))
            }
            (_, logged) => logged,
        }
    }

    /// Locates the path `below` in the artifacts at a URI that a server returned.
    async fn follow(
        &self,
        uri: &ModelUri,
        artifact_uri: &str,
        below: &[String],
        origin: UriOrigin,
    ) -> Result<Location> {
        let hops = match origin {
            UriOrigin::Server(hops) => hops + 1,
            UriOrigin::User => 1,
        };
        if hops > MAX_HOPS {
            return Err(Error::internal(format!("`{uri}` resolves to more than {MAX_HOPS} other model URIs in a row")));
        }
        let parsed = ModelUri::parse(artifact_uri);
        let mut kind = parsed.map_err(|error| unsupported_storage(uri, artifact_uri, &error))?.kind;
        match &mut kind {
            UriKind::Folder(folder) => folder.extend(below),
            UriKind::Artifacts { path, .. }
            | UriKind::ArtifactsUrl { path, .. }
            | UriKind::Dbfs(path)
            | UriKind::Run { path, .. } => {
                path.extend_from_slice(below);
            }
            UriKind::Store(url) => *url = url.join(below),
            UriKind::LoggedModel(_) | UriKind::Registered { .. } => {}
        }
        Ok(self.locate(uri, &kind, UriOrigin::Server(hops)).await?.location)
    }

    /// Returns the URL of the artifacts on the server at `authority`, or else on the tracking server. `uri` is the
    /// model URI for the error.
    fn artifacts(&self, uri: &ModelUri, authority: Option<&str>) -> Result<Url> {
        let server = self.tracking.server()?;
        let mut base = join(&server.base, &format!("{API}{ARTIFACTS}"));
        if let Some(authority) = authority {
            let path = base.path().to_owned();
            base = Url::parse(&format!("{}://{authority}", base.scheme()))
                .map_err(|error| Error::invalid_parameter(format!("`{uri}` has an invalid server: {error}")))?;
            base.set_path(&path);
        }
        Ok(base)
    }

    /// Returns a folder on a server, with the headers for the server. The server receives the user's credentials only
    /// if it is the user's tracking server or registry, or if the user named it. Another user may have registered a
    /// model with the URL of a foreign server.
    fn folder(&self, base: &Url, path: &[String], origin: UriOrigin) -> Result<RemoteFolder> {
        let known = [self.tracking.store(), self.tracking.registry()];
        let known = known.into_iter().find_map(|store| match store {
            Ok(Store::Server(server)) if server.base.origin() == base.origin() => Some(server),
            _ => None,
        });
        let headers = match (known, origin) {
            (Some(server), UriOrigin::Server(_)) => Some(server.headers),
            (Some(server), UriOrigin::User) if base.password().is_none() => Some(server.headers),
            (_, UriOrigin::User) => Some(self.tracking.auth.headers(base)?),
            (None, UriOrigin::Server(_)) => None,
        };
        Ok(RemoteFolder {
            base: without_user(base),
            path: path.to_vec(),
            is_untrusted: headers.is_none(),
            headers: headers.unwrap_or_default(),
            protocol: Protocol::Mlflow,
        })
    }
}

fn unsupported_storage(uri: &ModelUri, artifact_uri: &str, error: &Error) -> Error {
    let shown = redact_uri(artifact_uri);
    Error::invalid_parameter(format!(
        "`{uri}` is stored at `{shown}`, which is not supported: start the tracking server with `--serve-artifacts`, so \
         that it serves the model, or download it with `mlflow artifacts download` and use its path"
    ))
    .with_cause(error)
}
