//! Runs in the process of a plugin: loads the plugin and forwards the host's calls to it.
//!
//! The thread that reads from the connection calls the plugin's functions, which do not block. When the host ends, the
//! connection closes. This process then ends, together with the processes that the plugin has started.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mlflow_deploy_plugin_api::call::Level;
use mlflow_deploy_plugin_api::ffi::abi::STATUS_ERROR;
use mlflow_deploy_plugin_api::ffi::{BorrowedReply, HostCallbacks, PluginTransport, Slot, Table, check_size};
use mlflow_deploy_plugin_api::{Error, ErrorCode, sync};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::RecvFlags;
use rustix::process::{Pid, Signal, getpgrp, getpid, kill_current_process_group};

use super::instance_spawner::InstanceSpawner;
use super::message::{self, Message, PROTOCOL};
use super::receiver::Receiver;
use super::sender::Sender;
use super::spawn_config::SpawnConfig;
use super::wire_error::WireLoadError;
use crate::load::library;

/// The time limit for the plugin to shut down after the host has closed the connection.
const GRACE: Duration = Duration::from_secs(2);

/// The number of unsent bytes above which the process drops the plugin's events.
const MAX_BACKLOG_BYTES: usize = 16 << 20;

/// Hosts the plugin of one library for the parent process, until the parent closes the connection. Never returns.
///
/// The program `mlflow-deploy-plugin-host` consists of a call of this function. A program that embeds the host can also
/// call this function, and then specify itself in [`HostBuilder::plugin_host`](crate::HostBuilder::plugin_host). The
/// host starts the program with the library's path as its only argument and a socket as its stdin.
pub fn serve_plugin(arguments: impl IntoIterator<Item = OsString>) -> ! {
    let mut arguments = arguments.into_iter();
    let (library, None) = (arguments.next(), arguments.next()) else { exit_with_usage() };
    let (Some(library), Ok(socket)) = (library, connection()) else { exit_with_usage() };
    let (Ok(sending), Ok(watched)) = (socket.try_clone(), socket.try_clone()) else { exit_with_usage() };
    let host = Arc::new(RemoteHost::new(Sender::new(sending), instance_spawner(&library)));
    let (ready, is_ready) = mpsc::channel();
    let watcher = thread::Builder::new().name("mlflow-deploy-host".to_owned());
    let watcher = watcher.spawn(move || exit_with_parent(&watched, &ready));
    // Waits until the watching thread runs. A library that hangs during loading holds the loader's lock, and no thread
    // can start then.
    if watcher.is_ok() && is_ready.recv().is_ok() {
        host.sender.send(&Message::Hello { newest: PROTOCOL, oldest: PROTOCOL.into() });
        // The same kind of thread as the one that loads a library into the host's process.
        let plugin = library::thread().spawn(move || serve(Path::new(&library), &socket, &host));
        let _panicked = plugin.map(JoinHandle::join);
    }
    end()
}

/// Returns a spawner of further instances of the plugin. Each of them runs in a new process of this program, with the
/// same environment variables.
fn instance_spawner(library: &OsStr) -> Option<InstanceSpawner> {
    let (program, library) = (std::env::current_exe().ok()?, PathBuf::from(library));
    InstanceSpawner::new(SpawnConfig::library(program, library, std::env::vars_os().collect()))
}

/// Returns the connection to the host, which the host passes as stdin. Replaces stdin, so that child processes do not
/// inherit the connection.
fn connection() -> std::io::Result<UnixStream> {
    rustix::net::sockopt::socket_type(std::io::stdin())?;
    let socket = rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 3)?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(UnixStream::from(socket))
}

fn exit_with_usage() -> ! {
    let usage = b"error: this program cannot be run directly: mlflow-deploy starts it to host a plugin\n";
    let _closed = std::io::stderr().write_all(usage);
    library::exit_now(2)
}

/// Waits until the host closes the connection, and then ends the process. Runs on its own thread, because the plugin
/// may block the thread that reads messages.
fn exit_with_parent(connection: &UnixStream, ready: &mpsc::Sender<()>) {
    // Without requested events, `poll` only reports the end of the connection.
    let mut connection = [PollFd::from_borrowed_fd(connection.as_fd(), PollFlags::empty())];
    // Calls every function that is needed later once, so that the loader resolves these functions now.
    let _open = poll(&mut connection, Some(&Timespec::default()));
    thread::sleep(Duration::ZERO);
    let _received = ready.send(());
    while connection[0].revents().is_empty() {
        let _interrupted = poll(&mut connection, None);
    }
    thread::sleep(GRACE);
    end()
}

/// Ends this process. Also ends the processes that the plugin has started, if this process leads its process group.
fn end() -> ! {
    if getpgrp() == getpid() {
        let _gone = kill_current_process_group(Signal::KILL);
    }
    library::exit_now(0)
}

/// Loads the plugin and forwards messages to it, until the host closes the connection.
fn serve(path: &Path, socket: &UnixStream, host: &Arc<RemoteHost>) {
    let mut receiver = Receiver::default();
    if !waits_for_version(&mut receiver, socket) {
        return;
    }
    let to_host = Arc::clone(host);
    let plugin = match library::start(path, to_host) {
        Ok(plugin) => plugin,
        Err(error) => {
            let error = serde_json::to_vec(&WireLoadError::from(&error)).expect("it holds only strings and numbers");
            return host.sender.send(&Message::LoadFailed { error: &error });
        }
    };
    host.sender.send(&Message::Loaded { slots: message::bits(|slot| plugin.has(slot)) });
    while let Ok(1..) = receiver.wait(socket) {
        while let Ok(Some(message)) = receiver.next() {
            if let Message::Call { slot: Slot::Shutdown, call, .. } = message {
                host.shutdown_call.store(call, Ordering::Relaxed);
            }
            forward(&message, &plugin, host);
            if host.is_forked() {
                library::exit_now(0);
            }
        }
    }
    host.wait_for_shutdown();
}

/// Waits for the message that states the version of the protocol. Returns false if the host sends another one or closes
/// the connection.
fn waits_for_version(receiver: &mut Receiver, socket: &UnixStream) -> bool {
    loop {
        let is_version = |message| matches!(message, Message::Version { protocol: PROTOCOL });
        match receiver.next().map(|message| message.map(is_version)) {
            Ok(Some(is_version)) => return is_version,
            Ok(None) => {}
            Err(_malformed) => return false,
        }
        let Ok(1..) = receiver.receive(socket, RecvFlags::empty()) else { return false };
    }
}

fn forward(message: &Message<'_>, plugin: &Table, host: &RemoteHost) {
    match *message {
        // The host may know only the slots of an earlier process.
        Message::Call { slot, call, .. } if !plugin.has(slot) => {
            let missing = format!("the plugin no longer has the slot `{slot:?}`");
            host.fail(call, &Error::new(ErrorCode::NOT_IMPLEMENTED, missing));
        }
        Message::Call { slot, client, call, request } => plugin.call(slot, client, call, &request),
        Message::Cancel { call } => plugin.cancel(call),
        Message::Close { client } => plugin.close(client),
        Message::Credit { call, chunks } => plugin.credit(call, chunks),
        Message::Ping => host.sender.send(&Message::Pong),
        // Ignores messages that only a plugin may send.
        _ => {}
    }
}

/// The host, which is in another process, at the other end of the connection.
struct RemoteHost {
    sender: Sender,
    spawner: Option<InstanceSpawner>,
    /// The id of the process that the host started. A fork of that process has another id.
    process: Pid,
    /// The number of events that were dropped after the last event that was sent.
    dropped: AtomicU64,
    /// The id of the call that shuts the plugin down; 0 before that call.
    shutdown_call: AtomicU64,
    /// True if the plugin has answered that call.
    is_shut_down: Mutex<bool>,
    shut_down: Condvar,
}

impl RemoteHost {
    fn new(sender: Sender, spawner: Option<InstanceSpawner>) -> Self {
        Self {
            sender,
            spawner,
            process: getpid(),
            dropped: AtomicU64::new(0),
            shutdown_call: AtomicU64::new(0),
            is_shut_down: Mutex::default(),
            shut_down: Condvar::new(),
        }
    }

    /// Returns true if the current process is a fork that the plugin has made. A fork must not use the connection,
    /// which it shares with the original process.
    fn is_forked(&self) -> bool {
        getpid() != self.process
    }

    /// Sends a message about a call. If the message is too large, the call fails, as it would for a plugin in the
    /// host's process.
    fn send(&self, call: u64, message: &Message<'_>) {
        match message.check_size() {
            _ if self.is_forked() => {}
            Ok(()) => self.sender.send(message),
            Err(too_large) => self.fail(call, &too_large),
        }
    }

    fn fail(&self, call: u64, error: &Error) {
        let reply = BorrowedReply { head: Some(&[]), body: Some(&message::to_json(error)) };
        self.sender.send(&Message::Reply { call, status: STATUS_ERROR, reply });
    }

    /// Waits until the plugin has answered the call that shuts it down, or until `GRACE` has passed. Returns at once if
    /// there was no such call.
    fn wait_for_shutdown(&self) {
        if self.shutdown_call.load(Ordering::Relaxed) != 0 {
            let is_shut_down = sync::lock(&self.is_shut_down);
            let _timed_out = self.shut_down.wait_timeout_while(is_shut_down, GRACE, |is_shut_down| !*is_shut_down);
        }
    }
}

impl HostCallbacks for RemoteHost {
    fn reply(&self, call: u64, status: u32, reply: BorrowedReply<'_>) {
        self.send(call, &Message::Reply { call, status, reply });
        // The id was stored before the plugin got the call.
        if call != 0 && self.shutdown_call.load(Ordering::Relaxed) == call {
            *sync::lock(&self.is_shut_down) = true;
            self.shut_down.notify_all();
        }
    }

    fn chunk(&self, call: u64, chunk: BorrowedReply<'_>) {
        self.send(call, &Message::Chunk { call, chunk });
    }

    fn event(&self, call: u64, level: u32, json: Option<&[u8]>) {
        if self.is_forked() {
            return;
        }
        if self.sender.backlog() > MAX_BACKLOG_BYTES {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let message = format!("{dropped} events were dropped: the plugin sent them faster than the host read them");
            let json = serde_json::json!({ "message": message }).to_string();
            self.sender.send(&Message::Event { call: 0, level: Level::Warn as u32, json: Some(json.as_bytes()) });
        }
        // The host reports an event without JSON as invalid.
        let json = json.filter(|json| check_size(json).is_ok());
        self.sender.send(&Message::Event { call, level, json });
    }

    fn isolate(&self, host: Arc<dyn HostCallbacks>) -> Option<Arc<dyn PluginTransport>> {
        self.spawner.as_ref().filter(|_| !self.is_forked()).map(|spawner| spawner.spawn(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_beyond_the_backlog_are_dropped_and_counted() {
        const EVENTS: u64 = 200;
        let (ours, theirs) = UnixStream::pair().unwrap();
        let host = RemoteHost::new(Sender::new(ours), None);
        let json = vec![b' '; 1 << 20];
        (0..EVENTS).for_each(|_| host.event(1, 3, Some(&json)));
        host.reply(9, 0, BorrowedReply { head: Some(&[]), body: Some(&[]) });
        let (mut receiver, mut received, mut reported, mut is_last) = (Receiver::default(), 0, 0, false);
        while !is_last {
            match receiver.next().unwrap() {
                Some(Message::Event { call: 1, .. }) => received += 1,
                // The backlog has been received, so there is room for another event.
                Some(Message::Reply { call: 9, .. }) => host.event(2, 3, Some(b"{}")),
                // The sender may have emptied its backlog more than once. Each time, it reports the events that were
                // dropped before.
                Some(Message::Event { call: 0, json, .. }) => {
                    let text = String::from_utf8(json.unwrap().to_vec()).unwrap();
                    let count = text.trim_start_matches("{\"message\":\"").split(' ').next().unwrap();
                    reported += count.parse::<u64>().unwrap_or_else(|_| panic!("{text}"));
                }
                Some(Message::Event { call: 2, .. }) => is_last = true,
                Some(other) => panic!("{other:?}"),
                None => assert_ne!(receiver.receive(&theirs, RecvFlags::empty()), Ok(0)),
            }
        }
        assert!(received > 0 && reported > 0, "{received} received");
        assert_eq!(received + reported, EVENTS);
    }
}
