//! A plugin's process as its host sees it: started, listened to, and buried.

use std::ffi::OsString;
use std::io::{self, PipeReader};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use mlflow_deploy_plugin_api::call::Level;
use mlflow_deploy_plugin_api::ffi::HostCallbacks;
use mlflow_deploy_plugin_api::manifest::Manifest;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::RecvFlags;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::environment;
use super::log::Log;
use super::message::{Malformed, Message, PROTOCOL};
use super::process_exit::ProcessExit;
use super::receiver::Receiver;
use super::sender::Sender;
use super::wire_error::WireLoadError;
use crate::LoadError;

/// How long a process may take to load its plugin and start it.
const LOADING: Duration = Duration::from_secs(10);

/// How long a process that has been told to end may take.
const ENDING: Duration = Duration::from_secs(3);

/// How long a process may take to end after its connection has.
const LINGERING: Duration = Duration::from_millis(30);

/// How a plugin's process is started.
#[derive(Clone, Debug)]
pub(crate) struct SpawnConfig {
    /// The program that hosts the plugin.
    pub(crate) program: PathBuf,
    /// The plugin's library.
    pub(crate) library: PathBuf,
    /// All that the process sees of the environment.
    pub(crate) environment: Vec<(OsString, OsString)>,
}

impl SpawnConfig {
    /// A process that sees of this one's environment what the plugin declares, and what it is allowed beside that.
    pub(crate) fn new(program: PathBuf, library: &Path, manifest: &Manifest, allowed: &[String]) -> Self {
        let environment = environment::seen(std::env::vars_os(), &manifest.environment, allowed);
        Self { program, library: library.to_owned(), environment }
    }
}

/// A process, its connection, and its log. Dropping it ends the process.
#[derive(Debug)]
pub(crate) struct Child {
    process: std::process::Child,
    socket: UnixStream,
    receiver: Receiver,
    log: Log,
    /// Tells its end, where the system has such a thing: the connection may be held open by what it has started.
    end: Option<OwnedFd>,
    is_reaped: bool,
}

/// What there is to be done after a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Messages may have come.
    Messages,
    /// The connection has ended.
    End,
    /// Nothing came in time.
    Nothing,
}

impl Child {
    /// Starts the process and waits until the plugin has been loaded in it; gives the slots that the plugin has.
    ///
    /// It blocks for as long as that takes.
    pub(crate) fn start(recipe: &SpawnConfig, host: &dyn HostCallbacks) -> Result<(Self, u64), LoadError> {
        let failed = |error: io::Error| {
            LoadError::PluginHost(format!("`{}` could not be started: {error}", recipe.program.display()))
        };
        let mut child = Self::spawn(recipe).map_err(failed)?;
        let deadline = Instant::now() + LOADING;
        let mut is_greeted = false;
        loop {
            while let Some(message) = child.receiver.next().map_err(|malformed| no_plugin_host(recipe, &malformed.0))? {
                match message {
                    Message::Hello { protocol: PROTOCOL } => is_greeted = true,
                    Message::Hello { protocol } => {
                        let versions =
                            format!("it speaks version {protocol} of the protocol, and this host {PROTOCOL}");
                        return Err(no_plugin_host(recipe, &versions));
                    }
                    _ if !is_greeted => return Err(no_plugin_host(recipe, "it does not say that it is one")),
                    Message::Loaded { slots } => return Ok((child, slots)),
                    Message::Refused { refusal } => {
                        let unreadable =
                            |error| no_plugin_host(recipe, &format!("it says what cannot be read: {error}"));
                        return Err(serde_json::from_slice::<WireLoadError<'_>>(refusal)
                            .map_or_else(unreadable, LoadError::from));
                    }
                    Message::Event { call, level, json } => host.event(call, level, json),
                    _ => return Err(no_plugin_host(recipe, "it speaks out of turn")),
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            // One that never stops to talk is late all the same.
            if left.is_zero() {
                return Err(LoadError::TimedOut(LOADING));
            }
            match child.wait(Some(left), None, host) {
                Wake::Messages | Wake::Nothing => {}
                Wake::End => {
                    let death = child.wait_for_exit();
                    return Err(if is_greeted {
                        LoadError::Crashed(death)
                    } else {
                        no_plugin_host(recipe, &format!("it {death}"))
                    });
                }
            }
        }
    }

    fn spawn(recipe: &SpawnConfig) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let (log, write_log) = io::pipe()?;
        let process = Command::new(&recipe.program)
            .arg(&recipe.library)
            .env_clear()
            .envs(recipe.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(write_log.try_clone()?)
            .stderr(write_log)
            // A group of its own: Ctrl-C is the host's to hear, and whatever the plugin starts ends with it.
            .process_group(0)
            .spawn()?;
        let end = end_of(&process);
        Ok(Self { process, socket: ours, receiver: Receiver::default(), log: Log::new(log)?, end, is_reaped: false })
    }

    /// A way to send to the process.
    pub(crate) fn sender(&self) -> io::Result<Sender> {
        Ok(Sender::new(self.socket.try_clone()?))
    }

    /// The next message that has come.
    pub(crate) fn next(&mut self) -> Result<Option<Message<'_>>, Malformed> {
        self.receiver.next()
    }

    /// Waits for messages, no longer than `limit` and until something can be read from `wake`. What is written to the
    /// log meanwhile is passed on as events.
    pub(crate) fn wait(
        &mut self,
        limit: Option<Duration>,
        wake: Option<&PipeReader>,
        host: &dyn HostCallbacks,
    ) -> Wake {
        let until = limit.map(|limit| Instant::now() + limit);
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let ready = self.poll(left, wake);
            if ready.log {
                self.log.read(|line| say(host, line));
            }
            if ready.socket {
                match self.receiver.receive(&self.socket, RecvFlags::DONTWAIT) {
                    Ok(1..) => return Wake::Messages,
                    Err(rustix::io::Errno::AGAIN) => {}
                    Ok(0) | Err(_) => return Wake::End,
                }
            } else if ready.end {
                return Wake::End;
            }
            if ready.wake || left.is_some_and(|left| left.is_zero()) {
                return Wake::Nothing;
            }
        }
    }

    fn poll(&self, limit: Option<Duration>, wake: Option<&PipeReader>) -> Ready {
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        let of = |file| PollFd::from_borrowed_fd(file, PollFlags::IN);
        let (log, wake) = (self.log.pipe().map(AsFd::as_fd), wake.map(AsFd::as_fd));
        let end = self.end.as_ref().map(AsFd::as_fd);
        let mut files: Vec<_> = [Some(self.socket.as_fd()), log, wake, end].into_iter().flatten().map(of).collect();
        // An interruption is as good as the end of the wait: the caller looks at its clock, and waits again.
        let _interrupted = poll(&mut files, limit.as_ref());
        let mut ready = files.iter().map(|file| !file.revents().is_empty());
        let mut next = |is_there: bool| is_there && ready.next().unwrap_or(false);
        Ready { socket: next(true), log: next(log.is_some()), wake: next(wake.is_some()), end: next(end.is_some()) }
    }

    /// Whether the process has ended, though its connection may still be held open by what it has started.
    pub(crate) fn has_died(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        // A host that ignores its children's ends has nothing to wait for: then the connection alone tells.
        matches!(waitid(WaitId::Pid(self.id()), options), Ok(Some(_)))
    }

    /// Waits for the process to end, which it has been told to, and ends it where it does not.
    pub(crate) fn part(mut self, host: &dyn HostCallbacks) {
        let deadline = Instant::now() + ENDING;
        while Instant::now() < deadline {
            match self.wait(Some(deadline.saturating_duration_since(Instant::now())), None, host) {
                // What is said now is of interest only where it is an event.
                Wake::Messages => {
                    while let Ok(Some(message)) = self.next() {
                        if let Message::Event { call, level, json } = message {
                            host.event(call, level, json);
                        }
                    }
                }
                Wake::End | Wake::Nothing => return,
            }
        }
    }

    /// Ends the process, for this reason.
    pub(crate) fn end(mut self, why: impl Into<String>) -> ProcessExit {
        self.reap();
        ProcessExit { how: why.into(), signal: None, log: self.log.last() }
    }

    /// Finds out how the process ended whose connection has.
    pub(crate) fn wait_for_exit(mut self) -> ProcessExit {
        // The connection ends a moment before the process does.
        let deadline = Instant::now() + LINGERING;
        while !self.has_died() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        let had_died = self.has_died();
        let (how, signal) = match self.reap() {
            Some(status) if had_died => (describe(status), status.signal()),
            _ => ("closed its connection, and was ended".to_owned(), None),
        };
        ProcessExit { how, signal, log: self.log.last() }
    }

    /// Ends the process and all that it has started, and takes in the rest of its log.
    fn reap(&mut self) -> Option<ExitStatus> {
        // The group cannot be somebody else's: the process is its leader, and its number is not free before the wait.
        let _gone = kill_process_group(self.id(), Signal::KILL);
        // The plugin may have put its process into another.
        let _gone = self.kill();
        let status = self.process.wait().ok();
        self.is_reaped = true;
        self.log.read(|_| {});
        status
    }

    /// Ends the process itself, and none that has got its number after it.
    fn kill(&mut self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if let Some(end) = &self.end {
            return Ok(rustix::process::pidfd_send_signal(end, Signal::KILL)?);
        }
        self.process.kill()
    }

    fn id(&self) -> Pid {
        Pid::from_child(&self.process)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.is_reaped {
            self.reap();
        }
    }
}

/// What can be read.
struct Ready {
    socket: bool,
    log: bool,
    wake: bool,
    end: bool,
}

/// What can be read once the process has ended.
fn end_of(process: &std::process::Child) -> Option<OwnedFd> {
    #[cfg(target_os = "linux")]
    return rustix::process::pidfd_open(Pid::from_child(process), rustix::process::PidfdFlags::empty()).ok();
    #[cfg(not(target_os = "linux"))]
    {
        let _unasked = process;
        None
    }
}

/// A line of the log, for whoever looks into a fault.
fn say(host: &dyn HostCallbacks, line: &str) {
    let event = serde_json::json!({ "message": line });
    host.event(0, Level::Debug as u32, Some(event.to_string().as_bytes()));
}

fn describe(status: ExitStatus) -> String {
    match status.signal() {
        // `signal: 6 (SIGABRT)`
        Some(_) => format!("was ended by {}", status.to_string().replacen(": ", " ", 1)),
        None => format!("ended with exit code {}", status.code().unwrap_or_default()),
    }
}

fn no_plugin_host(recipe: &SpawnConfig, why: &str) -> LoadError {
    LoadError::PluginHost(format!("`{}` is no plugin host of this version: {why}", recipe.program.display()))
}
