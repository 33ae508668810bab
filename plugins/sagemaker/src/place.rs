//! The places and identities that a deployment needs and that a config need not name: the image, the role of the model, and the
//! bucket.

use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, call};
use serde_json::json;

use crate::deployment_config::DeploymentConfig;
use crate::failure::{element, is_missing};
use crate::model::Model;
use crate::session::{JsonService, Session};
use crate::storage::{S3Object, bucket_exists, create_bucket};

/// The name of the repository of MLflow's images.
const REPOSITORY: &str = "mlflow-pyfunc";

/// The caller, as STS describes it.
#[derive(Debug)]
struct Identity {
    account: String,
    arn: String,
}

/// Returns the image of the container: that of the config, of a variable, or of the repository `mlflow-pyfunc`, with the version
/// of MLflow that saved the model.
pub(crate) async fn image(
    session: &Session,
    config: &DeploymentConfig,
    variable: Option<&str>,
    model: &Model,
) -> Result<String> {
    if let Some(image) = config.image_url.as_deref().or(variable) {
        return Ok(image.to_owned());
    }
    let version = model.mlflow_version.as_deref().ok_or_else(|| {
        Error::invalid_parameter(
            "the model does not say which version of MLflow saved it: set `image_url` in the config",
        )
    })?;
    let found = session.json(JsonService::Ecr, "DescribeRepositories", &json!({"repositoryNames": [REPOSITORY]})).await;
    let found = found.map_err(|error| {
        if !is_missing(&error) {
            return error;
        }
        let message = format!(
            "the account has no repository `{REPOSITORY}` of images in the region `{}`: push MLflow's image with `mlflow \
             sagemaker build-and-push-container`, or set `image_url` in the config",
            session.region
        );
        Error::new(ErrorCode::RESOURCE_DOES_NOT_EXIST, message).with_cause(&error)
    })?;
    match found["repositories"][0]["repositoryUri"].as_str() {
        Some(uri) => Ok(format!("{uri}:{version}")),
        None => Err(Error::internal("the answer to `DescribeRepositories` has no `repositoryUri`")),
    }
}

/// Returns the role of the model: that of the config, or the role of the caller.
pub(crate) async fn execution_role(session: &Session, config: &DeploymentConfig) -> Result<String> {
    if let Some(role) = &config.execution_role_arn {
        return Ok(role.clone());
    }
    let arn = identity(session).await?.arn;
    // arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION
    let parts: Vec<_> = arn.split([':', '/']).collect();
    let Some(["assumed-role", name, ..]) = parts.get(5..) else {
        return Err(Error::invalid_parameter(format!(
            "the caller `{arn}` is not a role, so that the model needs one: set `execution_role_arn` in the config, such as \
             `arn:aws:iam::123456789012:role/sagemaker`"
        )));
    };
    let answer = session.query("IAM", "GetRole", &[("RoleName", name)]).await?;
    let role = element(&answer, "Arn").ok_or_else(|| Error::internal("the answer to `GetRole` has no ARN"))?;
    Ok(role.into_owned())
}

/// Returns the object for a new file: in the bucket of the config, or in the default bucket, which is created if needed.
pub(crate) async fn object(session: &Session, bucket: Option<&str>, key: String) -> Result<S3Object> {
    if let Some(bucket) = bucket {
        return Ok(S3Object { bucket: bucket.to_owned(), key, owner: None });
    }
    let account = identity(session).await?.account;
    let bucket = format!("mlflow-sagemaker-{}-{account}", session.region);
    if !bucket_exists(session, &bucket, &account).await? {
        call::log(call::Level::Info, format!("creating the bucket `{bucket}`"));
        create_bucket(session, &bucket).await?;
    }
    Ok(S3Object { bucket, key, owner: Some(account) })
}

async fn identity(session: &Session) -> Result<Identity> {
    let answer = session.query("STS", "GetCallerIdentity", &[]).await?;
    match (element(&answer, "Account"), element(&answer, "Arn")) {
        (Some(account), Some(arn)) => Ok(Identity { account: account.into_owned(), arn: arn.into_owned() }),
        _ => Err(Error::internal("the answer to `GetCallerIdentity` has no account and no ARN")),
    }
}
