//! The parent's side of a case's process: starts it, hears it, and ends it and all that it started.

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
use crate::child::{Job, Line, VARIABLE};

/// How many of its last lines are kept of a case.
const KEPT: usize = 20;

/// How children are started.
#[derive(Debug)]
pub(crate) struct Sandbox {
    /// The program, which is this one.
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// How long a case may take.
    pub(crate) timeout: Duration,
}

/// What became of a case's process.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) end: End,
    /// What it told last, and what was printed.
    pub(crate) log: Vec<String>,
}

/// How a case's process ended.
#[derive(Debug)]
pub(crate) enum End {
    /// It told its verdict, and was ended.
    Told(Line),
    /// It ended before that.
    Died(ExitStatus),
    /// It did neither in time.
    Hung,
}

impl Sandbox {
    /// Runs a case to its end. What goes wrong here is no fault of the plugin.
    pub(crate) fn run(&self, job: &Job, process: Process, environment: &[(OsString, OsString)]) -> io::Result<Outcome> {
        let (mut ours, theirs) = UnixStream::pair()?;
        let output = Output::new()?;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
        command.env(VARIABLE, "1").stdin(OwnedFd::from(theirs)).process_group(0);
        output.catch(&mut command)?;
        let mut group = Group(command.spawn()?);
        // The command keeps our side of the child's standard input open until it goes.
        drop(command);
        let mut line = serde_json::to_vec(job)?;
        line.push(b'\n');
        // A child that has gone already is seen when it is waited for.
        let _gone = ours.write_all(&line);
        let (end, mut log) = listen(&mut group, ours, process, Instant::now() + self.timeout)?;
        drop(group);
        log.extend(output.lines()?);
        let log = log.split_off(log.len().saturating_sub(KEPT)).into();
        Ok(Outcome { end, log })
    }
}

/// Hears a child until it has told, has died, or its time is up.
fn listen(
    group: &mut Group,
    stream: UnixStream,
    process: Process,
    deadline: Instant,
) -> io::Result<(End, VecDeque<String>)> {
    let (mut log, mut begun, mut verdict) = (VecDeque::new(), false, None);
    let mut reader = BufReader::new(stream);
    loop {
        let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
            return Ok((End::Hung, log));
        };
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
            Line::Begun => begun = true,
            Line::Log(said) => {
                if log.len() == KEPT {
                    log.pop_front();
                }
                log.push_back(said);
            }
            Line::Pass if process == Process::Leaves => verdict = Some(Line::Pass),
            told => return Ok((End::Told(told), log)),
        }
    }
    let Some(status) = group.wait(deadline)? else { return Ok((End::Hung, log)) };
    match verdict {
        Some(verdict) if status.success() => Ok((End::Told(verdict), log)),
        _ if begun => Ok((End::Died(status), log)),
        _ => Err(io::Error::other(format!("a process for a case ended before it began, with {status}"))),
    }
}

/// A child and all that it started, which end with this.
struct Group(Child);

impl Group {
    /// Waits for the child's end, until a deadline.
    fn wait(&mut self, deadline: Instant) -> io::Result<Option<ExitStatus>> {
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Before it is waited for: until then nobody else has its number.
        let _nobody_left = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _reaped = self.0.wait();
    }
}

/// What a child prints.
struct Output {
    stdout: File,
    stderr: File,
}

impl Output {
    fn new() -> io::Result<Self> {
        Ok(Self { stdout: tempfile::tempfile()?, stderr: tempfile::tempfile()? })
    }

    fn catch(&self, command: &mut Command) -> io::Result<()> {
        command.stdout(Stdio::from(self.stdout.try_clone()?)).stderr(Stdio::from(self.stderr.try_clone()?));
        Ok(())
    }

    /// Its last lines.
    fn lines(self) -> io::Result<Vec<String>> {
        const LONGEST: u64 = 16 * 1024;
        let mut lines = Vec::new();
        for (name, mut file) in [("stdout", self.stdout), ("stderr", self.stderr)] {
            let length = file.seek(io::SeekFrom::End(0))?;
            file.seek(io::SeekFrom::Start(length.saturating_sub(LONGEST)))?;
            let mut text = Vec::new();
            file.read_to_end(&mut text)?;
            let text = String::from_utf8_lossy(&text);
            lines.extend(text.lines().filter(|line| !line.is_empty()).map(|line| format!("{name}: {line}")));
        }
        Ok(lines)
    }
}

/// The name of a signal, such as `SIGSEGV`.
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
