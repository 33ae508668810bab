//! The members of MLflow's variable `MLFLOW_S3_UPLOAD_EXTRA_ARGS` that downloads use.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use mlflow_deploy_http::Environment;
use mlflow_deploy_plugin_api::{Error, Result, Secret};
use serde::Deserialize;

const NAME: &str = "MLFLOW_S3_UPLOAD_EXTRA_ARGS";

/// The extra arguments of downloads.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExtraArgs {
    /// The key with which the user encrypts files (SSE-C), in Base64.
    pub(crate) customer_key: Option<Secret>,
    /// True if the user pays for the requests.
    pub(crate) is_requester_paying: bool,
}

impl ExtraArgs {
    /// Reads the variable. Members that only uploads use are ignored.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the variable is not JSON of the expected form. The error contains no value.
    pub(crate) fn read(environment: &Environment<'_>) -> Result<Self> {
        #[derive(Default, Deserialize)]
        #[serde(default, rename_all = "PascalCase")]
        struct Members {
            #[serde(rename = "SSECustomerAlgorithm")]
            algorithm: Option<String>,
            #[serde(rename = "SSECustomerKey")]
            key: Option<Secret>,
            #[serde(rename = "SSECustomerKeyMD5")]
            key_md5: Option<String>,
            request_payer: Option<String>,
        }
        let invalid = |reason: &str| Err(Error::invalid_parameter(format!("`{NAME}` is invalid: {reason}")));
        let Some(text) = environment.secret(NAME) else { return Ok(Self::default()) };
        let Ok(members) = serde_json::from_str::<Members>(text.expose()) else {
            return invalid(
                "expected a JSON object whose values are strings, such as `{\"RequestPayer\": \"requester\"}`",
            );
        };
        if members.algorithm.is_some_and(|algorithm| algorithm != "AES256") {
            return invalid("`SSECustomerAlgorithm` is not `AES256`");
        }
        // As in boto3, a key with its digest is in Base64 already.
        let customer_key = members.key.map(|key| match members.key_md5 {
            Some(_) => key,
            None => Secret::new(BASE64_STANDARD.encode(key.expose())),
        });
        let is_requester_paying = members.request_payer.is_some_and(|payer| payer == "requester");
        Ok(Self { customer_key, is_requester_paying })
    }
}
