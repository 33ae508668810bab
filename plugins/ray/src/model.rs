//! A model that is deployed: where its replicas read it from, and the package that is uploaded for it.

use std::path::PathBuf;

use mlflow_deploy_model_uri::{ModelUri, PythonFunction, Tracking, fetch, redact_uri};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, blocking};
use serde_json::{Value, json};

use crate::deployment_config::ModelSource;
use crate::package::{MODEL_FOLDER, Package};

/// The flavor that every model for this target has.
const FLAVOR: &str = "python_function";

/// A model and its package.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// The URI or the folder in the package, from which the replicas read the model.
    read_from: String,
    /// The model URI of the caller, without credentials.
    source: String,
    version: Option<String>,
    python_version: Option<String>,
    package: Package,
}

impl Model {
    /// Fetches a model and packs it. With [`ModelSource::Remote`], packs only the program.
    ///
    /// # Errors
    /// Fails if the model cannot be fetched or has no flavor `python_function`.
    pub(crate) async fn prepare(
        uri: &str,
        flavor: Option<&str>,
        source: ModelSource,
        tracking: &Tracking,
    ) -> Result<Self> {
        if let Some(flavor) = flavor.filter(|flavor| *flavor != FLAVOR) {
            return Err(Error::invalid_parameter(format!(
                "the flavor `{flavor}` is not supported: a model runs on Ray as `{FLAVOR}`; omit the flavor"
            )));
        }
        match source {
            ModelSource::Remote => Self::remote(uri),
            ModelSource::Upload => Self::uploaded(uri, tracking).await,
        }
    }

    fn remote(uri: &str) -> Result<Self> {
        let is_everywhere = uri.starts_with('/') || uri.split_once(':').is_some_and(|(scheme, _)| scheme.len() > 1);
        if !is_everywhere {
            return Err(Error::invalid_parameter(format!(
                "the model `{uri}` is a path on this machine, which the cluster cannot read: expected a URI such as \
                 `s3://…`, `models:/…` or an absolute path that every node has, or `model_source` set to `upload`"
            )));
        }
        Ok(Self {
            read_from: uri.to_owned(),
            source: redact_uri(uri),
            version: None,
            python_version: None,
            package: Package::new(None)?,
        })
    }

    async fn uploaded(uri: &str, tracking: &Tracking) -> Result<Self> {
        let path = PathBuf::from(uri);
        let parsed = match path.exists() {
            true => None,
            false => Some(ModelUri::parse(uri).map_err(|error| advised(uri, error))?),
        };
        let downloads = tempfile::tempdir()
            .map_err(|error| Error::internal(format!("failed to create a temporary folder: {error}")))?;
        let (folder, version) = match &parsed {
            None => (path, None),
            Some(parsed) => {
                let fetched = fetch(parsed, tracking, &downloads.path().join("model")).await?;
                (fetched.path, fetched.version)
            }
        };
        let source = parsed.map_or_else(|| uri.to_owned(), |parsed| parsed.to_string());
        blocking(move || {
            let python_version = PythonFunction::read(&folder, "Ray needs")?.python_version;
            let package = Package::new(Some(&folder))?;
            drop(downloads);
            Ok(Self { read_from: MODEL_FOLDER.to_owned(), source, version, python_version, package })
        })
        .await
    }

    /// Returns the package that the cluster needs for the model.
    pub(crate) fn package(&self) -> &Package {
        &self.package
    }

    /// Returns the arguments of the program that serves the model.
    pub(crate) fn arguments(&self) -> Value {
        let mut arguments = json!({"model_uri": self.read_from, "source": self.source});
        if let Some(version) = &self.version {
            arguments["version"] = version.as_str().into();
        }
        arguments
    }

    /// Fails if the cluster runs another version of Python than the one that saved the model. Only the first two numbers
    /// count.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE`, with both versions.
    pub(crate) fn check_python(&self, cluster: Option<&str>) -> Result<()> {
        let minor = |version: &str| version.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
        match (&self.python_version, cluster) {
            (Some(model), Some(cluster)) if minor(model) != minor(cluster) => Err(Error::invalid_parameter(format!(
                "the model was saved with Python {model}, but the cluster runs Python {cluster}: use a cluster with the \
                 same version, save the model again, or set `check_python` to `false` if the model is known to load"
            ))),
            _ => Ok(()),
        }
    }
}

/// Adds to the error of a URI that only the cluster can read the setting with which the cluster reads it.
fn advised(uri: &str, error: Error) -> Error {
    let scheme = uri.split_once("://").map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
    let is_storage = ["hdfs", "r2", "b2"].contains(&scheme.as_str());
    if !is_storage {
        return error;
    }
    let message =
        format!("{}; or set `model_source` to `remote`, so that the cluster reads the model", error.message());
    Error::new(ErrorCode::INVALID_PARAMETER_VALUE, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_of_another_python_is_rejected() {
        let mut model = Model::remote("s3://bucket/model").unwrap();
        model.python_version = Some("3.11.7".to_owned());
        for (cluster, is_accepted) in
            [(Some("3.11.2"), true), (None, true), (Some("3.12.7"), false), (Some("3.1"), false)]
        {
            assert_eq!(model.check_python(cluster).is_ok(), is_accepted, "{cluster:?}");
        }
    }

    #[test]
    fn a_remote_model_is_not_a_path_on_this_machine() {
        let model = Model::remote("s3://user:s3cret@bucket/model").unwrap();
        assert_eq!(model.arguments()["source"], "s3://bucket/model");
        Model::remote("/shared/model").unwrap();
        for path in ["model", "./model"] {
            assert!(Model::remote(path).unwrap_err().message().contains("a path on this machine"), "{path}");
        }
        let error = advised("hdfs://b/m", ModelUri::parse("hdfs://b/m").unwrap_err());
        assert!(error.message().ends_with("or set `model_source` to `remote`, so that the cluster reads the model"));
    }
}
