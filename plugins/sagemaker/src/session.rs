//! The signed requests of one call to AWS's services, in one region and with the credentials of one role.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use mlflow_deploy_aws::{CredentialProvider, ServiceEndpoints, sign};
use mlflow_deploy_http::{Client, Policy, Request, Response, join, request, send};
use mlflow_deploy_plugin_api::{Error, Result};
use serde_json::Value;
use url::Url;

use crate::failure::explained;

/// The headers of a request.
pub(crate) type Headers<'a> = &'a [(&'static str, &'a str)];

/// A service whose requests and answers are JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) enum JsonService {
    AutoScaling,
    Ecr,
    SageMaker,
}

impl JsonService {
    /// Returns the name in variables, the first part of the host, the name in signatures, and the prefix of operations.
    fn names(self) -> [&'static str; 4] {
        match self {
            Self::AutoScaling => [
                "APPLICATION_AUTO_SCALING",
                "application-autoscaling",
                "application-autoscaling",
                "AnyScaleFrontendService",
            ],
            Self::Ecr => ["ECR", "api.ecr", "ecr", "AmazonEC2ContainerRegistry_V20150921"],
            Self::SageMaker => ["SAGEMAKER", "api.sagemaker", "sagemaker", "SageMaker"],
        }
    }
}

/// The requests of one call, in one region and with the credentials of one role.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) region: String,
    pub(crate) credentials: CredentialProvider,
    pub(crate) endpoints: ServiceEndpoints,
    pub(crate) http: Arc<Client>,
    pub(crate) policy: Policy,
    /// The variables for the client of S3: endpoints, proxies and certificates.
    pub(crate) storage: Arc<HashMap<String, String>>,
}

/// Shows no variables, because the URL of a proxy may have a password.
impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Session").field("region", &self.region).finish_non_exhaustive()
    }
}

impl Session {
    /// Sends a request to SageMaker that changes nothing. It is repeated after a lost connection.
    pub(crate) async fn read(&self, operation: &str, body: &Value) -> Result<Value> {
        let policy = Policy { repeat_post: true, ..self.policy.clone() };
        self.json_with(JsonService::SageMaker, operation, body, &policy).await
    }

    /// Sends a request to SageMaker that changes something.
    pub(crate) async fn change(&self, operation: &str, body: &Value) -> Result<Value> {
        self.json(JsonService::SageMaker, operation, body).await
    }

    /// Sends a request to a service whose requests are JSON.
    pub(crate) async fn json(&self, service: JsonService, operation: &str, body: &Value) -> Result<Value> {
        self.json_with(service, operation, body, &self.policy).await
    }

    async fn json_with(&self, service: JsonService, operation: &str, body: &Value, policy: &Policy) -> Result<Value> {
        let [variable, host, signed_as, prefix] = service.names();
        let url = self.endpoints.url(variable, host, &self.region)?;
        let target = format!("{prefix}.{operation}");
        let headers = headers(&[("content-type", "application/x-amz-json-1.1"), ("x-amz-target", &target)])?;
        let request = request(Method::POST, &url, headers, body.to_string())?;
        let response = self.send(request, (signed_as, &self.region), operation, policy).await?;
        if response.payload.bytes().is_empty() {
            return Ok(Value::Null);
        }
        response.parse("a JSON object")
    }

    /// Sends a request to STS or IAM, and returns the XML of the answer.
    pub(crate) async fn query(&self, service: &str, action: &str, fields: &[(&str, &str)]) -> Result<String> {
        let (url, signed_as, region) = match service {
            "IAM" => (self.iam()?, "iam", if self.region.starts_with("cn-") { "cn-north-1" } else { "us-east-1" }),
            _ => (self.endpoints.url("STS", "sts", &self.region)?, "sts", self.region.as_str()),
        };
        let version = if service == "IAM" { "2010-05-08" } else { "2011-06-15" };
        let named = [("Action", action), ("Version", version)];
        let fields = named.iter().chain(fields).copied();
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let headers = headers(&[("content-type", "application/x-www-form-urlencoded; charset=utf-8")])?;
        let request = request(Method::POST, &url, headers, form)?;
        let policy = Policy { repeat_post: true, ..self.policy.clone() };
        let response = self.send(request, (signed_as, region), action, &policy).await?;
        Ok(String::from_utf8_lossy(response.payload.bytes()).into_owned())
    }

    /// Signs a request of a service in a region, and sends it. `operation` names it in errors.
    pub(crate) async fn send(
        &self,
        mut request: Request,
        (service, region): (&str, &str),
        operation: &str,
        policy: &Policy,
    ) -> Result<Response> {
        let key = self.credentials.access_key().await?;
        sign(&mut request, service, region, &key).await?;
        let shown = format!("`{operation}`");
        send(&self.http, &request, policy).await.map_err(|error| explained(&shown, &error))
    }

    /// Returns a signed request to the endpoint `name`. `path` is the kind of invocation.
    pub(crate) async fn invocation(
        &self,
        name: &str,
        path: &str,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Request> {
        let base = self.endpoints.url("SAGEMAKER_RUNTIME", "runtime.sagemaker", &self.region)?;
        let mut request = request(Method::POST, &join(&base, &format!("/endpoints/{name}/{path}")), headers, body)?;
        sign(&mut request, "sagemaker", &self.region, &self.credentials.access_key().await?).await?;
        Ok(request)
    }

    /// Returns the URL of IAM, which is one for all regions of a partition.
    fn iam(&self) -> Result<Url> {
        if let Some(url) = self.endpoints.replaced("IAM")? {
            return Ok(url);
        }
        let text = match &self.region {
            region if region.starts_with("cn-") => "https://iam.cn-north-1.amazonaws.com.cn/",
            region if region.starts_with("us-gov-") => "https://iam.us-gov.amazonaws.com/",
            _ => "https://iam.amazonaws.com/",
        };
        Url::parse(text).map_err(|error| Error::internal(format!("invalid URL `{text}`: {error}")))
    }
}

/// Returns headers with these names and values.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` if a value cannot be in a header.
pub(crate) fn headers(named: Headers<'_>) -> Result<HeaderMap> {
    let header = |(name, value): &(&'static str, &str)| {
        let value = HeaderValue::try_from(*value).map_err(|_illegal| {
            Error::invalid_parameter(format!(
                "the value for the header `{name}` has characters that a header cannot have"
            ))
        })?;
        Ok((HeaderName::from_static(name), value))
    };
    named.iter().map(header).collect()
}

/// Returns the headers of inputs with a media type.
pub(crate) fn input_headers(media_type: &str) -> Result<HeaderMap> {
    Ok(HeaderMap::from_iter([(CONTENT_TYPE, mlflow_deploy_http::content_type(media_type)?)]))
}
