//! The reason of a failed application: the last line of its Python traceback, and the traceback as the cause.

use std::fmt;

use crate::cluster::Application;

/// The maximum length of a traceback in an error, in bytes. The end counts: Python writes the exception last.
const MAX_TRACEBACK: usize = 16 << 10;

/// The reason for which an application failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The exception, in one line.
    pub(crate) reason: String,
    /// The whole text of Ray, without terminal colours.
    pub(crate) traceback: Traceback,
}

/// A Python traceback, as the cause of an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Traceback(String);

impl Failure {
    /// Returns the reason that Ray gives for the failure of an application.
    pub(crate) fn of(application: Application<'_>) -> Self {
        Self::read(message(application))
    }

    /// Returns the first line of what Ray says about an application that is not ready yet; `None` if it says nothing.
    pub(crate) fn note(application: Application<'_>) -> Option<String> {
        let text = without_colours(message(application));
        text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
    }

    fn read(text: &str) -> Self {
        let text = without_colours(text);
        let text = text.trim_end();
        let lines = || text.lines().rev().filter(|line| !line.trim().is_empty());
        // A line of a traceback is indented; the exception is not. If the exception has the output of a program, such as pip,
        // it ends with a colon, and the output follows. Its last line is the error.
        let exception = lines().find(|line| !line.starts_with(char::is_whitespace)).filter(|line| !line.ends_with(':'));
        let reason = exception.or_else(|| lines().next()).unwrap_or("Ray gives no reason").trim().to_owned();
        Self { reason, traceback: Traceback(end(text)) }
    }
}

impl fmt::Display for Traceback {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Traceback {}

/// Returns the message of an application. A deployment's own message precedes that of the application, which only names
/// the deployment.
fn message<'a>(application: Application<'a>) -> &'a str {
    let unready = application.deployments().filter(|each| each["status"] != "HEALTHY");
    let own = unready.filter_map(|each| each["message"].as_str()).find(|message| !message.trim().is_empty());
    own.or_else(|| application.get("message").as_str()).unwrap_or_default()
}

/// Removes the terminal sequences with which Ray colours the names of actors.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let after = part.find(|each: char| each.is_ascii_alphabetic()).map_or("", |end| &part[end + 1..]);
        plain.push_str(after);
    }
    plain
}

/// Returns the last lines of a text, at most [`MAX_TRACEBACK`] bytes.
fn end(text: &str) -> String {
    if text.len() <= MAX_TRACEBACK {
        return text.to_owned();
    }
    let mut start = text.len() - MAX_TRACEBACK;
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let rest = text[start..].split_once('\n').map_or(&text[start..], |(_, rest)| rest);
    format!("…\n{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_exception() {
        let text = "The deployment failed to start 3 times in a row. Error:\n\u{1b}[36mray::Replica()\u{1b}[39m (pid=1)\n  \
                    File \"a.py\", line 1\nValueError: no model\n\n";
        let failure = Failure::read(text);
        assert_eq!(failure.reason, "ValueError: no model");
        assert!(failure.traceback.0.contains("ray::Replica() (pid=1)\n  File"), "{failure:?}");
        assert_eq!(Failure::read("").reason, "Ray gives no reason");
    }

    #[test]
    fn the_reason_of_a_failed_program_is_the_last_line_of_its_output() {
        let text = "ray.exceptions.RuntimeEnvSetupError: Failed to set up runtime environment.\nTraceback (most recent call last):\n  \
                    File \"pip.py\", line 252\nSubprocessCalledProcessError: Run cmd[13] failed with the following details.\n\
                    Command '['pip', 'install']' returned non-zero exit status 1.\nLast 50 lines of stdout:\n    \
                    Looking in links: /wheels\n    ERROR: No matching distribution found for tally==9\n";
        assert_eq!(Failure::read(text).reason, "ERROR: No matching distribution found for tally==9");
        assert_eq!(Failure::read("Last 50 lines of stdout:\n").reason, "Last 50 lines of stdout:");
    }

    #[test]
    fn the_end_of_a_long_traceback_remains() {
        let text = format!("{}\nValueError: é", "  frame é\n".repeat(5000));
        let failure = Failure::read(&text);
        assert!(failure.traceback.0.len() <= MAX_TRACEBACK + 8 && failure.traceback.0.starts_with("…\n  frame"));
        assert_eq!(failure.reason, "ValueError: é");
    }
}
