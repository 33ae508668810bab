//! Parses model URIs, and downloads models from a tracking server.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use mlflow_deploy_http::Environment;
use mlflow_deploy_model_uri::{ModelUri, Tracking, TrackingOptions, fetch};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result};

/// Locates models by their URIs. The client options and the environment determine the tracking server.
#[derive(Debug)]
pub(crate) struct Sources {
    options: TrackingOptions,
    variable: fn(&str) -> Option<OsString>,
}

/// A parsed model URI, and the location that it names.
#[derive(Debug)]
pub(crate) struct Source {
    /// The URI without a password, which may be printed and stored.
    pub(super) redacted: String,
    location: Location,
}

/// The location that a model URI names.
#[derive(Debug)]
enum Location {
    /// A folder on this machine.
    Folder(PathBuf),
    /// A URI that the model's tracking server or registry resolves, such as `models:/NAME/1`.
    Mlflow(ModelUri),
}

/// A model in a folder on this machine.
#[derive(Debug)]
pub(crate) struct LocatedModel {
    /// The path of the model's folder.
    pub(crate) path: PathBuf,
    /// True if the model was downloaded to the requested destination; false if the folder existed before and must be
    /// copied.
    pub(crate) is_in_place: bool,
    /// The version of the registered model; `None` if the URI does not name a registered model.
    pub(crate) version: Option<String>,
}

impl Sources {
    /// Stores the tracking options. Reads the environment only when a model is located.
    pub(crate) fn new(options: TrackingOptions, variable: fn(&str) -> Option<OsString>) -> Self {
        Self { options, variable }
    }

    /// Returns the folder of a model. Downloads a model of a tracking server to `destination`, which must not exist. A
    /// failed download leaves no files there.
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
    /// Parses a model URI. Treats `text` as a path if a file or folder with that path exists, even if `text` looks like
    /// a URI.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the form of the URI is not supported, or if `text` is the path of a file;
    /// `RESOURCE_DOES_NOT_EXIST` if `text` is a path that does not exist.
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

/// Returns `path` if it is a folder. Fails if it is a file or does not exist.
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
