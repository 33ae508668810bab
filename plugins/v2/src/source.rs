//! The source of a deployment's model: the server's own repository, or an MLflow model that is sent to the server.

use std::path::Path;

use bytes::Bytes;
use mlflow_deploy_model_uri::{ModelUri, Tracking, fetch};
use mlflow_deploy_plugin_api::{Error, Result, blocking};
use serde_json::{Map, Value, json};

use crate::ship;

/// The scheme of the URI of a model in the server's repository.
const REPOSITORY: &str = "repository:";

/// The source of a deployment's model, from its URI.
#[derive(Debug, PartialEq)]
pub(crate) enum ModelSource {
    /// An MLflow model, which is fetched and sent to the server.
    Mlflow(ModelUri),
    /// The model in the server's repository that has the name of the deployment.
    Repository,
}

/// The body of a load request.
#[derive(Debug)]
pub(crate) struct Shipment {
    /// The body, or `None` if the server loads the model from its repository without changes.
    pub(crate) body: Option<Bytes>,
    /// The flavor of the model that is sent.
    pub(crate) flavor: Option<String>,
}

impl ModelSource {
    /// Parses the URI of the model for the deployment `name`. `repository:NAME`, or the name alone, is the model of that
    /// name in the server's repository.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the form of the URI is not supported, or if it names another model of the
    /// repository.
    pub(crate) fn parse(uri: &str, name: &str) -> Result<Self> {
        if let Some(model) = uri.strip_prefix(REPOSITORY).map(|model| model.trim_start_matches('/')) {
            return match model {
                "" => Ok(Self::Repository),
                model if model == name => Ok(Self::Repository),
                model => Err(Error::invalid_parameter(format!(
                    "the model URI names `{model}`, but the deployment is called `{name}`: a model of the server's \
                     repository has the same name as its deployment"
                ))),
            };
        }
        if uri == name && !Path::new(uri).exists() {
            return Ok(Self::Repository);
        }
        ModelUri::parse(uri).map(Self::Mlflow)
    }
}

impl Shipment {
    /// Returns the body that loads a model from the server's repository, with another configuration if one is given.
    pub(crate) fn of_config(config: Option<Map<String, Value>>) -> Result<Self> {
        let body = match config {
            None => None,
            Some(config) => {
                let body = json!({"parameters": {"config": Value::from(config).to_string()}});
                Some(body.to_string().into())
            }
        };
        Ok(Self { body, flavor: None })
    }

    /// Fetches an MLflow model, and returns the body that sends it to Triton as the model `name`.
    ///
    /// # Errors
    /// Fails as [`fetch()`] does, and if the model has no flavor that can be sent.
    pub(crate) async fn of_model(
        uri: &ModelUri,
        tracking: &Tracking,
        name: &str,
        flavor: Option<String>,
        config: Option<Map<String, Value>>,
    ) -> Result<Self> {
        let failed = |error: std::io::Error| Error::internal(format!("failed to create a folder: {error}"));
        let folder = tempfile::tempdir().map_err(failed)?;
        let fetched = fetch(uri, tracking, &folder.path().join("model")).await?;
        let name = name.to_owned();
        let (body, flavor) = blocking(move || {
            let body = ship::load_body(&fetched.path, &name, flavor.as_deref(), config.unwrap_or_default());
            drop(folder);
            body
        })
        .await?;
        Ok(Self { body: Some(body.into()), flavor: Some(flavor) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_of_the_repository_has_the_name_of_its_deployment() {
        for uri in ["repository:", "repository:iris", "repository:/iris", "repository://iris", "iris"] {
            assert_eq!(ModelSource::parse(uri, "iris").unwrap(), ModelSource::Repository, "{uri}");
        }
        for uri in ["models:/iris/1", "/models/iris", "./iris", "runs:/0123456789abcdef0123456789abcdef/m"] {
            assert!(matches!(ModelSource::parse(uri, "iris").unwrap(), ModelSource::Mlflow(_)), "{uri}");
        }
        let error = ModelSource::parse("repository:other", "iris").unwrap_err();
        assert!(error.message().starts_with("the model URI names `other`, but the deployment is called `iris`"));
    }

    #[test]
    fn a_configuration_is_sent_as_text() {
        let config = json!({"max_batch_size": 8}).as_object().cloned();
        let body = Shipment::of_config(config).unwrap().body.unwrap();
        assert_eq!(body, r#"{"parameters":{"config":"{\"max_batch_size\":8}"}}"#);
        assert!(Shipment::of_config(None).unwrap().body.is_none());
    }
}
