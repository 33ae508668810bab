//! Tracking stores and model registries, which are either servers or files that MLflow writes without a server.

use mlflow_deploy_plugin_api::{Error, Result, blocking};

use crate::files::FileStore;
use crate::rest::Server;
use crate::run::Run;
use crate::session::Session;
use crate::unity_catalog::UnityCatalog;

/// A tracking store or a model registry, on a server or in files.
#[derive(Clone, Debug)]
pub(crate) enum Store {
    Catalog(UnityCatalog),
    Files(FileStore),
    Server(Server),
}

impl Store {
    /// Returns the run with this id.
    pub(crate) async fn run(&self, session: &Session<'_>, run_id: &str) -> Result<Run> {
        match self {
            Self::Files(files) => read(files, run_id, |files, run_id| files.run(&run_id)).await,
            Self::Server(server) | Self::Catalog(UnityCatalog(server)) => server.run(session, run_id).await,
        }
    }

    /// Returns the artifact URI of the logged model with this id.
    pub(crate) async fn logged_model(&self, session: &Session<'_>, model_id: &str) -> Result<String> {
        match self {
            Self::Files(files) => read(files, model_id, |files, model_id| files.logged_model(&model_id)).await,
            Self::Server(server) | Self::Catalog(UnityCatalog(server)) => server.logged_model(session, model_id).await,
        }
    }

    /// Returns the artifact URI of the model that a run has logged as `name`, or of the last such model if there are
    /// several. Since MLflow 3, these artifacts are not among the run's own artifacts.
    pub(crate) async fn logged_model_of(&self, session: &Session<'_>, run: &Run, name: &str) -> Result<Option<String>> {
        match self {
            Self::Files(files) => {
                let run = run.clone();
                read(files, name, move |files, name| files.logged_model_of(&run, &name)).await
            }
            Self::Server(server) | Self::Catalog(UnityCatalog(server)) => {
                server.logged_model_of(session, run, name).await
            }
        }
    }

    /// Returns the version of a registered model to which an alias refers.
    pub(crate) async fn version_of_alias(&self, session: &Session<'_>, name: &str, alias: &str) -> Result<String> {
        match self {
            Self::Files(files) => {
                let alias = alias.to_owned();
                read(files, name, move |files, name| files.version_of_alias(&name, &alias)).await
            }
            Self::Server(server) => server.version_of_alias(session, name, alias).await,
            Self::Catalog(catalog) => catalog.version_of_alias(session, name, alias).await,
        }
    }

    /// Returns the latest version of a registered model, or its latest version in `stage`.
    pub(crate) async fn latest_version(
        &self,
        session: &Session<'_>,
        name: &str,
        stage: Option<&str>,
    ) -> Result<String> {
        match self {
            Self::Files(files) => {
                let stage = stage.map(str::to_owned);
                read(files, name, move |files, name| files.latest_version(&name, stage.as_deref())).await
            }
            Self::Server(server) => server.latest_version(session, name, stage).await,
            Self::Catalog(_) => Err(Error::invalid_parameter(format!(
                "Unity Catalog has no stages and no latest version of `{name}`: use a version or an alias, as in \
                 `models:/{name}@champion`"
            ))),
        }
    }

    /// Returns the artifact URI of a version of a registered model.
    pub(crate) async fn version(&self, session: &Session<'_>, name: &str, version: &str) -> Result<String> {
        match self {
            Self::Files(files) => {
                let version = version.to_owned();
                read(files, name, move |files, name| files.version(&name, &version)).await
            }
            Self::Server(server) | Self::Catalog(UnityCatalog(server)) => server.version(session, name, version).await,
        }
    }
}

/// Reads the files of a store on a blocking thread.
async fn read<T: Send + 'static>(
    files: &FileStore,
    name: &str,
    read: impl FnOnce(FileStore, String) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (files, name) = (files.clone(), name.to_owned());
    blocking(move || read(files, name)).await
}
