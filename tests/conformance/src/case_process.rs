//! Runs a case in a new process, reads the messages of that process, and kills its process group. The module `verdict`
//! derives the verdict.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::case::Process;
use crate::message::{Job, Line, VARIABLE};
use crate::processor;

/// The maximum number of lines in the log of a case. If there are more, only the last ones are kept.
const MAX_LOG_LINES: usize = 20;

/// Starts a process for each case.
#[derive(Debug)]
pub(crate) struct CaseLauncher {
    /// The path of the running program. It is started again for each case.
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// The timeout of each case.
    pub(crate) timeout: Duration,
}

/// The outcome of the process in which a case ran.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) end: End,
    /// The last log lines: first the steps of the case, and then the output of its process.
    pub(crate) log: Vec<String>,
}

/// The way in which the process of a case ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The process reported the result of the case.
    Reported(Line),
    /// The process exited before it reported a result.
    Died(ExitStatus),
    /// The process neither reported a result nor exited within the timeout.
    TimedOut,
}

impl CaseLauncher {
    /// Runs a case in a new process with the given environment, and returns the outcome. An error means that the
    /// harness failed, not the plugin.
    pub(crate) fn run(&self, job: &Job, process: Process, environment: &[(OsString, OsString)]) -> io::Result<Outcome> {
        let (mut ours, theirs) = UnixStream::pair()?;
        let output = Output::new()?;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
        command.env(VARIABLE, "1").stdin(OwnedFd::from(theirs)).process_group(0);
        output.redirect(&mut command)?;
        let mut group = Group(command.spawn()?);
        // The command holds a copy of the child's end of the socket, which would keep the connection open.
        drop(command);
        let mut line = serde_json::to_vec(job)?;
        line.push(b'\n');
        // If the child has exited already, the wait below reports it.
        let _exited = ours.write_all(&line);
        let limit = CaseLimit { process: group.0.id(), end: Instant::now() + self.timeout };
        let (end, mut log) = listen(&mut group, ours, process, &limit)?;
        drop(group);
        log.extend(output.lines()?);
        let log = log.split_off(log.len().saturating_sub(MAX_LOG_LINES)).into();
        Ok(Outcome { end, log })
    }
}

/// Reads the messages of a case's process until it reports a result, exits, or reaches its time limit. Returns the way in
/// which the process ended, and the last steps of the case.
fn listen(
    group: &mut Group,
    stream: UnixStream,
    process: Process,
    limit: &CaseLimit,
) -> io::Result<(End, VecDeque<String>)> {
    let (mut log, mut started, mut verdict) = (VecDeque::new(), false, None);
    let mut reader = BufReader::new(stream);
    loop {
        let Some(left) = limit.left() else { return Ok((End::TimedOut, log)) };
        reader.get_ref().set_read_timeout(Some(left))?;
        let mut text = String::new();
        match reader.read_line(&mut text) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => continue,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
            Err(error) => return Err(error),
        }
        match serde_json::from_str(&text)? {
            Line::Started => started = true,
            Line::Log(step) => {
                if log.len() == MAX_LOG_LINES {
                    log.pop_front();
                }
                log.push_back(step);
            }
            Line::Pass if process == Process::Exits => verdict = Some(Line::Pass),
            result => return Ok((End::Reported(result), log)),
        }
    }
    let Some(status) = group.wait(limit)? else { return Ok((End::TimedOut, log)) };
    match verdict {
        Some(verdict) if status.success() => Ok((End::Reported(verdict), log)),
        _ if started => Ok((End::Died(status), log)),
        _ => Err(io::Error::other(format!("the process of a case exited before it started the case, with {status}"))),
    }
}

/// The time limit of a case. The time for which its process waits for a processor does not count.
struct CaseLimit {
    /// The id of the process.
    process: u32,
    /// The end of the case if its process never waits for a processor.
    end: Instant,
}

impl CaseLimit {
    /// Returns the time that is left, or `None` at the end.
    fn left(&self) -> Option<Duration> {
        let left = |end: Instant| end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero());
        left(self.end).or_else(|| left(self.end + processor::waited_by_process(self.process)))
    }
}

/// A child process and its process group. The process group is killed when this value is dropped.
struct Group(Child);

impl Group {
    /// Waits until the child process exits, and returns its exit status. Returns `None` if it is still running at its
    /// time limit.
    fn wait(&mut self, limit: &CaseLimit) -> io::Result<Option<ExitStatus>> {
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(Some(status));
            }
            if limit.left().is_none() {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The group is killed before the wait, because the process id cannot be reused until the wait.
        let _no_process = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _reaped = self.0.wait();
    }
}

/// The standard output and standard error of a child process, which are redirected to temporary files.
struct Output {
    stdout: File,
    stderr: File,
}

impl Output {
    fn new() -> io::Result<Self> {
        Ok(Self { stdout: tempfile::tempfile()?, stderr: tempfile::tempfile()? })
    }

    fn redirect(&self, command: &mut Command) -> io::Result<()> {
        command.stdout(Stdio::from(self.stdout.try_clone()?)).stderr(Stdio::from(self.stderr.try_clone()?));
        Ok(())
    }

    /// Returns the last lines of the standard output, followed by the last lines of the standard error.
    fn lines(self) -> io::Result<Vec<String>> {
        const MAX_LEN: u64 = 16 * 1024;
        let mut lines = Vec::new();
        for (name, mut file) in [("stdout", self.stdout), ("stderr", self.stderr)] {
            let length = file.seek(io::SeekFrom::End(0))?;
            file.seek(io::SeekFrom::Start(length.saturating_sub(MAX_LEN)))?;
            let mut text = Vec::new();
            file.read_to_end(&mut text)?;
            let text = String::from_utf8_lossy(&text);
            lines.extend(text.lines().filter(|line| !line.is_empty()).map(|line| format!("{name}: {line}")));
        }
        Ok(lines)
    }
}

/// Returns the name of the signal with this number, such as `SIGSEGV`.
pub(crate) fn signal_name(number: i32) -> String {
    const NAMES: [(Signal, &str); 14] = [
        (Signal::ABORT, "SIGABRT"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::HUP, "SIGHUP"),
        (Signal::ILL, "SIGILL"),
        (Signal::INT, "SIGINT"),
        (Signal::KILL, "SIGKILL"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::SYS, "SIGSYS"),
        (Signal::TERM, "SIGTERM"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::XCPU, "SIGXCPU"),
    ];
    let name = NAMES.iter().find(|(signal, _)| signal.as_raw() == number);
    name.map_or_else(|| format!("signal {number}"), |(_, name)| (*name).to_owned())
}
