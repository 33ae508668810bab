//! The source of a model: reads model URIs, and fetches models from a tracking server.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use mlflow_deploy_http::Environment;
use mlflow_deploy_model_uri::{ModelUri, Tracking, TrackingOptions, fetch};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result};

/// Fetches models from the tracking server of the client's options and the environment.
#[derive(Debug)]
pub(crate) struct Sources {
    options: TrackingOptions,
    variable: fn(&str) -> Option<OsString>,
}

/// A parsed model URI.
#[derive(Debug)]
pub(crate) struct Source {
    /// The URI without a password, to be printed and stored.
    pub(super) redacted: String,
    location: Location,
}

/// The location of a model.
#[derive(Debug)]
enum Location {
    /// A folder on this machine.
    Folder(PathBuf),
    /// A URI that MLflow resolves.
    Mlflow(ModelUri),
}

/// A model on this machine.
#[derive(Debug)]
pub(crate) struct LocatedModel {
    /// The folder of the model.
    pub(crate) path: PathBuf,
    /// True if the model was fetched to its destination; false if the folder belongs to the user and must be copied.
    pub(crate) is_in_place: bool,
    /// The version of the registered model, if the URI names a registered model.
    pub(crate) version: Option<String>,
}

impl Sources {
    /// Stores the options. The environment is read later, when a model is fetched.
    pub(crate) fn new(options: TrackingOptions, variable: fn(&str) -> Option<OsString>) -> Self {
        Self { options, variable }
    }

    /// Locates a model. A model of a tracking server is fetched to `destination`, which must not exist. If that fails,
    /// nothing is left there.
    ///
    /// # Errors
    /// Fails as [`fetch()`] does.
    pub(crate) async fn locate(&self, source: &Source, destination: &Path) -> Result<LocatedModel> {
        let uri = match &source.location {
            Location::Folder(path) => {
                return Ok(LocatedModel { path: path.clone(), is_in_place: false, version: None });
            }
            Location::Mlflow(uri) => uri,
        };
        let lookup = |name: &str| (self.variable)(name).map(|value| value.to_string_lossy().into_owned());
        let tracking = Tracking::new(self.options.clone(), &Environment::new(&lookup))?;
        let fetched = fetch(uri, &tracking, destination).await?;
        Ok(LocatedModel { path: fetched.path, is_in_place: fetched.is_downloaded, version: fetched.version })
    }
}

impl Source {
    /// Parses a model URI. A text that is the path of an existing file is read as a path, even if it looks like a URI.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the URI has no supported form, or names a file; `RESOURCE_DOES_NOT_EXIST` if it is
    /// a path that does not exist.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let path = PathBuf::from(text);
        if path.exists() {
            return Ok(Self { redacted: text.to_owned(), location: Location::Folder(folder(path)?) });
        }
        let uri = ModelUri::parse(text)?;
        let redacted = uri.to_string();
        let location = match uri.folder() {
            Some(path) => Location::Folder(folder(path.to_owned())?),
            None => Location::Mlflow(uri),
        };
        Ok(Self { redacted, location })
    }
}

/// Returns the path if it is a folder.
fn folder(path: PathBuf) -> Result<PathBuf> {
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => Ok(path),
        Ok(_) => Err(Error::invalid_parameter(format!(
            "`{}` is a file: expected the folder of an MLflow model, with a file `MLmodel` in it",
            path.display()
        ))),
        Err(error) => {
            Err(Error::new(ErrorCode::RESOURCE_DOES_NOT_EXIST, format!("no model at `{}`: {error}", path.display())))
        }
    }
}
