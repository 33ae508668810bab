//! Runs a program that prints a value, such as a token. The program is started by its path, without a shell and without
//! input. It is killed after a timeout.

use std::fmt;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Error, ErrorCode, Redactor, Result, Secret, file};

/// The maximum size of a program's stdout, and of its stderr, in bytes.
const MAX_OUTPUT: u64 = 1 << 20;

/// The maximum number of bytes of a program's stderr that an error message quotes.
const MAX_EXCERPT: usize = 300;

/// The maximum number of lines of a program's stdout that are removed from its stderr each on its own.
const MAX_LINES: usize = 20;

/// The exit status and the output of a program that has ended.
#[non_exhaustive]
pub struct ProgramOutput {
    /// The exit status of the program.
    pub status: ExitStatus,
    /// The output of the program. It may be a secret.
    pub stdout: Vec<u8>,
    /// The messages of the program. They may contain a secret.
    pub stderr: String,
}

impl ProgramOutput {
    /// Returns the messages of the program as one line of at most 300 bytes. Removes the program's output, the given
    /// secrets, and words that look like tokens.
    pub fn redacted_line(&self, secrets: &[Secret]) -> String {
        let stdout = String::from_utf8_lossy(&self.stdout);
        let output = stdout.lines().take(MAX_LINES).chain([stdout.trim()]).map(Secret::new);
        let stderr = Redactor::new(output.chain(secrets.iter().cloned())).hide(&self.stderr);
        let line = stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.is_empty() {
            return "it printed no message".to_owned();
        }
        line[..line.floor_char_boundary(MAX_EXCERPT)].to_owned()
    }
}

/// Shows the exit status, but no output, because the output may be a secret.
impl fmt::Debug for ProgramOutput {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ProgramOutput").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Returns the first executable file with this name and at least `min_size` bytes in the folders of `path`, a value of
/// the variable `PATH`. Skips relative folders, because they depend on the working directory.
pub fn find_in_path(name: &str, path: &str, min_size: u64) -> Option<PathBuf> {
    let folders = std::env::split_paths(path).filter(|folder| folder.is_absolute());
    folders.map(|folder| folder.join(name)).find(|program| is_executable(program, min_size))
}

/// Returns true if a file is executable and has at least `min_size` bytes.
pub fn is_executable(path: &Path, min_size: u64) -> bool {
    path.metadata().is_ok_and(|metadata| {
        metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 && metadata.len() >= min_size
    })
}

/// Runs a program and returns its output. The program has no input. Kills the program after `timeout`, and if the
/// sender of `cancelled` is dropped.
///
/// # Errors
/// `DEADLINE_EXCEEDED`, which may be retried, after `timeout`; `CANCELLED`; `INTERNAL_ERROR` if the program cannot be
/// started, prints more than 1 MiB, or if this process ignores the signal `SIGCHLD`. The exit status of a program that
/// fails is not an error.
pub fn run(program: &Path, arguments: &[String], timeout: Duration, cancelled: &Receiver<()>) -> Result<ProgramOutput> {
    let shown = program.display();
    let deadline = Instant::now() + timeout;
    let spawned = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let unreadable = |error: io::Error| Error::internal(format!("failed to read the output of `{shown}`: {error}"));
    let mut child = spawned.map_err(|error| Error::internal(format!("failed to run `{shown}`: {error}")))?;
    let (mut stdout, mut stderr) = (PipeReader::spawn(child.stdout.take()), PipeReader::spawn(child.stderr.take()));
    let ended = loop {
        // `try_wait` fails if this process ignores `SIGCHLD`: the program has ended, but its exit status is lost.
        let ended = child.try_wait().map_err(|error| {
            let hint = "check that this process does not ignore the signal `SIGCHLD`";
            Error::internal(format!("failed to get the exit status of `{shown}`: {error}; {hint}")).with_cause(&error)
        })?;
        if ended.is_some() || Instant::now() >= deadline {
            break ended;
        }
        for output in [&mut stdout, &mut stderr] {
            output.poll(Duration::ZERO).inspect_err(|_too_large| kill(&mut child)).map_err(unreadable)?;
        }
        if cancelled.recv_timeout(Duration::from_millis(5)) == Err(RecvTimeoutError::Disconnected) {
            kill(&mut child);
            return Err(Error::new(ErrorCode::CANCELLED, format!("`{shown}` was stopped: the call was cancelled")));
        }
    };
    let Some(status) = ended else {
        kill(&mut child);
        let message = format!("`{shown}` was stopped: it ran for more than {:.1} s", timeout.as_secs_f64());
        return Err(Error::new(ErrorCode::DEADLINE_EXCEEDED, message).retryable());
    };
    // A child process of the program may keep the pipes open. Its output is ignored.
    let finish = |output: &mut PipeReader| output.poll(Duration::from_secs(1)).map_err(unreadable);
    finish(&mut stdout)?;
    finish(&mut stderr)?;
    Ok(ProgramOutput { status, stdout: stdout.bytes, stderr: String::from_utf8_lossy(&stderr.bytes).into_owned() })
}

/// Kills and reaps a program, which may have ended already. Does not wait for the processes that the program started.
fn kill(child: &mut Child) {
    let _ended = child.kill();
    let _ended = child.wait();
}

/// Reads a pipe on its own thread, so that the program never blocks on a full pipe.
struct PipeReader {
    result: Receiver<io::Result<Vec<u8>>>,
    bytes: Vec<u8>,
}

impl PipeReader {
    fn spawn(pipe: Option<impl Read + Send + 'static>) -> Self {
        let (sender, result) = mpsc::channel();
        thread::spawn(move || {
            let _dropped = sender.send(pipe.map_or(Ok(Vec::new()), |pipe| file::read_up_to(pipe, MAX_OUTPUT)));
        });
        Self { result, bytes: Vec::new() }
    }

    /// Stores the output of the program if the pipe is closed within the timeout. Fails if the output exceeds
    /// [`MAX_OUTPUT`] bytes.
    fn poll(&mut self, timeout: Duration) -> io::Result<()> {
        if let Ok(bytes) = self.result.recv_timeout(timeout) {
            self.bytes = bytes?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use super::*;

    fn shell(script: &str, timeout: Duration) -> Result<ProgramOutput> {
        let (_caller, cancelled) = mpsc::channel();
        run(Path::new("/bin/sh"), &["-c".to_owned(), script.to_owned()], timeout, &cancelled)
    }

    #[test]
    fn run_returns_the_output_of_the_program() {
        let output = shell("cat; echo out; echo err >&2; exit 3", Duration::from_secs(20)).unwrap();
        assert_eq!((output.status.code(), &*output.stdout, &*output.stderr), (Some(3), &b"out\n"[..], "err\n"));
        assert_eq!(format!("{output:?}"), "ProgramOutput { status: ExitStatus(unix_wait_status(768)), .. }");
    }

    #[test]
    fn the_line_of_stderr_has_neither_the_output_nor_other_secrets() {
        let output = shell("echo S3CR3T-1; echo 'no: S3CR3T-1' 'S3CR3T-2 dapi0123456789' >&2", Duration::from_secs(20));
        let output = output.unwrap();
        let line = output.redacted_line(&[Secret::new("S3CR3T-2")]);
        assert_eq!(line, "no: <redacted> <redacted> <redacted>");
        assert_eq!(shell("exit 1", Duration::from_secs(20)).unwrap().redacted_line(&[]), "it printed no message");
    }

    #[test]
    fn a_program_with_too_much_output_is_killed() {
        for script in ["exec cat /dev/zero", "exec cat /dev/zero >&2", "cat /dev/zero & exec sleep 600"] {
            let error = shell(script, Duration::from_secs(600)).unwrap_err();
            assert_eq!(error.message(), "failed to read the output of `/bin/sh`: larger than 1 MiB", "{script}");
        }
    }

    #[test]
    fn a_program_is_killed_after_its_timeout() {
        let started = Instant::now();
        let error = shell("exec sleep 60", Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.code(), &ErrorCode::DEADLINE_EXCEEDED);
        assert!(started.elapsed() < Duration::from_secs(20));
    }

    /// The exit status of a program is lost if its parent process ignores `SIGCHLD`. This test ignores the signal in a
    /// process of its own.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_lost_exit_status_is_an_error() {
        const INSIDE: &str = "A_LOST_EXIT_STATUS";
        if std::env::var_os(INSIDE).is_some() {
            let error = shell("exit 0", Duration::from_secs(60)).unwrap_err();
            assert_eq!(error.code(), &ErrorCode::INTERNAL_ERROR);
            assert!(error.message().starts_with("failed to get the exit status of `/bin/sh`: "), "{error}");
            return;
        }
        let name = "program::tests::a_lost_exit_status_is_an_error";
        let output = Command::new("env")
            .arg("--ignore-signal=CHLD")
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env(INSIDE, "1")
            .output()
            .unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}");
    }

    #[test]
    fn only_programs_at_absolute_paths_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("az");
        std::fs::write(&program, "#!/bin/sh\n").unwrap();
        let path = format!("relative:{}", folder.path().display());
        assert_eq!(find_in_path("az", &path, 0), None, "it is not executable");
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(find_in_path("az", &path, 0), Some(program));
        assert_eq!(find_in_path("az", &path, 1 << 20), None, "it is too small");
        assert_eq!(find_in_path("az", "relative", 0), None);
    }
}
