//! Signs requests with signature version 4.

use http::header::HOST;
use http::{HeaderValue, Uri};
use mlflow_deploy_http::{Request, hide};
use mlflow_deploy_plugin_api::{Error, Result};
use reqsign::aws::RequestSigner;
use reqsign::{Context, SignRequest};
use sha2::{Digest, Sha256};

use crate::AccessKey;

const CONTENT_HASH: &str = "x-amz-content-sha256";

/// Signs a request for a service, such as `sagemaker`, in a region. Signs the hash of the body and all headers that the request
/// has. The secrets of the key are redacted in the errors of the request. The signature is valid for some minutes.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` if a header has several blanks in sequence, which reqsign does not sign as AWS does.
/// `INTERNAL_ERROR` if the request cannot be signed.
pub async fn sign(request: &mut Request, service: &str, region: &str, key: &AccessKey) -> Result<()> {
    hide(request, key.secrets());
    let failed = |reason: &dyn std::fmt::Display| Error::internal(format!("failed to sign a request: {reason}"));
    if let Some((name, _)) =
        request.headers().iter().find(|(_, value)| value.as_bytes().windows(2).any(|two| two == b"  "))
    {
        let message =
            format!("the value of the header `{name}` has several blanks in sequence: expected one at a time");
        return Err(Error::invalid_parameter(message));
    }
    let hash: String = Sha256::digest(request.body()).iter().map(|byte| format!("{byte:02x}")).collect();
    let hash = HeaderValue::try_from(hash).map_err(|error| failed(&error))?;
    request.headers_mut().insert(CONTENT_HASH, hash);
    let uri: Uri = request.url().as_str().parse().map_err(|error| failed(&error))?;
    let (mut parts, ()) = http::Request::new(()).into_parts();
    (parts.method, parts.uri, parts.headers) = (request.method().clone(), uri, request.headers().clone());
    let signer = RequestSigner::new(service, region);
    let credential = key.credential();
    let signed = signer.sign_request(&Context::new(), &mut parts, Some(&credential), None).await;
    signed.map_err(|error| failed(&error))?;
    // The HTTP client sets the header `Host`, to the same value.
    parts.headers.remove(HOST);
    *request.headers_mut() = parts.headers;
    Ok(())
}
