//! Turns the outcome of a case's process into a verdict. The outcome is a report, a timeout, an exit, or a signal that
//! killed the process.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use crate::case::{Case, Level};
use crate::case_process::{End, Outcome, signal_name};
use crate::message::Line;
use crate::report::{CaseResult, Verdict};

/// Returns the result of a case from the outcome of its process. An unproven case fails if `is_strict` is true, and is
/// skipped otherwise.
pub(crate) fn judge(case: &Case, outcome: Outcome, timeout: Duration, is_strict: bool) -> CaseResult {
    let Outcome { end, mut log } = outcome;
    let unproven = matches!(end, End::Reported(Line::Unproven(_)));
    let (verdict, message, signal) = match end {
        End::Reported(Line::Pass) => (Verdict::Pass, String::new(), None),
        End::Reported(Line::Skip(reason)) => (Verdict::Skip, reason, None),
        End::Reported(Line::Unproven(reason)) => (Verdict::Skip, format!("not proven: {reason}"), None),
        End::Reported(Line::Warn(reason)) => (Verdict::Warn, reason, None),
        End::Reported(Line::Fail(reason)) => (Verdict::Fail, reason, None),
        End::Reported(Line::Fault(reason)) => (Verdict::Fault, reason, None),
        End::Reported(Line::Started | Line::Log(_)) => {
            (Verdict::Fault, "the process of the case did not report a verdict".to_owned(), None)
        }
        End::TimedOut => (Verdict::Fail, timed_out(timeout), None),
        End::Reported(Line::Died { how, signal, log: output }) => {
            log.extend(output.into_iter().map(|line| format!("its log: {line}")));
            died(signal, format!("its process {how}"))
        }
        End::Died(status) => died(status.signal(), format!("the plugin ended the process with {status}")),
    };
    let verdict = match (verdict, case.level) {
        (Verdict::Skip, _) if unproven && is_strict => Verdict::Fail,
        (Verdict::Fail, Level::Recommended) => Verdict::Warn,
        (verdict, _) => verdict,
    };
    let is_bad = matches!(verdict, Verdict::Fail | Verdict::Warn | Verdict::Fault);
    let log = if is_bad { log } else { Vec::new() };
    CaseResult { signal, log, unproven, ..CaseResult::new(case, verdict, message) }
}

fn timed_out(timeout: Duration) -> String {
    let seconds = timeout.as_secs_f64();
    format!(
        "timed out after {seconds} s, at the last step below: if the plugin is only slow, check its release build, or \
         set a longer `--timeout` or a lower `limits.body_mib`"
    )
}

/// Returns the verdict and the message for a process that has died, and the name of the signal that killed it. If it
/// was not killed by a signal, the message is `otherwise`.
fn died(signal: Option<i32>, otherwise: String) -> (Verdict, String, Option<String>) {
    match signal.map(signal_name) {
        // The system or a user sends these signals. A crash of the plugin does not raise them.
        Some(name) if ["SIGHUP", "SIGINT", "SIGKILL", "SIGTERM"].contains(&name.as_str()) => (
            Verdict::Fault,
            format!("the system or a user killed the process of the case with {name}: check the free memory"),
            Some(name),
        ),
        Some(name) => (Verdict::Fail, format!("the plugin crashed: {name}"), Some(name)),
        None => (Verdict::Fail, otherwise, None),
    }
}

#[cfg(test)]
mod tests {
    use std::process::ExitStatus;

    use super::*;

    fn died(raw: i32) -> CaseResult {
        let outcome = Outcome { end: End::Died(ExitStatus::from_raw(raw)), log: vec!["last".to_owned()] };
        judge(Case::by_id("load-quiet").unwrap(), outcome, Duration::from_secs(1), false)
    }

    #[test]
    fn a_case_that_is_not_proven_is_skipped_or_fails_if_strict() {
        let judged = |id: &str, is_strict| {
            let end = End::Reported(Line::Unproven("no chunk came".to_owned()));
            judge(Case::by_id(id).unwrap(), Outcome { end, log: Vec::new() }, Duration::from_secs(1), is_strict)
        };
        for id in ["stream-credit", "payload-missing"] {
            let skipped = judged(id, false);
            assert_eq!((skipped.verdict, skipped.message.as_str()), (Verdict::Skip, "not proven: no chunk came"));
            assert_eq!((judged(id, true).verdict, judged(id, true).unproven), (Verdict::Fail, true));
        }
    }

    #[test]
    fn the_verdict_depends_on_the_signal_or_the_exit_code() {
        let crash = died(11);
        assert_eq!((crash.verdict, crash.message.as_str()), (Verdict::Fail, "the plugin crashed: SIGSEGV"));
        assert_eq!((crash.signal.as_deref(), crash.log.len()), (Some("SIGSEGV"), 1));
        let killed = died(9);
        assert_eq!((killed.verdict, killed.signal.as_deref()), (Verdict::Fault, Some("SIGKILL")));
        let exited = died(3 << 8);
        assert_eq!(
            (exited.verdict, exited.message.as_str()),
            (Verdict::Fail, "the plugin ended the process with exit status: 3")
        );
    }

    #[test]
    fn the_exit_of_an_isolated_plugin_is_judged_like_the_exit_of_a_case() {
        let died = |how: &str, signal| {
            let line = Line::Died { how: how.to_owned(), signal, log: vec!["last line".to_owned()] };
            let outcome = Outcome { end: End::Reported(line), log: vec!["calls `predict`".to_owned()] };
            judge(Case::by_id("load-quiet").unwrap(), outcome, Duration::from_secs(1), false)
        };
        let crash = died("was killed by signal 6 (SIGABRT)", Some(6));
        assert_eq!((crash.verdict, crash.message.as_str()), (Verdict::Fail, "the plugin crashed: SIGABRT"));
        assert_eq!((crash.signal.as_deref(), crash.log[1].as_str()), (Some("SIGABRT"), "its log: last line"));
        assert_eq!(died("was killed by signal 9 (SIGKILL)", Some(9)).verdict, Verdict::Fault);
        let exited = died("exited with code 3", None);
        assert_eq!((exited.verdict, exited.message.as_str()), (Verdict::Fail, "its process exited with code 3"));
    }
}
