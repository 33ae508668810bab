//! The operations that `invoke` runs by name: tags, autoscaling, and asynchronous predictions.

use std::time::Duration;

use mlflow_deploy_http::require_inputs;
use mlflow_deploy_plugin_api::args::Invoke;
use mlflow_deploy_plugin_api::{Config, Error, ErrorCode, Payload, Result};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::deploy::describe;
use crate::deployment_config::tag;
use crate::names;
use crate::place;
use crate::predict::asynchronous;
use crate::session::{JsonService, Session};
use crate::storage::{self, S3Object};
use crate::wait::Wait;

/// The names of the operations.
const OPERATIONS: [&str; 7] =
    ["add-tags", "delete-scaling", "delete-tags", "get-scaling", "list-tags", "predict-async", "set-scaling"];

/// The dimension that autoscaling changes.
const DIMENSION: &str = "sagemaker:variant:DesiredInstanceCount";

/// The name of the policy that this plugin sets.
const POLICY: &str = "mlflow-deploy";

#[derive(Debug, Deserialize)]
#[serde(default)]
struct AsyncConfig {
    bucket: Option<String>,
    input: Option<String>,
    wait: bool,
    timeout: f64,
}

impl Default for AsyncConfig {
    fn default() -> Self {
        Self { bucket: None, input: None, wait: true, timeout: 3600.0 }
    }
}

#[derive(Debug, Deserialize)]
struct ScalingConfig {
    variant: Option<String>,
    min_instances: u32,
    max_instances: u32,
    invocations_per_instance: f64,
}

/// Runs an operation for the endpoint `name`.
pub(crate) async fn invoke(
    session: &Session,
    name: &str,
    request: &Invoke,
    poll_interval: Duration,
) -> Result<Payload> {
    let config = &request.config;
    match request.operation.as_str() {
        "list-tags" => {
            config.check_keys(&[])?;
            Payload::from_json(&tags(session, name).await?)
        }
        "add-tags" => {
            let added: Map<String, Value> = config.parse()?;
            let added: Vec<_> =
                added.iter().map(|(key, value)| tag(key, value.as_str().unwrap_or(&value.to_string()))).collect();
            if added.is_empty() {
                return Err(Error::invalid_parameter("no tags given: the keys of the config are their names"));
            }
            let body = json!({"ResourceArn": arn(session, name).await?, "Tags": added});
            session.change("AddTags", &body).await?;
            Payload::from_json(&tags(session, name).await?)
        }
        "delete-tags" => {
            config.check_keys(&["names"])?;
            #[derive(Deserialize)]
            struct Names {
                names: Vec<String>,
            }
            let names = config.parse::<Names>()?.names;
            session.change("DeleteTags", &json!({"ResourceArn": arn(session, name).await?, "TagKeys": names})).await?;
            Payload::from_json(&tags(session, name).await?)
        }
        "get-scaling" => {
            config.check_keys(&["variant"])?;
            Payload::from_json(&scaling(session, &resource(session, name, config).await?).await?)
        }
        "set-scaling" => set_scaling(session, name, config).await,
        "delete-scaling" => {
            config.check_keys(&["variant"])?;
            let body = scalable(&resource(session, name, config).await?);
            session.json(JsonService::AutoScaling, "DeregisterScalableTarget", &body).await?;
            Ok(Payload::empty())
        }
        "predict-async" => predict_async(session, name, request, poll_interval).await,
        other => {
            let known = OPERATIONS.map(|each| format!("`{each}`")).join(", ");
            Err(Error::new(ErrorCode::NOT_IMPLEMENTED, format!("unknown operation `{other}`: expected one of {known}")))
        }
    }
}

async fn arn(session: &Session, name: &str) -> Result<Value> {
    Ok(describe(session, name).await?["EndpointArn"].take())
}

/// Returns the tags of an endpoint as an object.
async fn tags(session: &Session, name: &str) -> Result<Value> {
    let answer =
        session.read("ListTags", &json!({"ResourceArn": arn(session, name).await?, "MaxResults": 100})).await?;
    let tags = answer["Tags"].as_array().into_iter().flatten();
    let tags: Map<_, _> =
        tags.filter_map(|tag| Some((tag["Key"].as_str()?.to_owned(), tag["Value"].clone()))).collect();
    Ok(tags.into())
}

/// Returns the id of a variant for autoscaling: that of the config, or the only one of the endpoint.
async fn resource(session: &Session, name: &str, config: &Config) -> Result<String> {
    #[derive(Deserialize)]
    struct Named {
        variant: Option<String>,
    }
    let endpoint = describe(session, name).await?;
    let variants = endpoint["ProductionVariants"].as_array().into_iter().flatten();
    let variants: Vec<_> = variants.filter_map(|variant| variant["VariantName"].as_str()).collect();
    let variant = match (config.parse::<Named>()?.variant, variants.as_slice()) {
        (Some(variant), _) if variants.contains(&variant.as_str()) => variant,
        (None, [only]) => (*only).to_owned(),
        (given, _) => {
            let given = given
                .map_or_else(|| "no `variant` is given".to_owned(), |given| format!("there is no variant `{given}`"));
            let known = variants.join("`, `");
            return Err(Error::invalid_parameter(format!(
                "{given}: expected one of the endpoint's variants: `{known}`"
            )));
        }
    };
    Ok(format!("endpoint/{name}/variant/{variant}"))
}

fn scalable(resource: &str) -> Value {
    json!({"ServiceNamespace": "sagemaker", "ResourceId": resource, "ScalableDimension": DIMENSION})
}

async fn scaling(session: &Session, resource: &str) -> Result<Value> {
    let targets = json!({"ServiceNamespace": "sagemaker", "ResourceIds": [resource], "ScalableDimension": DIMENSION});
    let mut targets = session.json(JsonService::AutoScaling, "DescribeScalableTargets", &targets).await?;
    let mut policies = session.json(JsonService::AutoScaling, "DescribeScalingPolicies", &scalable(resource)).await?;
    Ok(json!({"target": targets["ScalableTargets"][0].take(), "policies": policies["ScalingPolicies"].take()}))
}

async fn set_scaling(session: &Session, name: &str, config: &Config) -> Result<Payload> {
    config.check_keys(&["invocations_per_instance", "max_instances", "min_instances", "variant"])?;
    let read: ScalingConfig = config.parse()?;
    if read.max_instances < read.min_instances || read.max_instances == 0 {
        return Err(Error::invalid_parameter(format!(
            "invalid numbers of instances {} to {}: expected a maximum of 1 or more that is not below the minimum",
            read.min_instances, read.max_instances
        )));
    }
    let resource = resource(session, name, &Config::new(&json!({"variant": read.variant}))?).await?;
    let mut body = scalable(&resource);
    body["MinCapacity"] = read.min_instances.into();
    body["MaxCapacity"] = read.max_instances.into();
    session.json(JsonService::AutoScaling, "RegisterScalableTarget", &body).await?;
    let mut body = scalable(&resource);
    body["PolicyName"] = POLICY.into();
    body["PolicyType"] = "TargetTrackingScaling".into();
    body["TargetTrackingScalingPolicyConfiguration"] = json!({
        "TargetValue": read.invocations_per_instance,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
    });
    session.json(JsonService::AutoScaling, "PutScalingPolicy", &body).await?;
    Payload::from_json(&scaling(session, &resource).await?)
}

/// Predicts asynchronously. Uploads the inputs unless the config names them, and waits for the output.
async fn predict_async(session: &Session, name: &str, request: &Invoke, poll_interval: Duration) -> Result<Payload> {
    request.config.check_keys(&["bucket", "input", "timeout", "wait"])?;
    let config: AsyncConfig = request.config.parse()?;
    let timeout = Duration::try_from_secs_f64(config.timeout).ok().filter(|timeout| !timeout.is_zero());
    let timeout =
        timeout.ok_or_else(|| Error::invalid_parameter("invalid `timeout`: expected seconds, more than 0"))?;
    let media_type = match request.inputs.content_type() {
        "" => mlflow_deploy_plugin_api::JSON,
        given => given,
    };
    let (input, uploaded) = match &config.input {
        Some(input) => (S3Object::parse(input)?, false),
        None => {
            let inputs = require_inputs(&request.inputs)?;
            let key = format!("async-inference/{name}/{}", names::random());
            let object = place::object(session, config.bucket.as_deref(), key).await?;
            storage::put(session, &object, media_type, inputs.bytes().to_vec()).await?;
            (object, true)
        }
    };
    let answer = asynchronous(session, name, media_type, &input.uri(), &Config::default()).await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if uploaded => {
            let made = crate::resources::Resources { object: Some(input), ..Default::default() };
            return Err(made.undo(session, error).await);
        }
        Err(error) => return Err(error),
    };
    let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (output, failure) = (header("x-amzn-sagemaker-outputlocation"), header("x-amzn-sagemaker-failurelocation"));
    let Some(output) = output else {
        return Err(Error::internal("the answer to the asynchronous prediction has no place of its output"));
    };
    if !config.wait {
        let id: Value = answer.parse("the id of a prediction").unwrap_or_default();
        let record =
            json!({"input": input.uri(), "output": output, "failure": failure, "inference_id": id["InferenceId"]});
        return Payload::from_json(&record);
    }
    let wait = Wait::start(poll_interval, timeout);
    let (output, failure) = (S3Object::parse(&output)?, failure.as_deref().map(S3Object::parse).transpose()?);
    loop {
        if let Some(found) = storage::get(session, &output).await? {
            return Ok(found.payload);
        }
        if let Some(failure) = &failure
            && let Some(found) = storage::get(session, failure).await?
        {
            let text = String::from_utf8_lossy(found.payload.bytes()).into_owned();
            let shown: String = text.chars().take(500).collect();
            return Err(Error::internal(format!("the asynchronous prediction failed: {shown}")));
        }
        wait.pause(&format!("the output `{}` does not exist yet", output.uri())).await?;
    }
}
