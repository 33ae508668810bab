//! Amazon S3, and stores with its protocol: reads MLflow's and Amazon's environment variables.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use mlflow_deploy_aws::{AwsEnvironment, CredentialProvider};
use mlflow_deploy_http::{Client, Environment};
use mlflow_deploy_plugin_api::{Error, Result, Secret};
use object_store::aws::{AmazonS3Builder, AwsCredential, AwsCredentialProvider};
use object_store::{ClientOptions, ObjectStore, StaticCredentialProvider};
use url::Url;

use crate::aws_keys::AwsKeys;
use crate::building::{configured, without_retries};
use crate::connector::Connector;
use crate::s3_extra_args::ExtraArgs;

/// The advice of the error for missing credentials.
pub(crate) const NO_CREDENTIALS: &str =
    "set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, and `MLFLOW_S3_ENDPOINT_URL` if the store is not Amazon's";

/// The settings of S3 in an environment.
#[derive(Clone)]
pub(crate) struct S3Settings {
    endpoint: Option<Url>,
    region: Option<String>,
    is_virtual_hosted: bool,
    expected_owner: Option<HeaderValue>,
    extra_args: ExtraArgs,
    /// The variables that select a source of credentials.
    environment: AwsEnvironment,
    /// The client for the requests to sources of credentials, such as STS.
    http: Arc<Client>,
    /// The credentials of one folder, in place of those of the environment.
    pub(crate) credentials: Option<AwsCredentialProvider>,
}

impl S3Settings {
    /// Reads the settings. `http` is the client for the requests to sources of credentials.
    pub(crate) fn read(environment: &Environment<'_>, http: &Arc<Client>) -> Result<Self> {
        check_key(environment)?;
        let region = ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().find_map(|name| environment.text(name));
        if let Some(region) = &region
            && !is_region(region)
        {
            return Err(Error::invalid_parameter(format!(
                "`AWS_REGION` is `{region}`: expected the name of a region such as `eu-west-1`"
            )));
        }
        Ok(Self {
            endpoint: endpoint(environment)?,
            region,
            is_virtual_hosted: match environment.text("MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE").as_deref() {
                None | Some("auto" | "path") => false,
                Some("virtual") => true,
                Some(other) => {
                    return Err(Error::invalid_parameter(format!(
                        "`MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE` is `{other}`: expected `auto`, `path` or `virtual`"
                    )));
                }
            },
            expected_owner: match environment.text("MLFLOW_S3_EXPECTED_BUCKET_OWNER") {
                None => None,
                Some(owner) => Some(HeaderValue::try_from(&owner).map_err(|_invalid| {
                    Error::invalid_parameter(format!(
                        "`MLFLOW_S3_EXPECTED_BUCKET_OWNER` is `{owner}`: expected the id of an account"
                    ))
                })?),
            },
            extra_args: ExtraArgs::read(environment)?,
            environment: AwsEnvironment::new(environment, &[]),
            http: Arc::clone(http),
            credentials: None,
        })
    }

    /// Returns true if another region than the given one can be used, because the user has not named an endpoint.
    pub(crate) fn may_follow_region(&self, region: &str) -> bool {
        self.endpoint.is_none() && is_region(region) && self.region.as_deref() != Some(region)
    }

    /// Returns these settings with another region.
    pub(crate) fn with_region(self, region: &str) -> Self {
        Self { region: Some(region.to_owned()), ..self }
    }

    /// Builds a client of a bucket.
    pub(crate) fn build(&self, bucket: &str, connector: Connector) -> Result<Arc<dyn ObjectStore>> {
        let region = self.region.as_deref().unwrap_or("us-east-1");
        let credentials = self.credentials.clone().unwrap_or_else(|| {
            let keys = CredentialProvider::new(&self.environment, None, region, &self.http, &connector.policy);
            Arc::new(AwsKeys(keys))
        });
        let mut builder = AmazonS3Builder::new()
            .with_credentials(credentials)
            .with_bucket_name(bucket)
            .with_region(region)
            .with_retry(without_retries())
            .with_virtual_hosted_style_request(self.is_virtual_hosted)
            .with_request_payer(self.extra_args.is_requester_paying)
            .with_http_connector(connector);
        let endpoint = match &self.endpoint {
            None if region.starts_with("cn-") => Url::parse(&format!("https://s3.{region}.amazonaws.com.cn")).ok(),
            endpoint => endpoint.clone(),
        };
        if let Some(mut endpoint) = endpoint {
            if self.is_virtual_hosted {
                let host = format!("{bucket}.{}", endpoint.host_str().unwrap_or_default());
                endpoint.set_host(Some(&host)).map_err(|error| {
                    Error::invalid_parameter(format!(
                        "the bucket `{bucket}` cannot be a part of the host `{host}`: {error}; set \
                         `MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE=path`"
                    ))
                })?;
            }
            builder = builder.with_endpoint(endpoint.as_str().trim_end_matches('/'));
        }
        if let Some(key) = &self.extra_args.customer_key {
            builder = builder.with_ssec_encryption(key.expose());
        }
        if let Some(owner) = &self.expected_owner {
            let mut headers = HeaderMap::new();
            headers.insert("x-amz-expected-bucket-owner", owner.clone());
            builder = builder.with_client_options(ClientOptions::new().with_default_headers(headers));
        }
        Ok(Arc::new(configured("Amazon S3", builder.build())?))
    }
}

/// Creates a provider of credentials that never change.
pub(crate) fn static_credentials(key_id: String, secret: &Secret, token: Option<&Secret>) -> AwsCredentialProvider {
    Arc::new(StaticCredentialProvider::new(AwsCredential {
        key_id,
        secret_key: secret.expose().to_owned(),
        token: token.map(|token| token.expose().to_owned()),
    }))
}

/// Fails if the environment has only one half of an access key.
fn check_key(environment: &Environment<'_>) -> Result<()> {
    let names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    match names.map(|name| environment.secret(name).is_some()) {
        [true, false] => Err(half(names[0], names[1])),
        [false, true] => Err(half(names[1], names[0])),
        _ => Ok(()),
    }
}

fn half(set: &str, missing: &str) -> Error {
    Error::invalid_parameter(format!("`{set}` is set, but `{missing}` is not: set both or none"))
}

/// Returns the URL of a store that is not Amazon's, or of a region of Amazon's that the user named.
fn endpoint(environment: &Environment<'_>) -> Result<Option<Url>> {
    let names = ["MLFLOW_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];
    let Some((name, text)) = names.iter().find_map(|name| Some((name, environment.text(name)?))) else {
        return Ok(None);
    };
    let url = mlflow_deploy_http::parse_url(&format!("`{name}`"), &text, "http://localhost:9000")?;
    let is_plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if !matches!(url.scheme(), "http" | "https") || !is_plain {
        let shown = mlflow_deploy_http::redact_url(&url);
        return Err(Error::invalid_parameter(format!(
            "`{name}` is `{shown}`: expected an `http` or `https` URL without user and query, such as \
             `http://localhost:9000`"
        )));
    }
    Ok(Some(url))
}

/// Returns true if a text has the form of a region's name. It becomes a part of a host.
fn is_region(text: &str) -> bool {
    !text.is_empty() && text.len() < 64 && text.chars().all(|each| each.is_ascii_alphanumeric() || each == '-')
}

/// Omits the credentials.
impl std::fmt::Debug for S3Settings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("S3Settings").field("region", &self.region).finish_non_exhaustive()
    }
}
