//! Creates, updates and deletes endpoints, with their configs, models and archives.

use mlflow_deploy_model_uri::Tracking;
use mlflow_deploy_plugin_api::call::{self, Level};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::archive::Archive;
use crate::config::Config;
use crate::deployment_config::{DeploymentConfig, Mode, NAME_TAG, tag};
use crate::failure::{is_missing, no_endpoint};
use crate::model::Model;
use crate::resources::{Resources, delete_endpoint, delete_replaced, models_of};
use crate::session::Session;
use crate::wait::Wait;
use crate::{names, place, storage};

/// A change of one endpoint.
#[derive(Debug)]
pub(crate) struct Deploy<'a> {
    pub(crate) session: &'a Session,
    pub(crate) settings: &'a Config,
    pub(crate) name: &'a str,
    pub(crate) config: &'a DeploymentConfig,
    pub(crate) wait: &'a Wait,
}

/// The model of a change: its URI, and the flavor that the caller names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) uri: &'a str,
    pub(crate) flavor: Option<&'a str>,
}

impl Deploy<'_> {
    /// Creates an endpoint. Returns its description and the flavor of its model. A failed creation leaves nothing behind.
    pub(crate) async fn create(&self, source: Source<'_>) -> Result<(Value, &'static str)> {
        self.config.check_create_mode()?;
        match self.describe().await {
            Ok(_) => {
                let message = format!(
                    "the deployment `{}` exists already: change it with `update`, or delete it first",
                    self.name
                );
                return Err(Error::new(ErrorCode::RESOURCE_ALREADY_EXISTS, message));
            }
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(error),
        }
        let made = Mutex::new(Resources::default());
        let created = self.or_cancelled(async {
            let (model_name, model) = self.model(source, &made).await?;
            let config = json!({"ProductionVariants": [self.config.variant(&model_name, 1)]});
            let config_name = self.endpoint_config(config, &made).await?;
            let mut tags = vec![tag(NAME_TAG, self.name)];
            tags.extend(self.config.tags());
            let body = json!({"EndpointName": self.name, "EndpointConfigName": config_name, "Tags": tags});
            let sent = self.session.change("CreateEndpoint", &body).await;
            // If the answer was lost, the endpoint may exist.
            if !sent.as_ref().is_err_and(|error| error.code() == &ErrorCode::RESOURCE_ALREADY_EXISTS) {
                made.lock().await.endpoint = Some(self.name.to_owned());
            }
            sent?;
            Ok(model.flavor)
        });
        let flavor = match created.await {
            Ok(flavor) => flavor,
            Err(error) => return Err(made.lock().await.undo(self.session, error).await),
        };
        if !self.config.is_synchronous() {
            return Ok((self.describe().await?, flavor));
        }
        match self.wait.created(self.session, self.name).await {
            Ok(endpoint) => Ok((endpoint, flavor)),
            Err(error) if is_failure(&error) => Err(made.lock().await.undo(self.session, error).await),
            Err(error) => Err(error),
        }
    }

    /// Replaces the model of an endpoint, or adds one. Returns its description and the flavor of the model. A failed update
    /// leaves nothing behind: SageMaker keeps the former config, and the new resources are deleted.
    pub(crate) async fn update(&self, source: Source<'_>) -> Result<(Value, &'static str)> {
        let mode = self.config.update_mode()?;
        let endpoint = self.describe().await?;
        let state = endpoint["EndpointStatus"].as_str().unwrap_or_default();
        if state != "InService" {
            return Err(Error::new(
                ErrorCode::TEMPORARILY_UNAVAILABLE,
                format!(
                    "the deployment `{}` cannot be updated in the state `{state}`: wait for `InService`",
                    self.name
                ),
            ));
        }
        let old_name = endpoint["EndpointConfigName"].as_str().unwrap_or_default().to_owned();
        let old = self.session.read("DescribeEndpointConfig", &json!({"EndpointConfigName": old_name})).await?;
        let made = Mutex::new(Resources::default());
        let sent = self.or_cancelled(async {
            let (model_name, model) = self.model(source, &made).await?;
            let config = self.changed(&old, &model_name, mode)?;
            let config_name = self.endpoint_config(config, &made).await?;
            let body = json!({"EndpointName": self.name, "EndpointConfigName": config_name});
            self.session.change("UpdateEndpoint", &body).await?;
            Ok((config_name, model.flavor))
        });
        let (config_name, flavor) = match sent.await {
            Ok(sent) => sent,
            Err(error) => return Err(made.lock().await.undo(self.session, error).await),
        };
        if !self.config.is_synchronous() {
            return Ok((self.describe().await?, flavor));
        }
        let endpoint = match self.wait.updated(self.session, self.name, &config_name).await {
            Ok(endpoint) => endpoint,
            Err(error) if is_failure(&error) => return Err(made.lock().await.undo(self.session, error).await),
            Err(error) => return Err(error),
        };
        if !self.config.archive() {
            let replaced = if mode == Mode::Replace { models_of(&old) } else { Vec::new() };
            delete_replaced(self.session, Some(&old_name), &replaced).await;
        }
        Ok((endpoint, flavor))
    }

    /// Deletes an endpoint, and its config, models and archives unless they are archived. Succeeds if it does not exist.
    pub(crate) async fn delete(&self) -> Result<()> {
        let endpoint = match self.describe().await {
            Ok(endpoint) => endpoint,
            Err(error) if is_missing(&error) => {
                call::log(Level::Info, format!("the deployment `{}` does not exist: nothing was deleted", self.name));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let config_name = endpoint["EndpointConfigName"].as_str().unwrap_or_default();
        let config = self.session.read("DescribeEndpointConfig", &json!({"EndpointConfigName": config_name})).await;
        let models = match config {
            Ok(config) => models_of(&config),
            Err(error) if is_missing(&error) => Vec::new(),
            Err(error) => return Err(error),
        };
        match delete_endpoint(self.session, self.name).await {
            Err(error) if !is_missing(&error) => return Err(error),
            _ => {}
        }
        if !self.config.is_synchronous() {
            return Ok(());
        }
        self.wait.deleted(self.session, self.name).await?;
        if !self.config.archive() {
            delete_replaced(self.session, Some(config_name), &models).await;
        }
        Ok(())
    }

    /// Returns the description of the endpoint.
    async fn describe(&self) -> Result<Value> {
        describe(self.session, self.name).await
    }

    /// Fetches and uploads a model, and creates it in SageMaker. Returns its name.
    async fn model(&self, source: Source<'_>, made: &Mutex<Resources>) -> Result<(String, Model)> {
        let tracking: &Tracking = self.settings.tracking.as_ref().map_err(Clone::clone)?;
        let model = Model::fetch(source.uri, source.flavor, tracking).await?;
        let image = place::image(self.session, self.config, self.settings.image.as_deref(), &model).await?;
        let role = place::execution_role(self.session, self.config).await?;
        let name = names::of_model(self.name);
        let object = place::object(self.session, self.config.bucket.as_deref(), format!("{name}/model.tar.gz")).await?;
        call::progress(0.1, format!("uploading the model to `{}`", object.uri()));
        made.lock().await.object = Some(object.clone());
        let size = storage::upload(self.session, &object, Archive::pack(&model.folder)).await?;
        call::progress(0.4, format!("uploaded {} KiB", size.div_ceil(1024)));
        let mut variables = vec![
            ("MLFLOW_DEPLOYMENT_FLAVOR_NAME".to_owned(), model.flavor.to_owned()),
            ("SERVING_ENVIRONMENT".to_owned(), "SageMaker".to_owned()),
        ];
        variables.extend(self.config.env());
        variables.extend(self.settings.proxies.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let variables: serde_json::Map<_, _> =
            variables.into_iter().map(|(name, value)| (name, value.into())).collect();
        let mut tags = self.config.tags();
        tags.push(tag("model_uri", &tag_text(&model.source)));
        let mut body = json!({
            "ModelName": name,
            "PrimaryContainer": {"Image": image, "ModelDataUrl": object.uri(), "Environment": variables},
            "ExecutionRoleArn": role,
            "Tags": tags,
        });
        if let Some(vpc) = &self.config.vpc_config {
            body["VpcConfig"] = vpc.clone().into();
        }
        made.lock().await.model = Some(name.clone());
        self.session.change("CreateModel", &body).await?;
        Ok((name, model))
    }

    /// Creates a config for the endpoint. Returns its name.
    async fn endpoint_config(&self, mut body: Value, made: &Mutex<Resources>) -> Result<String> {
        let name = names::of_config(self.name);
        body["EndpointConfigName"] = name.as_str().into();
        body["Tags"] = json!([tag(NAME_TAG, self.name)]);
        let own = [
            ("AsyncInferenceConfig", self.config.async_inference_config.as_ref().filter(|config| !config.is_empty())),
            ("DataCaptureConfig", self.config.data_capture_config.as_ref()),
        ];
        for (key, value) in own {
            if let Some(value) = value {
                body[key] = value.clone().into();
            }
        }
        made.lock().await.config = Some(name.clone());
        self.session.change("CreateEndpointConfig", &body).await?;
        Ok(name)
    }

    /// Returns the changed config of an endpoint. The settings of the whole endpoint that the caller does not name are kept.
    fn changed(&self, old: &Value, model: &str, mode: Mode) -> Result<Value> {
        let mut variants = match mode {
            Mode::Replace => Vec::new(),
            Mode::Add => old["ProductionVariants"].as_array().cloned().unwrap_or_default(),
        };
        let new = self.config.variant(model, u32::from(mode == Mode::Replace));
        if variants.iter().any(|each| each["VariantName"] == new["VariantName"]) {
            return Err(Error::new(
                ErrorCode::RESOURCE_ALREADY_EXISTS,
                format!(
                    "the deployment `{}` has a variant {} already: set another `variant_name`",
                    self.name, new["VariantName"]
                ),
            ));
        }
        variants.push(new);
        let mut config = json!({"ProductionVariants": variants});
        for key in ["AsyncInferenceConfig", "DataCaptureConfig", "KmsKeyId"] {
            let is_set = !old[key].is_null() && old[key].as_object().is_none_or(|members| !members.is_empty());
            if is_set {
                config[key] = old[key].clone();
            }
        }
        Ok(config)
    }

    /// Runs the requests of a change until the caller cancels it. The caller of this function deletes what was made.
    async fn or_cancelled<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            done = work => done,
            () = call::cancelled() => {
                Err(Error::new(ErrorCode::CANCELLED, format!("the change of `{}` was cancelled", self.name)))
            }
        }
    }
}

/// Returns the description of an endpoint.
///
/// # Errors
/// `RESOURCE_DOES_NOT_EXIST` if it does not exist.
pub(crate) async fn describe(session: &Session, name: &str) -> Result<Value> {
    let described = session.read("DescribeEndpoint", &json!({"EndpointName": name})).await;
    described.map_err(|error| if is_missing(&error) { no_endpoint(name, &session.region, &error) } else { error })
}

fn is_failure(error: &Error) -> bool {
    error.code().as_str() == "DEPLOYMENT_FAILED"
}

/// Returns a text as the value of a tag, which has at most 256 letters, digits, blanks and `+-=._:/@`.
fn tag_text(text: &str) -> String {
    let fits = |each: char| each.is_alphanumeric() || " +-=._:/@".contains(each);
    text.chars().take(256).map(|each| if fits(each) { each } else { '_' }).collect()
}
