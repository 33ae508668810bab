//! Runs a program that prints a token, within the time limits of a call.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use mlflow_deploy_http::Policy;
use mlflow_deploy_plugin_api::program::{self, ProgramOutput};
use mlflow_deploy_plugin_api::{Deadline, Error, ErrorCode, Result, blocking, call};

/// The maximum run time of a program. If the remaining time of the call is shorter, that time applies instead.
const MAX_RUN_TIME: Duration = Duration::from_secs(60);

/// Returns the program's stdout, or an error if the program failed. `command` names the program in the error.
pub(super) fn success(output: ProgramOutput, command: &str) -> Result<Vec<u8>> {
    if output.status.success() {
        return Ok(output.stdout);
    }
    let stderr = output.redacted_line(&[]);
    Err(Error::new(ErrorCode::UNAUTHENTICATED, format!("`{command}` failed ({}): {stderr}", output.status)))
}

/// Runs a program and returns its output. Fails if the program does not end in time, or if the call is cancelled.
pub(super) async fn run(program: &Path, arguments: Vec<String>, policy: &Policy) -> Result<ProgramOutput> {
    let limits = [policy.total, policy.deadline.map(Deadline::remaining)];
    let limits = limits.into_iter().chain([call::remaining()]).flatten();
    let timeout = limits.fold(MAX_RUN_TIME, Duration::min);
    let program = program.to_owned();
    // If the call is cancelled, the sender is dropped, and the program is killed.
    let (_caller, cancelled) = mpsc::channel();
    blocking(move || program::run(&program, &arguments, timeout, &cancelled)).await
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Instant;

    use super::*;

    #[test]
    fn the_error_of_a_failed_program_has_stderr_without_tokens() {
        let script = "echo eyJout; echo 'no login: token=dapi0123456789 eyJabc.def.ghi' >&2; exit 3";
        let (_caller, cancelled) = mpsc::channel();
        let arguments = ["-c".to_owned(), script.to_owned()];
        let output = program::run(Path::new("/bin/sh"), &arguments, Duration::from_secs(20), &cancelled).unwrap();
        let error = success(output, "az account").unwrap_err();
        assert_eq!(error.code(), &ErrorCode::UNAUTHENTICATED);
        assert!(
            error.message().starts_with("`az account` failed (exit status: 3): no login: token=<redacted> <redacted>")
        );
    }

    #[tokio::test]
    async fn cancelling_the_call_kills_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("pid");
        let script = format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 600", pid_file.display());
        let policy = Policy::default();
        let running = run(Path::new("/bin/sh"), vec!["-c".to_owned(), script], &policy);
        let has_started = async {
            while !pid_file.exists() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            output = running => panic!("{output:?}"),
            () = has_started => {}
        }
        let pid = std::fs::read_to_string(pid_file).unwrap();
        let is_running = || Command::new("/bin/kill").args(["-0", pid.trim()]).output().unwrap().status.success();
        let cancelled = Instant::now();
        while is_running() {
            assert!(cancelled.elapsed() < Duration::from_secs(50), "`MAX_RUN_TIME` would kill it after a minute");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
