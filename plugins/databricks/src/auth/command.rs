//! Programs that know a token: found by their absolute path, run without a shell and without input, and not for ever.

use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use mlflow_deploy_http::Policy;
use mlflow_deploy_plugin_api::{Deadline, Error, ErrorCode, Redactor, Result, blocking, call, file};

/// How long a program may take where the caller has more time than that.
const PATIENCE: Duration = Duration::from_secs(60);

/// No program that knows a token writes more, in bytes.
const MAX_OUTPUT: u64 = 1 << 20;

/// As much of what a program says goes into an error.
const MAX_LEN: usize = 300;

/// What a program left behind.
#[derive(Debug)]
pub(super) struct Ran {
    status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    stderr: String,
}

impl Ran {
    /// The output of a program that succeeded.
    pub(super) fn success(self, what: &str) -> Result<Vec<u8>> {
        if self.status.success() {
            return Ok(self.stdout);
        }
        let said = without_tokens(&self.stderr);
        Err(Error::new(ErrorCode::UNAUTHENTICATED, format!("`{what}` failed ({}): {said}", self.status)))
    }
}

/// The first program of this name in a `PATH` that is no smaller than this. Relative entries are passed over: what
/// they name depends on where one stands.
pub(super) fn find(name: &str, path: &str, smallest: u64) -> Option<PathBuf> {
    let folders = std::env::split_paths(path).filter(|folder| folder.is_absolute());
    folders.map(|folder| folder.join(name)).find(|program| is_program(program, smallest))
}

/// Whether a file can be run and is no smaller than this.
pub(super) fn is_program(path: &Path, smallest: u64) -> bool {
    path.metadata().is_ok_and(|metadata| {
        metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 && metadata.len() >= smallest
    })
}

/// Runs a program to its end, or until the time is over.
pub(super) async fn run(program: &Path, arguments: Vec<String>, policy: &Policy) -> Result<Ran> {
    let limits = [policy.total, policy.deadline.map(Deadline::remaining)];
    let limits = limits.into_iter().chain([call::remaining()]).flatten();
    let patience = limits.fold(PATIENCE, Duration::min);
    let program = program.to_owned();
    // Dropped with the call: whoever runs the program hears then that nobody waits for it any more.
    let (_waiting, waiter) = mpsc::channel();
    blocking(move || run_within(&program, &arguments, patience, &waiter)).await
}

fn run_within(program: &Path, arguments: &[String], patience: Duration, waiter: &Receiver<()>) -> Result<Ran> {
    let shown = program.display();
    let deadline = Instant::now() + patience;
    let spawned = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let wrong = |error: io::Error| Error::internal(format!("failed to read what `{shown}` writes: {error}"));
    let mut child = spawned.map_err(|error| Error::internal(format!("failed to run `{shown}`: {error}")))?;
    let (mut stdout, mut stderr) = (Output::of(child.stdout.take()), Output::of(child.stderr.take()));
    let ended = loop {
        // Where the process ignores the ends of its children, nobody knows how they ended. There is nothing to stop.
        let ended = child.try_wait().map_err(|error| {
            let hint = "does this process ignore the signal `SIGCHLD`?";
            Error::internal(format!("failed to learn how `{shown}` ended: {error}; {hint}")).with_cause(&error)
        })?;
        if ended.is_some() || Instant::now() >= deadline {
            break ended;
        }
        for output in [&mut stdout, &mut stderr] {
            output.look(Duration::ZERO).inspect_err(|_too_much| stop(&mut child)).map_err(wrong)?;
        }
        if waiter.recv_timeout(Duration::from_millis(5)) == Err(RecvTimeoutError::Disconnected) {
            stop(&mut child);
            return Err(Error::new(ErrorCode::CANCELLED, format!("nobody waits for `{shown}`, and it was stopped")));
        }
    };
    let Some(status) = ended else {
        stop(&mut child);
        let message = format!("`{shown}` took longer than {:.1} s, and was stopped", patience.as_secs_f64());
        return Err(Error::new(ErrorCode::DEADLINE_EXCEEDED, message).retryable());
    };
    // What it started may still hold the pipes, and has nothing to say to us.
    let rest = |output: &mut Output| output.look(Duration::from_secs(1)).map_err(wrong);
    rest(&mut stdout)?;
    rest(&mut stderr)?;
    Ok(Ran { status, stdout: stdout.bytes, stderr: String::from_utf8_lossy(&stderr.bytes).into_owned() })
}

/// It may have ended just now, and whatever it left running is not waited for.
fn stop(child: &mut Child) {
    let _ended = child.kill();
    let _ended = child.wait();
}

/// What a program writes into a pipe, read on a thread of its own so that neither of two pipes fills up.
struct Output {
    read: Receiver<io::Result<Vec<u8>>>,
    bytes: Vec<u8>,
}

impl Output {
    fn of(pipe: Option<impl Read + Send + 'static>) -> Self {
        let (sender, read) = mpsc::channel();
        thread::spawn(move || {
            let _nobody_waits = sender.send(pipe.map_or(Ok(Vec::new()), |pipe| file::read_up_to(pipe, MAX_OUTPUT)));
        });
        Self { read, bytes: Vec::new() }
    }

    /// Takes what was read, if the pipe comes to its end within this time. Fails if there was too much.
    fn look(&mut self, patience: Duration) -> io::Result<()> {
        if let Ok(read) = self.read.recv_timeout(patience) {
            self.bytes = read?;
        }
        Ok(())
    }
}

/// What a program said, on one line, without what looks like a token.
fn without_tokens(said: &str) -> String {
    let said = Redactor::default().hide(said);
    let line = said.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        return "it said nothing".to_owned();
    }
    line[..line.floor_char_boundary(MAX_LEN)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, patience: Duration) -> Result<Ran> {
        let (_waiting, waiter) = mpsc::channel();
        run_within(Path::new("/bin/sh"), &["-c".to_owned(), script.to_owned()], patience, &waiter)
    }

    #[test]
    fn a_program_says_what_it_knows() {
        let ran = shell("cat; echo out; echo err >&2", Duration::from_secs(20)).unwrap();
        assert_eq!(ran.success("sh").unwrap(), b"out\n");
    }

    #[test]
    fn a_failure_has_what_was_said_and_no_token() {
        let ran = shell(
            "echo eyJout; echo 'no login: token=dapi0123456789 eyJabc.def.ghi' >&2; exit 3",
            Duration::from_secs(20),
        );
        let error = ran.unwrap().success("az account").unwrap_err();
        assert_eq!(error.code(), &ErrorCode::UNAUTHENTICATED);
        assert!(
            error.message().starts_with("`az account` failed (exit status: 3): no login: token=<redacted> <redacted>")
        );
    }

    #[test]
    fn a_program_that_writes_without_end_is_stopped() {
        for script in ["exec cat /dev/zero", "exec cat /dev/zero >&2", "cat /dev/zero & exec sleep 600"] {
            let error = shell(script, Duration::from_secs(600)).unwrap_err();
            assert_eq!(error.message(), "failed to read what `/bin/sh` writes: it is larger than 1 MiB", "{script}");
        }
    }

    #[test]
    fn a_program_that_hangs_is_stopped() {
        let begun = Instant::now();
        let error = shell("exec sleep 60", Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.code(), &ErrorCode::DEADLINE_EXCEEDED);
        assert!(begun.elapsed() < Duration::from_secs(20));
    }

    #[tokio::test]
    async fn a_program_that_nobody_waits_for_is_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let told = folder.path().join("pid");
        let script = format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 600", told.display());
        let policy = Policy::default();
        let running = run(Path::new("/bin/sh"), vec!["-c".to_owned(), script], &policy);
        let has_begun = async {
            while !told.exists() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            ran = running => panic!("{ran:?}"),
            () = has_begun => {}
        }
        let pid = std::fs::read_to_string(told).unwrap();
        let is_there = || Command::new("/bin/kill").args(["-0", pid.trim()]).output().unwrap().status.success();
        let given_up = Instant::now();
        while is_there() {
            assert!(given_up.elapsed() < Duration::from_secs(50), "it would have been stopped after a minute anyway");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// The end of a program is lost where its parent ignores such ends, as this test does in a process of its own.
    #[cfg(target_os = "linux")]
    #[test]
    fn an_end_that_is_lost_is_no_timeout() {
        const INSIDE: &str = "AN_END_THAT_IS_LOST";
        if std::env::var_os(INSIDE).is_some() {
            let error = shell("exit 0", Duration::from_secs(60)).unwrap_err();
            assert_eq!(error.code(), &ErrorCode::INTERNAL_ERROR);
            assert!(error.message().starts_with("failed to learn how `/bin/sh` ended: "), "{error}");
            return;
        }
        let name = "auth::command::tests::an_end_that_is_lost_is_no_timeout";
        let ran = Command::new("env")
            .arg("--ignore-signal=CHLD")
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env(INSIDE, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success() && said.contains("1 passed"), "{said}");
    }

    #[test]
    fn only_programs_at_absolute_paths_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("az");
        std::fs::write(&program, "#!/bin/sh\n").unwrap();
        let path = format!("relative:{}", folder.path().display());
        assert_eq!(find("az", &path, 0), None, "it cannot be run");
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(find("az", &path, 0), Some(program));
        assert_eq!(find("az", &path, 1 << 20), None, "it is too small");
        assert_eq!(find("az", "relative", 0), None);
    }
}
