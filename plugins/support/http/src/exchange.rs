//! One request from its first attempt to its last: redirects within an attempt, waits and retries between attempts.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Redactor, Result, call};
use tokio::time::sleep;
use url::Url;

use crate::address::redact_url;
use crate::fault::{Fault, Refusal, Stage};
use crate::patience::Patience;
use crate::send::Request;
use crate::{Client, Policy, redirect};

/// As much of the body of an error is read.
pub(crate) const MAX_REFUSAL: usize = 64 * 1024;

/// Sends a request until it succeeds or may not be sent again. `vary` adds to the headers of an attempt what is its
/// own; `read` takes what it needs of the answer's body, and where that fails, the attempt has failed.
///
/// No error repeats a secret of the request's, whatever part of it: what is sent, what the HTTP library adds, and what
/// either of them says.
pub(crate) async fn exchange<T, F: Future<Output = Result<T, Fault>> + Send>(
    client: &Client,
    request: &Request,
    policy: &Policy,
    vary: impl Fn(&mut HeaderMap) + Sync,
    read: impl Fn(Opened) -> F,
) -> Result<T> {
    let redactor = client.redactor(request);
    call::hide(&redactor);
    let answer = attempts(client, request, policy, vary, read, &redactor).await;
    answer.map_err(|error| error.redacted(&redactor))
}

async fn attempts<T, F: Future<Output = Result<T, Fault>> + Send>(
    client: &Client,
    request: &Request,
    policy: &Policy,
    vary: impl Fn(&mut HeaderMap) + Sync,
    read: impl Fn(Opened) -> F,
    redactor: &Redactor,
) -> Result<T> {
    let url = Url::parse(&request.uri().to_string())
        .map_err(|error| Error::invalid_parameter(format!("the URL of the request is not one: {error}")))?;
    client.guard_plain_credentials(request, &url)?;
    // Certificates are read once, and that is not the server's time.
    let inner = client.inner().await?;
    let patience = Patience::new(policy);
    let mut attempts = 0;
    let mut before = String::new();
    loop {
        attempts += 1;
        let mut headers = request.headers().clone();
        vary(&mut headers);
        let opened = attempt(inner, request, &headers, &url, policy, &Shared { patience: &patience, redactor }).await;
        let answer = match opened {
            Ok(opened) => read(opened).await,
            Err(fault) => Err(fault),
        };
        let fault = match answer {
            Ok(answer) => return Ok(answer),
            Err(fault) => fault,
        };
        if !policy.allows(request.method(), &fault) {
            let note = if fault.stage == Stage::Settled { before.as_str() } else { "" };
            return Err(fault.into_error(false, note));
        }
        if attempts > policy.max_retries {
            let note = if attempts > 1 { format!("; gave up after {attempts} attempts") } else { String::new() };
            return Err(fault.into_error(true, &note));
        }
        let wait = policy.wait(attempts, fault.retry_after);
        if wait > policy.longest_wait || patience.ends_within(wait) {
            let note = format!("; gave up, as the next attempt would have to wait {:.1} s", wait.as_secs_f64());
            return Err(fault.into_error(true, &note));
        }
        let hint = match attempts {
            1 => format!(", up to {} times: `max_retries=0` or a `timeout` ends it sooner", policy.max_retries),
            _ => String::new(),
        };
        call::warn(format!("{}; trying again {}{hint}", fault.message, when(wait)));
        // Should the time run out, this tells more than that it did.
        before = format!("; before that, {}", fault.message);
        sleep(wait).await;
    }
}

/// When the next attempt is.
fn when(wait: Duration) -> String {
    match wait {
        Duration::ZERO => "now".to_owned(),
        short if short < Duration::from_millis(100) => format!("in {} ms", short.as_millis().max(1)),
        long => format!("in {:.1} s", long.as_secs_f64()),
    }
}

/// What all attempts have in common.
struct Shared<'a> {
    patience: &'a Patience,
    redactor: &'a Redactor,
}

/// Sends a request once, and again wherever it is redirected to, until a server accepts it.
async fn attempt(
    client: &reqwest::Client,
    request: &Request,
    headers: &HeaderMap,
    url: &Url,
    policy: &Policy,
    shared: &Shared<'_>,
) -> Result<Opened, Fault> {
    let Shared { patience, redactor } = *shared;
    let mut url = url.clone();
    let mut shown = redact_url(&url);
    let mut hops = 0;
    loop {
        let mut sent = reqwest::Request::new(request.method().clone(), url.clone());
        sent.headers_mut().clone_from(headers);
        *sent.body_mut() = Some(request.body().clone().into());
        if request.body().is_empty() && !request.method().is_safe() {
            // Some servers wait for a body where none is announced.
            sent.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let response = patience.wait_for(client.execute(sent), &shown).await?;
        let opened = Opened {
            response,
            url: shown,
            redactor: redactor.clone(),
            longest: policy.longest_answer,
            taken: policy.taken,
            patience: patience.clone(),
        };
        let status = opened.response.status();
        if status.is_success() {
            return Ok(opened);
        }
        if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Err(opened.refused().await);
        }
        let next = redirect::target(status, opened.response.headers(), request.method(), &url, policy)?;
        hops += 1;
        if hops > redirect::MAX_HOPS {
            return Err(redirect::too_long(status, &url));
        }
        url = next;
        shown = redact_url(&url);
    }
}

/// An answer whose body has still to be read.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) response: reqwest::Response,
    /// Where it came from, as it may be printed.
    pub(crate) url: String,
    /// What no error may repeat.
    pub(crate) redactor: Redactor,
    longest: usize,
    /// How much of that earlier answers have taken.
    taken: usize,
    patience: Patience,
}

impl Opened {
    /// The next part of the body; none at its end. A body that breaks off is a fault.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Fault> {
        self.patience.wait_for(self.response.chunk(), &self.url).await
    }

    /// Adds a part to a body that is held in memory, unless that becomes too long: a server may send without end.
    pub(crate) fn hold(&self, body: &mut Vec<u8>, part: &[u8]) -> Result<(), Fault> {
        let to_come = self.response.content_length().and_then(|rest| usize::try_from(rest).ok()).unwrap_or_default();
        let length = (self.taken + body.len() + part.len()).saturating_add(to_come);
        if length > self.longest {
            let what = if self.taken > 0 { "pages of the list at" } else { "answer of" };
            let has = if self.taken > 0 { "have" } else { "has" };
            let message = format!(
                "the {what} `{}` {has} {length} bytes or more, and {} are the most that are taken: ask for less at \
                 once, and check that the URL is the target's own",
                self.url, self.longest
            );
            return Err(Fault::new(Stage::Settled, ErrorCode::INTERNAL_ERROR, message));
        }
        body.extend_from_slice(part);
        Ok(())
    }

    /// What the answer says, where it is not a success.
    async fn refused(mut self) -> Fault {
        let mut body = Vec::new();
        // The status counts, also where the rest of the answer never comes.
        while let Ok(Some(chunk)) = self.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() >= MAX_REFUSAL {
                break;
            }
        }
        let body = String::from_utf8_lossy(&body);
        Fault::refused(&Refusal {
            status: self.response.status(),
            headers: self.response.headers(),
            body: &body,
            url: &self.url,
            redactor: &self.redactor,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_said_in_digits_that_tell_something() {
        let said = [0, 300, 40_000, 1_540_000].map(|micros| when(Duration::from_micros(micros)));
        assert_eq!(said, ["now", "in 1 ms", "in 40 ms", "in 1.5 s"]);
    }
}
