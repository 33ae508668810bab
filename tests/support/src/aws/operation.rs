//! The names of operations.

use crate::server::Request;

/// Returns the name of the operation of a request.
pub(super) fn operation(request: &Request) -> String {
    if let Some((_, operation)) = request.header("x-amz-target").and_then(|target| target.split_once('.')) {
        return operation.to_owned();
    }
    let text = request.text();
    match text.strip_prefix("Action=") {
        Some(rest) => rest.split('&').next().unwrap_or_default().to_owned(),
        None => {
            let (_, query) = request.path.split_once('?').unwrap_or_default();
            let query = query.split(['=', '&']).next().unwrap_or_default();
            format!("{} {query}", request.method).trim().to_owned()
        }
    }
}
