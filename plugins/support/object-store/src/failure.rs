//! Converts the errors of the library `object_store`.

use std::error::Error as StdError;

use mlflow_deploy_plugin_api::{Error, ErrorCode};
use object_store::path;

use crate::url::{Place, StoreUrl};

/// The detail of an error that has the region of the bucket, as the store reports it.
pub(crate) const BUCKET_REGION: &str = "bucket_region";

/// Converts an error of the library. An error of the HTTP client that the library has wrapped is returned as it was,
/// with advice.
pub(crate) fn convert(url: &StoreUrl, error: &object_store::Error) -> Error {
    if let Some(own) = find(error) {
        return explain(url, own.clone());
    }
    match error {
        object_store::Error::InvalidPath { source } => {
            let path = match source {
                path::Error::EmptySegment { path } | path::Error::BadSegment { path, .. } => {
                    path.escape_debug().to_string()
                }
                _ => String::new(),
            };
            Error::internal(format!(
                "invalid listing of `{url}`: `{path}` has a name that is empty, `.` or `..`, or that has a control character"
            ))
        }
        // The text of the error may quote the answer, which may repeat a secret of the request.
        _ => Error::internal(format!("`{url}`: {}; check the endpoint of the store", unexpected(&innermost(error)))),
    }
}

/// Adds advice to the refusal of a store.
fn explain(url: &StoreUrl, error: Error) -> Error {
    let store_code = error.details().get("error_code").and_then(|code| code.as_str()).unwrap_or_default().to_owned();
    let region = error.details().get(BUCKET_REGION).and_then(|region| region.as_str()).map(str::to_owned);
    let advice = match (error.http_status(), store_code.as_str(), region) {
        (Some(301 | 307 | 400), _, Some(region)) => {
            format!("the bucket is in the region `{region}`: set `AWS_REGION={region}`")
        }
        (Some(301 | 307), ..) => "the bucket is in another region or at another endpoint: set `AWS_REGION`".to_owned(),
        (_, "NoSuchBucket" | "ContainerNotFound", _) => "check the name of the bucket or container".to_owned(),
        (_, "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken" | "InvalidToken", _)
        | (Some(401 | 403), ..) => match url.place {
            Place::S3 { .. } => "check the credentials and their rights to list and read, such as those in `AWS_ACCESS_KEY_ID`",
            Place::Gcs { .. } => "check the credentials in `GOOGLE_APPLICATION_CREDENTIALS` and their rights to list and read",
            Place::Azure { .. } => {
                "check the credentials in `AZURE_STORAGE_CONNECTION_STRING` or `AZURE_STORAGE_ACCESS_KEY`, and their rights to \
                 list and read"
            }
        }
        .to_owned(),
        (Some(404), ..) => "check the name of the bucket or container, and the endpoint".to_owned(),
        _ => return error,
    };
    let code = match (error.http_status(), store_code.as_str()) {
        (Some(301 | 307 | 400), _) => ErrorCode::INVALID_PARAMETER_VALUE,
        _ => error.code().clone(),
    };
    let mut explained = Error::new(code, format!("`{url}`: {}; {advice}", error.message())).with_cause(&error);
    if let Some(http) = error.http() {
        explained = explained.with_http(http.clone());
    }
    for (name, value) in error.details() {
        explained = explained.with_detail(name, value.clone());
    }
    explained
}

/// Returns the error of the HTTP client or of a credential provider inside an error of the library.
fn find<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Error> {
    error.downcast_ref::<Error>().or_else(|| find(error.source()?))
}

/// Describes an answer that the library did not expect.
fn unexpected(text: &str) -> &'static str {
    match text {
        _ if text.contains("non-partial") => "the answer has the whole file, but a part was requested",
        _ if text.contains("Content-Range") || text.contains("Requested") => "the answer has another part of a file",
        _ => "the answer does not have the form that the store's protocol requires",
    }
}

/// Returns the text of the innermost cause, because the library repeats it in every outer error.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}
