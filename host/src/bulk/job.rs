//! One request on its way: the rows that still need an answer, and the answers and errors so far.

use std::time::Duration;

use mlflow_deploy_plugin_api::{Error, Payload};

use super::lines;
use super::request::{BulkRequest, Form};
use crate::Usage;

/// The maximum number of attempts to send the same rows, whatever their errors are.
const MAX_ATTEMPTS: u32 = 100;

/// The longest wait before a retry, if the target does not say how long to wait.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// The shortest wait before a retry.
const MIN_BACKOFF: Duration = Duration::from_millis(200);

/// One request on its way.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) request: BulkRequest,
    /// The line or the error of each row; `None` for a row without an answer.
    results: Vec<Option<Result<Vec<u8>, Error>>>,
    /// The positions of the rows that are sent together. The last part is sent next.
    parts: Vec<Vec<usize>>,
    /// The attempts to send the last part.
    attempts: u32,
    /// The attempts that count towards the maximum number of retries.
    counted: u32,
    /// The number of requests that the target had accepted at the last attempt.
    pub(super) accepted_before: u64,
    pub(super) usage: Usage,
    pub(super) latency: Duration,
    /// The number of requests that were sent, with retries and parts.
    pub(super) requests: u32,
}

impl Job {
    pub(super) fn new(request: BulkRequest) -> Self {
        let unreadable = |error: &Error| Some(Err(error.clone()));
        let results: Vec<_> = request.rows.iter().map(|row| row.content.as_ref().err().and_then(unreadable)).collect();
        let readable: Vec<_> = (0..results.len()).filter(|position| results[*position].is_none()).collect();
        let parts = if readable.is_empty() { Vec::new() } else { vec![readable] };
        let usage = Usage::default();
        Self {
            request,
            results,
            parts,
            attempts: 0,
            counted: 0,
            accepted_before: 0,
            usage,
            latency: Duration::ZERO,
            requests: 0,
        }
    }

    /// Returns true if every row has an answer or an error.
    pub(super) fn is_done(&self) -> bool {
        self.parts.is_empty()
    }

    /// Returns the inputs to send next.
    pub(super) fn inputs(&self) -> Payload {
        self.request.inputs(self.parts.last().map_or(&[], Vec::as_slice))
    }

    /// Records an answer to the rows that were sent.
    pub(super) fn accept(&mut self, answer: &Payload, latency: Duration) {
        self.usage += Usage::of(answer).unwrap_or_default();
        self.latency = latency;
        let part = self.next_part();
        let lines = match self.request.form {
            Form::Request(_) => lines::whole(answer).map(|line| vec![line]),
            Form::Table { .. } => lines::for_rows(answer, part.len()),
        };
        match lines {
            Ok(lines) => part.iter().zip(lines).for_each(|(position, line)| self.results[*position] = Some(Ok(line))),
            Err(error) => self.fail(&part, &error),
        }
    }

    /// Records that the rows that were sent are refused. Several rows are sent again in two halves, so that one bad row
    /// does not cost the others their answer.
    pub(super) fn refuse(&mut self, error: &Error, latency: Duration) {
        self.latency = latency;
        let mut part = self.next_part();
        if part.len() == 1 {
            return self.fail(&part, error);
        }
        let second = part.split_off(part.len() / 2);
        self.parts.extend([second, part]);
    }

    /// Records that the rows that were sent get no answer. A second attempt of their halves would not help.
    pub(super) fn give_up(&mut self, error: &Error) {
        let part = self.next_part();
        self.fail(&part, error);
    }

    /// Returns the wait before the next attempt; `None` if there were as many attempts as allowed. An attempt with
    /// `counts` false uses up no retry, unless retries are not wanted at all.
    pub(super) fn retry(&mut self, counts: bool, max_retries: u32, retry_after: Option<Duration>) -> Option<Duration> {
        self.attempts += 1;
        self.counted += u32::from(counts);
        if max_retries == 0 || self.counted > max_retries || self.attempts >= MAX_ATTEMPTS {
            return None;
        }
        Some(retry_after.unwrap_or_else(|| backoff(self.attempts, self.request.number)))
    }

    /// Returns the results of the rows with their lines in the input.
    pub(super) fn results(&self) -> impl Iterator<Item = (u64, &Result<Vec<u8>, Error>)> {
        let rows = self.request.rows.iter().zip(&self.results);
        rows.filter_map(|(row, result)| Some((row.line, result.as_ref()?)))
    }

    fn next_part(&mut self) -> Vec<usize> {
        (self.attempts, self.counted) = (0, 0);
        self.parts.pop().unwrap_or_default()
    }

    fn fail(&mut self, part: &[usize], error: &Error) {
        part.iter().for_each(|position| self.results[*position] = Some(Err(error.clone())));
    }
}

/// Returns the wait before a retry. It doubles with each attempt. It differs between requests, so that requests that
/// fail together are not sent again together.
fn backoff(attempt: u32, number: u64) -> Duration {
    let doubled = MIN_BACKOFF.saturating_mul(1 << (attempt - 1).min(16)).min(MAX_BACKOFF);
    // 3/4 to 5/4 of the time, by a hash of the number.
    let spread = u32::try_from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 55).unwrap_or_default();
    doubled.mul_f64(0.75 + f64::from(spread) / 1024.0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mlflow_deploy_plugin_api::JSON;

    use super::super::request::BulkRow;
    use super::*;

    fn job(rows: &[&str]) -> Job {
        let content = |text: &str| if text == "bad" { Err(Error::invalid_parameter("bad")) } else { Ok(text.into()) };
        let rows = (1..).zip(rows).map(|(line, text)| BulkRow { line, content: content(text) }).collect();
        Job::new(BulkRequest { number: 0, checksum: 0, input_bytes: 0, form: Form::records(), rows })
    }

    fn shown(job: &Job) -> Vec<String> {
        let text = |result: &Result<Vec<u8>, Error>| match result {
            Ok(line) => String::from_utf8_lossy(line).into_owned(),
            Err(error) => error.to_string(),
        };
        job.results().map(|(line, result)| format!("{line} {}", text(result))).collect()
    }

    /// Answers each request with the records in it, but refuses a request with the record 0.
    fn answer_all(job: &mut Job) -> usize {
        let mut requests = 0;
        while !job.is_done() {
            requests += 1;
            let inputs = String::from_utf8(job.inputs().into_bytes()).unwrap();
            let list = inputs.strip_prefix(r#"{"dataframe_records":"#).unwrap().strip_suffix('}').unwrap();
            let values: Vec<u8> = serde_json::from_str(list).unwrap();
            if values.contains(&0) {
                job.refuse(&Error::invalid_parameter("zero"), Duration::ZERO);
            } else {
                job.accept(&Payload::new(JSON, format!(r#"{{"predictions":{list}}}"#)), Duration::ZERO);
            }
        }
        requests
    }

    #[test]
    fn a_bad_row_does_not_cost_the_others_their_answer() {
        let mut rows = job(&["1", "2", "bad", "0", "5", "6"]);
        assert_eq!(answer_all(&mut rows), 5);
        let expected = [
            r#"1 {"predictions":[1]}"#,
            r#"2 {"predictions":[2]}"#,
            "3 bad",
            "4 zero",
            r#"5 {"predictions":[5]}"#,
            r#"6 {"predictions":[6]}"#,
        ];
        assert_eq!(shown(&rows), expected);
        let mut only_bad = job(&["bad"]);
        assert!(only_bad.is_done());
        assert_eq!((answer_all(&mut only_bad), shown(&only_bad)), (0, vec!["1 bad".to_owned()]));
    }

    #[test]
    fn a_whole_request_has_one_answer() {
        let mut job = Job::new(BulkRequest::new(3, Payload::new(JSON, "{}")));
        assert_eq!(job.request.form, Form::Request(Arc::from(JSON)));
        let answer = r#"{"choices":[],"usage":{"prompt_tokens":2,"completion_tokens":5}}"#;
        job.accept(&Payload::new(JSON, answer), Duration::from_millis(7));
        assert_eq!((shown(&job), job.usage.total_tokens()), (vec![format!("4 {answer}")], 7));
    }

    #[test]
    fn retries_are_counted_and_wait_longer_each_time() {
        let mut job = job(&["1"]);
        assert_eq!(job.retry(true, 1, Some(Duration::from_secs(3))), Some(Duration::from_secs(3)));
        assert_eq!(job.retry(true, 1, None), None);
        let mut job = Job::new(BulkRequest::new(3, Payload::empty()));
        assert_eq!(job.retry(false, 0, None), None);
        let mut job = Job::new(BulkRequest::new(3, Payload::empty()));
        let waits: Vec<_> = std::iter::from_fn(|| job.retry(false, 1, None)).collect();
        assert_eq!(waits.len(), 99, "an attempt that does not count is limited, too");
        assert!(waits.iter().all(|wait| *wait >= MIN_BACKOFF / 2 && *wait <= MAX_BACKOFF * 2), "{waits:?}");
        assert!(waits[1] > waits[0] && waits[2] > waits[1], "{waits:?}");
    }
}
