//! The errors of AWS's services as errors of this project: missing, existing, throttled, denied.

use std::borrow::Cow;

use mlflow_deploy_plugin_api::{Error, ErrorCode, HttpFailure};
use serde_json::Value;

/// The error codes of AWS after which a request is sent again, because the service did not act on it.
pub(crate) const THROTTLED: [&str; 8] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "SlowDown",
    "ServiceUnavailableException",
];

/// Returns the error of a service with the code of its kind, and with the service's own message.
pub(crate) fn explained(operation: &str, error: &Error) -> Error {
    let Some(http) = error.http() else { return error.clone() };
    let (aws, message) = read(error, http);
    let aws = aws.unwrap_or_default();
    let code = code(&aws, &message, http.status).unwrap_or_else(|| error.code().clone());
    let shown = if aws.is_empty() { String::new() } else { format!("{aws}: ") };
    let id = http.request_id.as_ref().map(|id| format!(" (request {id})")).unwrap_or_default();
    let explained = Error::new(code, format!("{operation} failed: {shown}{message}{id}")).with_cause(error);
    let explained = if aws.is_empty() { explained } else { explained.with_detail("error_code", aws.as_ref()) };
    let explained = if error.is_retryable() { explained.retryable() } else { explained };
    explained.with_http(http.clone())
}

/// Returns true if the error says that a resource does not exist.
pub(crate) fn is_missing(error: &Error) -> bool {
    error.code() == &ErrorCode::RESOURCE_DOES_NOT_EXIST
}

/// Returns the error for an endpoint that does not exist.
pub(crate) fn no_endpoint(name: &str, region: &str, error: &Error) -> Error {
    let message = format!(
        "the deployment `{name}` does not exist in the region `{region}`: see those that do with `list`, or set the region in \
         the target, such as `sagemaker:/eu-west-1`"
    );
    let missing = Error::new(ErrorCode::RESOURCE_DOES_NOT_EXIST, message).with_cause(error);
    match error.http() {
        Some(http) => missing.with_http(http.clone()),
        None => missing,
    }
}

/// Returns the error of a model that answered with an error, whose text SageMaker passes on; `None` for another error.
pub(crate) fn of_model(error: &Error) -> Option<Error> {
    let http = error.http().filter(|http| http.status == 424)?;
    let body: Value = serde_json::from_str(&http.body).ok()?;
    let status = body["OriginalStatusCode"].as_u64()?;
    let text = body["OriginalMessage"].as_str().unwrap_or_default();
    let own: Value = serde_json::from_str(text).unwrap_or_default();
    let message = own["message"].as_str().unwrap_or(text);
    let code = match (own["error_code"].as_str(), status) {
        (Some(code), _) => ErrorCode::new(code.to_owned()),
        (None, 400..=499) => ErrorCode::BAD_REQUEST,
        (None, _) => ErrorCode::INTERNAL_ERROR,
    };
    let failed = Error::new(code, format!("the model answered with the status {status}: {message}")).with_cause(error);
    Some(failed.with_http(HttpFailure::new(u16::try_from(status).unwrap_or(424), text)))
}

/// Returns AWS's error code and message.
fn read<'a>(error: &'a Error, http: &'a HttpFailure) -> (Option<Cow<'a, str>>, Cow<'a, str>) {
    if http.body.trim_start().starts_with('<') {
        return (element(&http.body, "Code"), element(&http.body, "Message").unwrap_or_else(|| error.message().into()));
    }
    let code = error.details().get("error_code").and_then(Value::as_str).map(Cow::Borrowed);
    let body: Value = serde_json::from_str(&http.body).unwrap_or_default();
    let message = ["message", "Message"].iter().find_map(|name| body[*name].as_str().map(str::to_owned));
    (code, message.map_or_else(|| error.message().into(), Cow::Owned))
}

/// Returns the text of the first element with a name.
pub(crate) fn element<'a>(xml: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    quick_xml::escape::unescape(text.trim()).ok()
}

fn code(aws: &str, message: &str, status: u16) -> Option<ErrorCode> {
    let text = message.to_lowercase();
    let is_missing = text.contains("could not find") || text.contains("not found") || text.contains("does not exist");
    Some(match aws {
        _ if THROTTLED.contains(&aws) => ErrorCode::RESOURCE_EXHAUSTED,
        "ResourceNotFound"
        | "ResourceNotFoundException"
        | "ObjectNotFoundException"
        | "NoSuchKey"
        | "NoSuchBucket"
        | "NoSuchEntity"
        | "RepositoryNotFoundException" => ErrorCode::RESOURCE_DOES_NOT_EXIST,
        "ValidationException" | "ValidationError" if is_missing => ErrorCode::RESOURCE_DOES_NOT_EXIST,
        "ValidationException" if text.contains("already exist") => ErrorCode::RESOURCE_ALREADY_EXISTS,
        "ResourceInUse" | "ResourceInUseException" => ErrorCode::RESOURCE_ALREADY_EXISTS,
        "ResourceLimitExceeded" => ErrorCode::RESOURCE_EXHAUSTED,
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => ErrorCode::PERMISSION_DENIED,
        "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "MissingAuthenticationToken" => ErrorCode::UNAUTHENTICATED,
        "ValidationException" | "ValidationError" => ErrorCode::INVALID_PARAMETER_VALUE,
        _ if status == 404 => ErrorCode::RESOURCE_DOES_NOT_EXIST,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, aws: &str, body: &str) -> Error {
        let error = Error::new(ErrorCode::BAD_REQUEST, "400 Client Error").with_http(HttpFailure::new(status, body));
        explained("`CreateModel`", &if aws.is_empty() { error } else { error.with_detail("error_code", aws) })
    }

    #[test]
    fn errors_have_the_code_of_their_kind() {
        for (status, aws, body, code) in [
            (400, "ValidationException", r#"{"message": "Could not find endpoint \"a\"."}"#, "RESOURCE_DOES_NOT_EXIST"),
            (400, "ValidationError", r#"{"Message": "Endpoint a of account 1 not found."}"#, "RESOURCE_DOES_NOT_EXIST"),
            (
                400,
                "ValidationException",
                r#"{"message": "Cannot create already existing endpoint"}"#,
                "RESOURCE_ALREADY_EXISTS",
            ),
            (400, "ValidationException", r#"{"message": "1 validation error detected"}"#, "INVALID_PARAMETER_VALUE"),
            (400, "ThrottlingException", r#"{"message": "Rate exceeded"}"#, "RESOURCE_EXHAUSTED"),
            (400, "AccessDeniedException", r#"{"message": "no"}"#, "PERMISSION_DENIED"),
            (400, "ResourceLimitExceeded", r#"{"message": "quota"}"#, "RESOURCE_EXHAUSTED"),
            (403, "", "<Error><Code>InvalidAccessKeyId</Code><Message>a &amp; b</Message></Error>", "UNAUTHENTICATED"),
            (404, "", "<Error><Code>NoSuchBucket</Code><Message>b</Message></Error>", "RESOURCE_DOES_NOT_EXIST"),
            (400, "Other", "{}", "BAD_REQUEST"),
        ] {
            assert_eq!(error(status, aws, body).code().as_str(), code, "{body}");
        }
        let shown = error(403, "", "<Error><Code>InvalidAccessKeyId</Code><Message>a &amp; b</Message></Error>");
        assert_eq!(shown.message(), "`CreateModel` failed: InvalidAccessKeyId: a & b");
    }

    #[test]
    fn the_error_of_a_model_has_the_model_s_code_and_message() {
        let body = r#"{"OriginalStatusCode": 400, "OriginalMessage": "{\"error_code\": \"BAD_REQUEST\", \"message\": \"no rows\"}"}"#;
        let of_body = |body: &str| of_model(&Error::internal("424").with_http(HttpFailure::new(424, body)));
        let own = of_body(body).unwrap();
        assert_eq!((own.code().as_str(), own.http_status()), ("BAD_REQUEST", Some(400)));
        assert_eq!(own.message(), "the model answered with the status 400: no rows");
        let text = of_body(r#"{"OriginalStatusCode": 500, "OriginalMessage": "broken"}"#).unwrap();
        assert_eq!(
            (text.code().as_str(), text.message()),
            ("INTERNAL_ERROR", "the model answered with the status 500: broken")
        );
        assert!(of_body("{}").is_none() && of_model(&Error::internal("x")).is_none());
    }
}
