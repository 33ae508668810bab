//! The other side: a process that loads one plugin, and lets its host call it.
//!
//! The thread that reads enters the plugin's slots, which do not block. It lives no longer than its host: the
//! connection ends however the host does, and what the plugin has started ends with it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mlflow_deploy_plugin_api::call::Level;
use mlflow_deploy_plugin_api::ffi::abi::STATUS_ERROR;
use mlflow_deploy_plugin_api::ffi::{BorrowedReply, HostCallbacks, PluginTransport, Slot, Table, check_size};
use mlflow_deploy_plugin_api::{Error, ErrorCode};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::RecvFlags;
use rustix::process::{Pid, Signal, getpgrp, getpid, kill_current_process_group};

use super::child::SpawnConfig;
use super::message::{self, Message, PROTOCOL};
use super::nested::Nested;
use super::receiver::Receiver;
use super::sender::Sender;
use super::wire_error::WireLoadError;
use crate::load::library;
use crate::load::loading;

/// How long a plugin may take to wind up when its host has gone.
const GRACE: Duration = Duration::from_secs(2);

/// How much may wait for the host before events are left out: who talks faster than it is heard talks to nobody.
const BACKLOG: usize = 16 << 20;

/// Hosts the plugin of one library for the process that started this one, until that goes; never returns.
///
/// This is all of the program `mlflow-deploy-plugin-host`. A program that embeds the host may offer the same of its own,
/// and name itself in [`HostBuilder::plugin_host`](crate::HostBuilder::plugin_host): it is started with the library's
/// path as its only argument, and a socket as its stdin.
pub fn serve_plugin(arguments: impl IntoIterator<Item = OsString>) -> ! {
    let mut arguments = arguments.into_iter();
    let (library, None) = (arguments.next(), arguments.next()) else { misused() };
    let (Some(library), Ok(socket)) = (library, connection()) else { misused() };
    let (Ok(sending), Ok(watched)) = (socket.try_clone(), socket.try_clone()) else { misused() };
    let host = Arc::new(Host::new(Sender::new(sending), nested(&library)));
    let (alive, is_alive) = mpsc::channel();
    let guard = thread::Builder::new().name("mlflow-deploy-host".to_owned());
    let guard = guard.spawn(move || exit_with_parent(&watched, &alive));
    // A library that hangs while it is loaded holds the lock of the system's loader, without which no thread comes to life.
    if guard.is_ok() && is_alive.recv().is_ok() {
        host.sender.send(&Message::Hello { protocol: PROTOCOL });
        // Of the same kind as the thread that loads a library into the host's process.
        let plugin = loading::thread().spawn(move || serve(Path::new(&library), &socket, &host));
        let _panicked = plugin.map(JoinHandle::join);
    }
    end()
}

/// The connection to the host, which is stdin, and is put where the plugin's own programs do not see it.
/// How the plugin gets another instance of itself: by this same program, which sees what this process does.
fn nested(library: &OsStr) -> Option<Nested> {
    let (program, library) = (std::env::current_exe().ok()?, PathBuf::from(library));
    Nested::new(SpawnConfig { program, library, environment: std::env::vars_os().collect() })
}

fn connection() -> std::io::Result<UnixStream> {
    rustix::net::sockopt::socket_type(std::io::stdin())?;
    let socket = rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 3)?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(UnixStream::from(socket))
}

fn misused() -> ! {
    let _closed = std::io::stderr().write_all(b"this program hosts a plugin for mlflow-deploy, which starts it\n");
    library::exit_now(2)
}

/// Ends the process when its host has gone, also where the plugin holds on to the thread that reads.
fn exit_with_parent(connection: &UnixStream, alive: &mpsc::Sender<()>) {
    // Nothing is asked for, so that only the end is told.
    let mut connection = [PollFd::from_borrowed_fd(connection.as_fd(), PollFlags::empty())];
    // All that is needed later is called once, as long as it can be.
    let _not_yet = poll(&mut connection, Some(&Timespec::default()));
    thread::sleep(Duration::ZERO);
    let _waited_for = alive.send(());
    while connection[0].revents().is_empty() {
        let _interrupted = poll(&mut connection, None);
    }
    thread::sleep(GRACE);
    end()
}

/// Ends the process and, where it is the leader of its group, all that the plugin has started.
fn end() -> ! {
    if getpgrp() == getpid() {
        let _gone = kill_current_process_group(Signal::KILL);
    }
    library::exit_now(0)
}

/// Loads the plugin, and passes on what its host says until that says no more.
fn serve(path: &Path, socket: &UnixStream, host: &Arc<Host>) {
    let to_host = Arc::clone(host);
    let plugin = match library::start(path, to_host) {
        Ok(plugin) => plugin,
        Err(refusal) => {
            let refusal =
                serde_json::to_vec(&WireLoadError::from(&refusal)).expect("it holds only strings and numbers");
            return host.sender.send(&Message::Refused { refusal: &refusal });
        }
    };
    host.sender.send(&Message::Loaded { slots: message::bits(|slot| plugin.has(slot)) });
    let mut receiver = Receiver::default();
    let mut shutting_down = None;
    while let Ok(1..) = receiver.receive(socket, RecvFlags::empty()) {
        while let Ok(Some(message)) = receiver.next() {
            if let Message::Call { slot: Slot::Shutdown, call, .. } = message {
                shutting_down = Some(call);
            }
            pass_on(&message, &plugin, host);
            if host.is_copy() {
                library::exit_now(0);
            }
        }
    }
    if let Some(call) = shutting_down {
        host.wait_for(call);
    }
}

fn pass_on(message: &Message<'_>, plugin: &Table, host: &Host) {
    match *message {
        // What the host was told of the plugin's slots may be what an earlier process had.
        Message::Call { slot, call, .. } if !plugin.has(slot) => {
            let gone = format!("the plugin does not have the slot {slot:?} any more");
            host.fail(call, &Error::new(ErrorCode::NOT_IMPLEMENTED, gone));
        }
        Message::Call { slot, client, call, request } => plugin.call(slot, client, call, &request),
        Message::Cancel { call } => plugin.cancel(call),
        Message::Close { client } => plugin.close(client),
        Message::Credit { call, chunks } => plugin.credit(call, chunks),
        Message::Ping => host.sender.send(&Message::Pong),
        // The rest is what a plugin says: a host that says it is not understood, and not obeyed.
        _ => {}
    }
}

/// The host as the plugin sees it.
struct Host {
    sender: Sender,
    /// How the plugin gets another instance of itself.
    nested: Option<Nested>,
    /// The process that the host has started.
    process: Pid,
    /// How many events were left out since the last that was not.
    left_out: AtomicU64,
    /// The call that was answered last.
    last_answered: Mutex<Option<u64>>,
    answered: Condvar,
}

impl Host {
    fn new(sender: Sender, nested: Option<Nested>) -> Self {
        let (process, left_out) = (getpid(), AtomicU64::new(0));
        Self { sender, nested, process, left_out, last_answered: Mutex::default(), answered: Condvar::new() }
    }

    /// Whether this is a copy of the process, which the plugin has forked: it has the same connection, and is to say
    /// nothing through it, and hear nothing.
    fn is_copy(&self) -> bool {
        getpid() != self.process
    }

    /// Sends what the plugin says of a call; what is too large ends it with an error, as it would in the host's process.
    fn send(&self, call: u64, said: &Message<'_>) {
        match said.check_size() {
            _ if self.is_copy() => {}
            Ok(()) => self.sender.send(said),
            Err(too_large) => self.fail(call, &too_large),
        }
    }

    fn fail(&self, call: u64, error: &Error) {
        let lent = BorrowedReply { head: Some(&[]), body: Some(&message::to_json(error)) };
        self.sender.send(&Message::Reply { call, status: STATUS_ERROR, lent });
    }

    /// Waits until the call has been answered, but not for ever.
    fn wait_for(&self, call: u64) {
        let last = self.last_answered.lock().unwrap_or_else(PoisonError::into_inner);
        let _timed_out = self.answered.wait_timeout_while(last, GRACE, |last| *last != Some(call));
    }
}

impl HostCallbacks for Host {
    fn reply(&self, call: u64, status: u32, lent: BorrowedReply<'_>) {
        self.send(call, &Message::Reply { call, status, lent });
        *self.last_answered.lock().unwrap_or_else(PoisonError::into_inner) = Some(call);
        self.answered.notify_all();
    }

    fn chunk(&self, call: u64, lent: BorrowedReply<'_>) {
        self.send(call, &Message::Chunk { call, lent });
    }

    fn event(&self, call: u64, level: u32, json: Option<&[u8]>) {
        if self.is_copy() {
            return;
        }
        if self.sender.backlog() > BACKLOG {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let left_out = self.left_out.swap(0, Ordering::Relaxed);
        if left_out > 0 {
            let message = format!("{left_out} events were left out: they came faster than they were heard");
            let json = serde_json::json!({ "message": message }).to_string();
            self.sender.send(&Message::Event { call: 0, level: Level::Warn as u32, json: Some(json.as_bytes()) });
        }
        // The host says of one without JSON that it cannot be read.
        let json = json.filter(|json| check_size(json).is_ok());
        self.sender.send(&Message::Event { call, level, json });
    }

    fn isolate(&self, host: Arc<dyn HostCallbacks>) -> Option<Arc<dyn PluginTransport>> {
        self.nested.as_ref().filter(|_| !self.is_copy()).map(|nested| nested.isolate(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_beyond_the_backlog_are_dropped_and_counted() {
        const EVENTS: u64 = 200;
        let (ours, theirs) = UnixStream::pair().unwrap();
        let host = Host::new(Sender::new(ours), None);
        let json = vec![b' '; 1 << 20];
        (0..EVENTS).for_each(|_| host.event(1, 3, Some(&json)));
        host.reply(9, 0, BorrowedReply { head: Some(&[]), body: Some(&[]) });
        let (mut receiver, mut received, mut reported, mut is_last) = (Receiver::default(), 0, 0, false);
        while !is_last {
            match receiver.next().unwrap() {
                Some(Message::Event { call: 1, .. }) => received += 1,
                // The backlog has been received, so there is room for another event.
                Some(Message::Reply { call: 9, .. }) => host.event(2, 3, Some(b"{}")),
                // The sender may have caught up more than once: each time it reports the events left out before.
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
