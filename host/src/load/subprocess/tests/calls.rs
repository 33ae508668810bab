//! Whatever a process does and whenever it dies: every call ends once, and no call reaches a client that is not open.

use std::collections::{HashMap, HashSet};
use std::os::unix::net::UnixStream;

use mlflow_deploy_plugin_api::ffi::abi::{STATUS_ERROR, STATUS_OK};
use mlflow_deploy_plugin_api::ffi::{Request, Slot};
use mlflow_deploy_plugin_api::{Error, Operation};
use rustix::net::RecvFlags;

use super::super::calls::{Calls, Connection, Phase, QueuedCall, Unanswered, is_of_host};
use super::super::message::Message;
use super::super::receiver::Receiver;
use super::super::sender::Sender;

/// The process at the other end: it reads what it is told, and answers when it likes.
struct Process {
    socket: UnixStream,
    receiver: Receiver,
    /// The clients that are open in it.
    open: HashSet<u64>,
    /// What it has been asked, and has not answered: the client that a call opens, or 0.
    asked: HashMap<u64, u64>,
}

impl Process {
    fn start() -> (Self, Connection) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (_, wake) = std::io::pipe().unwrap();
        let link = Connection { sender: Sender::new(ours), wake, is_asleep: false };
        let (open, asked) = (HashSet::new(), HashMap::new());
        (Self { socket: theirs, receiver: Receiver::default(), open, asked }, link)
    }

    /// Reads all that it has been told, and checks that it may be told so.
    fn listen(&mut self) {
        while let Ok(1..) = self.receiver.receive(&self.socket, RecvFlags::DONTWAIT) {
            while let Some(message) = self.receiver.next().unwrap() {
                match message {
                    Message::Call { slot: Slot::Open, client, call, request } => {
                        assert_eq!(
                            request.head,
                            client.to_string().as_bytes(),
                            "a client is opened as it was at first"
                        );
                        assert!(!self.open.contains(&client), "client {client} is opened twice");
                        assert_eq!(self.asked.insert(call, client), None);
                    }
                    Message::Call { client, call, .. } => {
                        assert!(client == 0 || self.open.contains(&client), "client {client} is not open");
                        assert_eq!(self.asked.insert(call, 0), None, "call {call} is made twice");
                    }
                    Message::Close { client } => assert!(self.open.remove(&client), "client {client} is not open"),
                    Message::Cancel { .. } | Message::Credit { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    /// Answers one call.
    fn answer(&mut self, random: &mut fastrand::Rng) -> Option<(u64, u32)> {
        self.listen();
        let call = random.choice(self.asked.keys().copied().collect::<Vec<_>>())?;
        let status = if random.u8(..4) == 0 { STATUS_ERROR } else { STATUS_OK };
        let opened = self.asked.remove(&call)?;
        if opened != 0 && status == STATUS_OK {
            self.open.insert(opened);
        }
        Some((call, status))
    }
}

/// What the host has asked for and heard of.
#[derive(Default)]
struct Caller {
    last: u64,
    /// The clients that it has opened.
    open: Vec<u64>,
    /// The calls that have not ended, each with the client that it opens, or 0, and the one that it is of.
    waiting: HashMap<u64, (u64, u64)>,
}

impl Caller {
    fn ended(&mut self, call: u64, status: u32) {
        let (opens, _) = self.waiting.remove(&call).unwrap_or_else(|| panic!("call {call} ends twice, or is nobody's"));
        if opens != 0 && status == STATUS_OK {
            self.open.push(opens);
        }
    }

    fn call(&mut self, calls: &mut Calls, slot: Slot, client: u64) {
        self.last += 1;
        let call = self.last;
        let opens = if slot == Slot::Open { client } else { 0 };
        self.waiting.insert(call, (opens, client));
        let head = client.to_string();
        let request = Request { head: head.as_bytes(), ..Request::default() };
        match &mut calls.phase {
            Phase::Running(_) => calls.begin(slot, client, call, &request),
            Phase::Starting(waiting) => waiting.push(QueuedCall::new(slot, client, call, &request)),
            Phase::Ended(_) => calls.phase = Phase::Starting(vec![QueuedCall::new(slot, client, call, &request)]),
            Phase::ShutDown => unreachable!("nobody has said so"),
        }
    }
}

#[test]
fn every_call_ends_once_whatever_becomes_of_the_process() {
    const ROUNDS: u64 = 500;
    let (mut deaths, mut reopened) = (0, 0);
    for seed in 0..ROUNDS {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut process, link) = Process::start();
        let (mut calls, mut caller) = (Calls::new(link), Caller::default());
        for _ in 0..200 {
            match random.u8(..16) {
                0 | 1 => {
                    caller.last += 1;
                    let client = caller.last;
                    caller.call(&mut calls, Slot::Open, client);
                }
                2 => caller.call(&mut calls, Slot::TargetHelp, 0),
                3..7 => {
                    if let Some(client) = random.choice(&caller.open).copied() {
                        caller.call(&mut calls, Slot::Operation(Operation::Predict), client);
                    }
                }
                7 => {
                    let call = random.choice(caller.waiting.keys().copied().collect::<Vec<_>>());
                    if let Some(call) = call.filter(|call| calls.cancel(*call)) {
                        caller.ended(call, STATUS_ERROR);
                    }
                }
                8 => {
                    // A client is closed when none of its calls is on its way.
                    let is_busy = |client: u64| caller.waiting.values().any(|(_, of)| *of == client);
                    if let Some(place) = caller.open.iter().position(|client| !is_busy(*client)) {
                        calls.close(caller.open.swap_remove(place));
                    }
                }
                9 if matches!(calls.phase, Phase::Running(_)) => {
                    deaths += 1;
                    calls
                        .ended(Error::internal("it died"))
                        .all()
                        .into_iter()
                        .for_each(|call| caller.ended(call, STATUS_ERROR));
                }
                9 | 10 if matches!(calls.phase, Phase::Starting(_)) => {
                    if random.u8(..4) == 0 {
                        let failed = calls.ended(Error::internal("it did not start")).all();
                        failed.into_iter().for_each(|call| caller.ended(call, STATUS_ERROR));
                    } else {
                        let (started, link) = Process::start();
                        process = started;
                        calls.started(link);
                    }
                }
                _ if matches!(calls.phase, Phase::Running(_)) => {
                    if let Some((call, status)) = process.answer(&mut random) {
                        reopened += u64::from(!is_of_host(call));
                        for answered in calls.replied(call, status) {
                            caller.ended(answered, status);
                        }
                    }
                }
                _ => {}
            }
        }
        // In the end it dies, or is not started: then nobody waits any more.
        calls.ended(Error::internal("the end")).all().into_iter().for_each(|call| caller.ended(call, STATUS_ERROR));
        assert!(caller.waiting.is_empty() && calls.is_idle(), "seed {seed}: {:?} wait for ever", caller.waiting);
    }
    println!("{ROUNDS} rounds: {deaths} deaths, {reopened} clients opened again");
    assert!(deaths > 100 && reopened > 100);
}

impl Unanswered {
    fn all(self) -> Vec<u64> {
        [self.begun, self.waiting].concat()
    }
}
