//! Sends a request, follows its redirects, and retries it after failed attempts.

use std::borrow::Cow;
use std::time::Duration;

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use mlflow_deploy_plugin_api::{Redactor, Result, call};
use tokio::time::sleep;

use crate::attempt_error::{AttemptError, Stage};
use crate::request::Request;
use crate::streaming_response::StreamingResponse;
use crate::timeouts::Timeouts;
use crate::url::redact_url;
use crate::{Client, Policy, redirect};

/// Sends a request until an attempt succeeds or the policy forbids another attempt. `vary` adds the headers that differ
/// between attempts. `read` reads the body of a response, and the attempt fails if `read` fails.
///
/// The error contains no secret of the request and no secret that the HTTP library adds, even if the server repeats it.
pub(crate) async fn send_with_retries<T, F: Future<Output = Result<T, AttemptError>> + Send>(
    client: &Client,
    request: &Request,
    policy: &Policy,
    vary: impl Fn(&mut HeaderMap) + Sync,
    read: impl Fn(StreamingResponse) -> F,
) -> Result<T> {
    send_accepting(client, request, policy, |status| status.is_success(), vary, read).await
}

/// Sends a request as [`send_with_retries`] does, but also reads the responses with another status for which `accepts`
/// returns true. Such a status never causes a retry, and such a redirect is not followed.
pub(crate) async fn send_accepting<T, F: Future<Output = Result<T, AttemptError>> + Send>(
    client: &Client,
    request: &Request,
    policy: &Policy,
    accepts: impl Fn(StatusCode) -> bool + Sync,
    vary: impl Fn(&mut HeaderMap) + Sync,
    read: impl Fn(StreamingResponse) -> F,
) -> Result<T> {
    let redactor = client.redactor(request);
    call::hide(&redactor);
    let result = async {
        client.guard_plain_credentials(request)?;
        // The client reads certificates on first use. This does not count as the server's time.
        client.transport(request.url()).await?;
        let timeouts = Timeouts::start(policy);
        let shared = Shared { policy, timeouts: &timeouts, redactor: &redactor, accepts: &accepts };
        run_attempts(client, request, &shared, vary, read).await
    };
    result.await.map_err(|error| error.redacted(&redactor))
}

async fn run_attempts<T, F: Future<Output = Result<T, AttemptError>> + Send>(
    client: &Client,
    request: &Request,
    shared: &Shared<'_>,
    vary: impl Fn(&mut HeaderMap) + Sync,
    read: impl Fn(StreamingResponse) -> F,
) -> Result<T> {
    let Shared { policy, timeouts, .. } = *shared;
    let mut attempts = 0;
    let mut previous = String::new();
    loop {
        attempts += 1;
        let result = match attempt(client, request, &vary, shared).await {
            Ok(response) => read(response).await,
            Err(error) => Err(error),
        };
        let error = match result {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if !may_retry(policy, request.method(), &error) {
            let note = if error.stage == Stage::Final { previous.as_str() } else { "" };
            return Err(error.into_error(false, note));
        }
        if attempts > policy.max_retries {
            let note = if attempts > 1 { format!("; gave up after {attempts} attempts") } else { String::new() };
            return Err(error.into_error(true, &note));
        }
        let wait = policy.wait(attempts, error.retry_after);
        if wait > policy.max_wait || timeouts.end_within(wait) {
            let note = format!("; gave up, as the next attempt would have to wait {:.1} s", wait.as_secs_f64());
            return Err(error.into_error(true, &note));
        }
        let hint = match attempts {
            1 => format!(", up to {} times; set `max_retries=0` or a `timeout` to stop sooner", policy.max_retries),
            _ => String::new(),
        };
        call::warn(format!("{}; retrying {}{hint}", error.message, delay(wait)));
        // The text becomes part of the error if the deadline passes during the next attempt.
        previous = format!("; the previous attempt failed: {}", error.message);
        sleep(wait).await;
    }
}

/// Returns true if the policy allows another attempt after `error`.
fn may_retry(policy: &Policy, method: &Method, error: &AttemptError) -> bool {
    let is_repeatable = method.is_idempotent() || policy.repeat_post;
    match error.stage {
        Stage::Status(_) if error.error_code().is_some_and(|code| policy.final_codes.contains(&code)) => false,
        Stage::Status(_) if error.error_code().is_some_and(|code| policy.retry_error_codes.contains(&code)) => true,
        Stage::Status(_) if policy.respect_should_retry && error.should_retry.is_some() => {
            error.should_retry == Some(true)
        }
        Stage::Unsent => true,
        Stage::Unanswered => is_repeatable,
        // A server that sends `Retry-After` for a large request accepts the request after that time.
        Stage::Status(StatusCode::PAYLOAD_TOO_LARGE) => error.retry_after.is_some() && policy.respect_retry_after,
        Stage::Status(status) => {
            policy.retry_codes.contains(&status.as_u16())
                && (is_repeatable || policy.post_retry_codes.contains(&status.as_u16()))
        }
        Stage::Final => false,
    }
}

/// Describes the time of the next attempt for a message, such as `in 1.5 s`.
fn delay(wait: Duration) -> String {
    match wait {
        Duration::ZERO => "now".to_owned(),
        short if short < Duration::from_millis(100) => format!("in {} ms", short.as_millis().max(1)),
        long => format!("in {:.1} s", long.as_secs_f64()),
    }
}

/// The parameters that all attempts to send a request share.
struct Shared<'a> {
    policy: &'a Policy,
    timeouts: &'a Timeouts,
    redactor: &'a Redactor,
    /// Returns true for the statuses whose responses are read, in addition to the statuses of success.
    accepts: &'a (dyn Fn(StatusCode) -> bool + Sync),
}

/// Sends a request once and follows its redirects. Fails if the status of the response is not accepted.
async fn attempt(
    client: &Client,
    request: &Request,
    vary: &(impl Fn(&mut HeaderMap) + Sync),
    shared: &Shared<'_>,
) -> Result<StreamingResponse, AttemptError> {
    let Shared { policy, timeouts, redactor, accepts } = *shared;
    let mut url = Cow::Borrowed(request.url());
    let mut hops = 0;
    loop {
        let transport = client.transport(&url).await.map_err(AttemptError::from_request)?;
        let mut headers = request.headers().clone();
        vary(&mut headers);
        if request.body().is_empty() && !request.method().is_safe() {
            // Some servers wait for a body if its length is not announced.
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let sent = transport.request(request.method(), &url, headers, request.body().clone());
        let sent = transport.send(sent.map_err(AttemptError::from_request)?, &url);
        let via = |error: AttemptError| match transport.proxy_of(&url) {
            Some(proxy) => error.through(proxy),
            None => error,
        };
        let shown = redact_url(&url);
        let inner = timeouts.wait_for(sent, &shown).await.map_err(&via)?;
        let response = StreamingResponse::new(inner, shown, policy, redactor, timeouts);
        let status = response.inner.status();
        if status.is_success() || accepts(status) {
            return Ok(response);
        }
        if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Err(via(response.into_error().await));
        }
        let next = redirect::target(status, response.inner.headers(), request.method(), &url, policy).map_err(via)?;
        hops += 1;
        if hops > redirect::MAX_HOPS {
            return Err(redirect::too_long(status, &url));
        }
        url = Cow::Owned(next);
    }
}

#[cfg(test)]
mod tests {
    use mlflow_deploy_plugin_api::ErrorCode;

    use super::*;

    #[test]
    fn a_delay_is_shown_with_significant_digits() {
        let shown = [0, 300, 40_000, 1_540_000].map(|micros| delay(Duration::from_micros(micros)));
        assert_eq!(shown, ["now", "in 1 ms", "in 40 ms", "in 1.5 s"]);
    }

    #[test]
    fn a_post_is_retried_only_if_the_server_has_not_acted_on_it() {
        let policy = Policy::default();
        let repeating = Policy { repeat_post: true, ..Policy::default() };
        let status = |status| Stage::Status(StatusCode::from_u16(status).unwrap());
        let error = |stage| AttemptError::new(stage, ErrorCode::BAD_REQUEST, "");
        for (stage, get, post, repeated_post) in [
            (Stage::Unsent, true, true, true),
            (Stage::Unanswered, true, false, true),
            (status(429), true, true, true),
            (status(500), true, false, true),
            (status(502), true, true, true),
            (status(503), true, true, true),
            (status(504), false, false, false),
            (status(408), false, false, false),
            (status(413), false, false, false),
            (Stage::Final, false, false, false),
        ] {
            let allowed = [
                may_retry(&policy, &Method::GET, &error(stage)),
                may_retry(&policy, &Method::POST, &error(stage)),
                may_retry(&repeating, &Method::POST, &error(stage)),
            ];
            assert_eq!(allowed, [get, post, repeated_post], "{stage:?}");
        }
        let mut too_large = error(status(413));
        too_large.retry_after = Some(Duration::ZERO);
        assert!(may_retry(&policy, &Method::POST, &too_large));
    }
}
