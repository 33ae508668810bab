//! Spawns the process of a plugin, reads its messages and its output, and reaps it.

use std::io::{self, PipeReader};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use mlflow_deploy_plugin_api::call::Level;
use mlflow_deploy_plugin_api::ffi::{HostCallbacks, Slot};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::RecvFlags;
use rustix::net::sockopt::set_socket_send_buffer_size;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::log::ProcessLog;
use super::message::{Malformed, Message, PROTOCOL, number};
use super::process_exit::ProcessExit;
use super::receiver::Receiver;
use super::sender::Sender;
use super::spawn_config::SpawnConfig;
use super::wire_error::WireLoadError;
use crate::LoadError;

/// The time limit for a process to exit after the host has shut down the connection.
const EXIT_TIMEOUT: Duration = Duration::from_secs(3);

/// The time limit for a process to exit after it has closed its connection. The exit usually takes some milliseconds.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// The size of the socket's buffer in each direction. A sender whose message does not fit needs another thread, and the
/// two sides then wake each other several times.
const SEND_BUFFER_BYTES: usize = 1 << 20;

/// The process of a plugin, with its connection and its log. Dropping the value kills the process.
#[derive(Debug)]
pub(crate) struct Child {
    process: std::process::Child,
    socket: UnixStream,
    receiver: Receiver,
    log: ProcessLog,
    /// A file descriptor that becomes readable when the process exits; `None` on systems other than Linux. The end of
    /// the connection may come later than the exit, because processes that the plugin started may keep it open.
    pidfd: Option<OwnedFd>,
    is_reaped: bool,
}

/// The reason why [`Child::wait`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Data has arrived. It may contain complete messages.
    Messages,
    /// The connection was closed, or the process exited.
    End,
    /// The time limit has passed, or another thread has woken this one.
    Nothing,
}

impl Child {
    /// Starts the process and loads the plugin in it. Returns the process, and a bit set with one bit for each function
    /// (slot) that the plugin has.
    ///
    /// Blocks until the plugin is loaded.
    pub(crate) fn start(config: &SpawnConfig, host: &dyn HostCallbacks) -> Result<(Self, u64), LoadError> {
        let mut child = Self::spawn(config).map_err(|error| config.not_started(&error))?;
        let deadline = Instant::now() + config.start_timeout;
        let mut is_greeted = false;
        loop {
            while let Some(message) = child.receiver.next().map_err(|malformed| config.wrong_protocol(&malformed.0))? {
                match message {
                    Message::Hello { newest, oldest } if !is_greeted => {
                        if !(1..=PROTOCOL.into()).contains(&oldest) || newest < PROTOCOL {
                            let versions =
                                format!("it speaks the versions {oldest} to {newest}, but this host {PROTOCOL}");
                            return Err(config.wrong_protocol(&versions));
                        }
                        let sender = child.sender().map_err(|error| config.not_started(&error))?;
                        sender.send(&Message::Version { protocol: PROTOCOL });
                        is_greeted = true;
                    }
                    _ if !is_greeted => return Err(config.wrong_protocol("its first message is not `hello`")),
                    Message::Loaded { slots } => {
                        let lacks = |slot| slots & 1 << number(slot) == 0;
                        if lacks(Slot::Open) || lacks(Slot::Shutdown) && !config.hosts_library {
                            return Err(config.wrong_protocol("`loaded` lacks the slots `open` and `shutdown`"));
                        }
                        return Ok((child, slots));
                    }
                    Message::LoadFailed { error } => {
                        let invalid = |error| config.wrong_protocol(&format!("it sent an invalid load error: {error}"));
                        return Err(
                            serde_json::from_slice::<WireLoadError<'_>>(error).map_or_else(invalid, LoadError::from)
                        );
                    }
                    Message::Event { call, level, json } => host.event(call, level, json),
                    _ => return Err(config.wrong_protocol("it sent an unexpected message during start-up")),
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            // An endless sequence of messages does not extend the limit.
            if left.is_zero() {
                return Err(LoadError::TimedOut(config.start_timeout));
            }
            match child.wait(Some(left), None, host) {
                Wake::Messages | Wake::Nothing => {}
                Wake::End => {
                    let exit = child.wait_for_exit();
                    let is_host = config.hosts_library && !is_greeted;
                    return Err(match is_host {
                        true => config.wrong_protocol(&format!("it {exit}")),
                        false => LoadError::Crashed(exit),
                    });
                }
            }
        }
    }

    fn spawn(config: &SpawnConfig) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        for socket in [&ours, &theirs] {
            // The system may allow less. Then a large message only takes longer.
            let _limited = set_socket_send_buffer_size(socket, SEND_BUFFER_BYTES);
        }
        let (log, write_log) = io::pipe()?;
        let process = Command::new(&config.program)
            .args(&config.arguments)
            .env_clear()
            .envs(config.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(write_log.try_clone()?)
            .stderr(write_log)
            // The process gets its own group. Ctrl-C then reaches only the host, and killing the group also kills the
            // plugin's children.
            .process_group(0)
            .spawn()?;
        let pidfd = open_pidfd(&process);
        Ok(Self {
            process,
            socket: ours,
            receiver: Receiver::default(),
            log: ProcessLog::new(log)?,
            pidfd,
            is_reaped: false,
        })
    }

    /// Returns a sender of messages to the process.
    pub(crate) fn sender(&self) -> io::Result<Sender> {
        Ok(Sender::new(self.socket.try_clone()?))
    }

    /// Returns the next complete message; `None` if no complete message has arrived.
    pub(crate) fn next(&mut self) -> Result<Option<Message<'_>>, Malformed> {
        self.receiver.next()
    }

    /// Waits for messages, until `limit` has passed or `wake` is readable. Meanwhile sends each line of the process's
    /// output to `host` as an event.
    pub(crate) fn wait(
        &mut self,
        limit: Option<Duration>,
        wake: Option<&PipeReader>,
        host: &dyn HostCallbacks,
    ) -> Wake {
        // A message may have come together with the one before it.
        if self.receiver.has_message() {
            return Wake::Messages;
        }
        match self.receiver.receive_soon(&self.socket) {
            Some(Ok(1..)) => return Wake::Messages,
            Some(Ok(0) | Err(_)) => return Wake::End,
            None => {}
        }
        let begun = Instant::now();
        let until = limit.map(|limit| begun + limit);
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let ready = self.poll(left, wake);
            if ready.log {
                self.log.read(|line| send_log_event(host, line));
            }
            if ready.socket {
                match self.receiver.receive(&self.socket, RecvFlags::DONTWAIT) {
                    Ok(1..) => {
                        self.receiver.slept(begun.elapsed());
                        return Wake::Messages;
                    }
                    Err(rustix::io::Errno::AGAIN) => {}
                    Ok(0) | Err(_) => return Wake::End,
                }
            } else if ready.exit {
                return Wake::End;
            }
            if ready.wake || left.is_some_and(|left| left.is_zero()) {
                return Wake::Nothing;
            }
        }
    }

    fn poll(&self, limit: Option<Duration>, wake: Option<&PipeReader>) -> ReadyFds {
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        let to_poll_fd = |file| PollFd::from_borrowed_fd(file, PollFlags::IN);
        let (log, wake) = (self.log.pipe().map(AsFd::as_fd), wake.map(AsFd::as_fd));
        let pidfd = self.pidfd.as_ref().map(AsFd::as_fd);
        let mut files: Vec<_> =
            [Some(self.socket.as_fd()), log, wake, pidfd].into_iter().flatten().map(to_poll_fd).collect();
        // After an interruption the caller checks the time and waits again.
        let _interrupted = poll(&mut files, limit.as_ref());
        let mut ready = files.iter().map(|file| !file.revents().is_empty());
        let mut next = |is_polled: bool| is_polled && ready.next().unwrap_or(false);
        ReadyFds {
            socket: next(true),
            log: next(log.is_some()),
            wake: next(wake.is_some()),
            exit: next(pidfd.is_some()),
        }
    }

    /// Returns true if the process has exited. Processes that it started may still hold the connection open.
    pub(crate) fn has_exited(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        // A host that ignores SIGCHLD cannot wait for a child. Such a host detects the exit only by the end of the
        // connection.
        matches!(waitid(WaitId::Pid(self.id()), options), Ok(Some(_)))
    }

    /// Waits for the process to exit after the host has shut down the connection. Returns `None` if it does. Kills it at
    /// the time limit, and then returns its end.
    pub(crate) fn finish(mut self, host: &dyn HostCallbacks) -> Option<ProcessExit> {
        let deadline = Instant::now() + EXIT_TIMEOUT;
        while Instant::now() < deadline {
            match self.wait(Some(deadline.saturating_duration_since(Instant::now())), None, host) {
                // Passes on events. Replies and chunks no longer have a receiver.
                Wake::Messages => {
                    while let Ok(Some(message)) = self.next() {
                        if let Message::Event { call, level, json } = message {
                            host.event(call, level, json);
                        }
                    }
                }
                Wake::Nothing => {}
                Wake::End => return None,
            }
        }
        let limit = EXIT_TIMEOUT.as_secs();
        Some(self.end(format!("did not exit within {limit} s of the end of its connection and was killed")))
    }

    /// Kills the process and returns its end. `description` says why the host killed it, as the predicate of a
    /// sentence.
    pub(crate) fn end(mut self, description: impl Into<String>) -> ProcessExit {
        self.reap();
        ProcessExit::killed(description, self.log.last())
    }

    /// Waits for the process to exit after it has closed its connection. Kills the process if it exceeds the time
    /// limit.
    pub(crate) fn wait_for_exit(mut self) -> ProcessExit {
        // The connection closes shortly before the process can be reaped.
        let deadline = Instant::now() + CLOSE_GRACE;
        while !self.has_exited() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        let had_exited = self.has_exited();
        match self.reap() {
            Some(status) if had_exited => ProcessExit::from_status(status, self.log.last()),
            _ => ProcessExit::killed("closed its connection and was killed", self.log.last()),
        }
    }

    /// Kills the process and its process group, waits for its exit status, and reads the rest of its output.
    fn reap(&mut self) -> Option<ExitStatus> {
        // The process id is not reused before `wait`, so the group is that of this process.
        let _gone = kill_process_group(self.id(), Signal::KILL);
        // The plugin may have moved its process to another group.
        let _gone = self.kill();
        let status = self.process.wait().ok();
        self.is_reaped = true;
        self.log.read(|_| {});
        status
    }

    /// Kills the process without its group. Never kills a later process that has the same id.
    fn kill(&mut self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if let Some(pidfd) = &self.pidfd {
            return Ok(rustix::process::pidfd_send_signal(pidfd, Signal::KILL)?);
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

/// Tells which of the polled file descriptors are ready.
struct ReadyFds {
    socket: bool,
    log: bool,
    wake: bool,
    exit: bool,
}

/// Opens a file descriptor that becomes readable when the process exits. Returns `None` on systems other than Linux.
fn open_pidfd(process: &std::process::Child) -> Option<OwnedFd> {
    #[cfg(target_os = "linux")]
    return rustix::process::pidfd_open(Pid::from_child(process), rustix::process::PidfdFlags::empty()).ok();
    #[cfg(not(target_os = "linux"))]
    {
        let _unused = process;
        None
    }
}

/// Sends a line of the process's output to the host as an event.
fn send_log_event(host: &dyn HostCallbacks, line: &str) {
    let event = serde_json::json!({ "message": line });
    host.event(0, Level::Debug as u32, Some(event.to_string().as_bytes()));
}
