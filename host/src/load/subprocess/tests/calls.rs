//! Tests that every call ends exactly once, however the process behaves and whenever it dies. Tests that no call
//! reaches a client that is not open.

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

/// A stand-in for the process of a plugin. It reads messages and answers at random times.
struct FakeProcess {
    socket: UnixStream,
    receiver: Receiver,
    /// The clients that are open in the process.
    open: HashSet<u64>,
    /// The calls that the process has not answered. The value is the client that the call opens, or 0.
    pending: HashMap<u64, u64>,
}

impl FakeProcess {
    fn start() -> (Self, Connection) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (_, wake) = std::io::pipe().unwrap();
        let connection = Connection { sender: Sender::new(ours), wake, is_asleep: false };
        let (open, pending) = (HashSet::new(), HashMap::new());
        (Self { socket: theirs, receiver: Receiver::default(), open, pending }, connection)
    }

    /// Reads the messages that have arrived, and checks that they are valid.
    fn receive(&mut self) {
        while let Ok(1..) = self.receiver.receive(&self.socket, RecvFlags::DONTWAIT) {
            while let Some(message) = self.receiver.next().unwrap() {
                match message {
                    Message::Call { slot: Slot::Open, client, call, request } => {
                        assert_eq!(
                            request.head,
                            client.to_string().as_bytes(),
                            "a client is reopened with its first arguments"
                        );
                        assert!(!self.open.contains(&client), "client {client} is opened twice");
                        assert_eq!(self.pending.insert(call, client), None);
                    }
                    Message::Call { client, call, .. } => {
                        assert!(client == 0 || self.open.contains(&client), "client {client} is not open");
                        assert_eq!(self.pending.insert(call, 0), None, "call {call} is made twice");
                    }
                    Message::Close { client } => assert!(self.open.remove(&client), "client {client} is not open"),
                    Message::Cancel { .. } | Message::Credit { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    /// Answers one random call. Returns the call and the status of the answer.
    fn answer(&mut self, random: &mut fastrand::Rng) -> Option<(u64, u32)> {
        self.receive();
        let call = random.choice(self.pending.keys().copied().collect::<Vec<_>>())?;
        let status = if random.u8(..4) == 0 { STATUS_ERROR } else { STATUS_OK };
        let opened = self.pending.remove(&call)?;
        if opened != 0 && status == STATUS_OK {
            self.open.insert(opened);
        }
        Some((call, status))
    }
}

/// A stand-in for the host, with its open clients and its unanswered calls.
#[derive(Default)]
struct Caller {
    last: u64,
    /// The clients that are open from the host's point of view.
    open: Vec<u64>,
    /// The unanswered calls. The values are the client that the call opens, or 0, and the client of the call.
    waiting: HashMap<u64, (u64, u64)>,
}

impl Caller {
    fn ended(&mut self, call: u64, status: u32) {
        let (opens, _) = self.waiting.remove(&call).unwrap_or_else(|| panic!("call {call} ends twice, or is unknown"));
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
            Phase::Running(_) => calls.start(slot, client, call, &request),
            Phase::Starting(waiting) => waiting.push(QueuedCall::new(slot, client, call, &request)),
            Phase::Ended(_) => calls.phase = Phase::Starting(vec![QueuedCall::new(slot, client, call, &request)]),
            Phase::ShutDown => unreachable!("the test never drops the plugin"),
        }
    }
}

#[test]
fn every_call_ends_once_though_processes_die_and_fail_to_start() {
    const ROUNDS: u64 = 500;
    let (mut exits, mut reopened) = (0, 0);
    for seed in 0..ROUNDS {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut process, connection) = FakeProcess::start();
        let (mut calls, mut caller) = (Calls::new(connection), Caller::default());
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
                    // A client is closed when it has no unanswered call.
                    let is_busy = |client: u64| caller.waiting.values().any(|(_, of)| *of == client);
                    if let Some(at) = caller.open.iter().position(|client| !is_busy(*client)) {
                        calls.close(caller.open.swap_remove(at));
                    }
                }
                9 if matches!(calls.phase, Phase::Running(_)) => {
                    exits += 1;
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
                        let (started, connection) = FakeProcess::start();
                        process = started;
                        calls.started(connection);
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
        // At the end, the process dies or does not start. Both must end all calls.
        calls.ended(Error::internal("the end")).all().into_iter().for_each(|call| caller.ended(call, STATUS_ERROR));
        assert!(caller.waiting.is_empty() && calls.is_idle(), "seed {seed}: {:?} never end", caller.waiting);
    }
    println!("{ROUNDS} rounds: {exits} exits, {reopened} clients reopened");
    assert!(exits > 100 && reopened > 100);
}

impl Unanswered {
    fn all(self) -> Vec<u64> {
        [self.started, self.waiting].concat()
    }
}
