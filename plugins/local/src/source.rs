//! Where a model comes from: what a model URI names, and who is asked for what is not on this machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use mlflow_deploy_http::Environment;
use mlflow_deploy_model_uri::{ModelUri, Tracking, TrackingOptions, fetch};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result};

/// Who is asked for models: what the client's options say, and the environment below them.
#[derive(Debug)]
pub(crate) struct Sources {
    options: TrackingOptions,
    variable: fn(&str) -> Option<OsString>,
}

/// A model URI, read.
#[derive(Debug)]
pub(crate) struct Source {
    /// As it may be printed and kept: without a password.
    pub(crate) shown: String,
    place: Place,
}

/// What a model URI names.
#[derive(Debug)]
enum Place {
    /// A folder of this machine.
    Folder(PathBuf),
    /// What MLflow knows the place of.
    Known(ModelUri),
}

/// A model that is on this machine.
#[derive(Debug)]
pub(crate) struct Found {
    /// Its folder.
    pub(crate) path: PathBuf,
    /// Whether that is where it was wanted; else it is somebody's, and to be copied.
    pub(crate) is_in_place: bool,
    /// The version of the registered model, where one was asked for.
    pub(crate) version: Option<String>,
}

impl Sources {
    /// The environment is read when a model is fetched: whoever only predicts needs none of it.
    pub(crate) fn new(options: TrackingOptions, variable: fn(&str) -> Option<OsString>) -> Self {
        Self { options, variable }
    }

    /// Finds a model; what has to be fetched is put into `destination`, where nothing is yet: all of it or nothing.
    ///
    /// # Errors
    /// As [`fetch()`] has them: a model that does not exist, a server that is not known, does not answer, or refuses.
    pub(crate) async fn find(&self, source: &Source, destination: &Path) -> Result<Found> {
        let uri = match &source.place {
            Place::Folder(path) => return Ok(Found { path: path.clone(), is_in_place: false, version: None }),
            Place::Known(uri) => uri,
        };
        let lookup = |name: &str| (self.variable)(name).and_then(|value| value.into_string().ok());
        let tracking = Tracking::new(self.options.clone(), &Environment::new(&lookup))?;
        let fetched = fetch(uri, &tracking, destination).await?;
        Ok(Found { path: fetched.path, is_in_place: fetched.is_downloaded, version: fetched.version })
    }
}

impl Source {
    /// Reads a model URI. A path that exists is a path, whatever it looks like.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where it has none of the forms that work, or names a file, `RESOURCE_DOES_NOT_EXIST`
    /// where it is a path and nothing is there.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let path = PathBuf::from(text);
        if path.exists() {
            return Ok(Self { shown: text.to_owned(), place: Place::Folder(folder(path)?) });
        }
        let uri = ModelUri::parse(text)?;
        let shown = uri.to_string();
        let place = match uri.folder() {
            Some(path) => Place::Folder(folder(path.to_owned())?),
            None => Place::Known(uri),
        };
        Ok(Self { shown, place })
    }
}

/// A path, which has to be that of a folder.
fn folder(path: PathBuf) -> Result<PathBuf> {
    match path.metadata() {
        Ok(found) if found.is_dir() => Ok(path),
        Ok(_) => Err(Error::invalid_parameter(format!(
            "`{}` is a file: expected the folder of an MLflow model, with a file `MLmodel` in it",
            path.display()
        ))),
        Err(error) => {
            Err(Error::new(ErrorCode::RESOURCE_DOES_NOT_EXIST, format!("no model is at `{}`: {error}", path.display())))
        }
    }
}
