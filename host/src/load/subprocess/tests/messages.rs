//! Tests that messages arrive as they were sent. `tests/fuzz` tests damaged messages.

use std::os::unix::net::UnixStream;

use rustix::net::RecvFlags;

use mlflow_deploy_plugin_api::ErrorCode;
use mlflow_deploy_plugin_api::ffi::{BorrowedReply, MAX_MESSAGE_BYTES, Request, Slot};

use super::super::message::{HEAD, Message, PROTOCOL, bits, number, slots};
use super::super::receiver::Receiver;
use super::super::sender::Sender;

const HEAD_JSON: &[u8] = br#"{"endpoint":"e"}"#;

/// Returns messages of every kind. Their parts hold bytes, are empty, or are invalid slices.
fn every_kind() -> Vec<Message<'static>> {
    let request = Request { credit: 16, timeout_ms: u64::MAX, head: HEAD_JSON, body: b"[1]" };
    let reply = BorrowedReply { head: Some(b""), body: Some(b"[1]") };
    let mut messages = vec![
        Message::Cancel { call: 1 },
        Message::Close { client: u64::MAX },
        Message::Credit { call: 2, chunks: u32::MAX },
        Message::Ping,
        Message::Hello { newest: PROTOCOL, oldest: 1 },
        Message::Version { protocol: PROTOCOL },
        Message::Loaded { slots: u64::MAX },
        Message::LoadFailed { error: b"{}" },
        Message::Reply { call: 3, status: 9, reply },
        Message::Reply { call: 3, status: 0, reply: BorrowedReply { head: Some(HEAD_JSON), body: None } },
        Message::Chunk { call: 4, chunk: BorrowedReply { head: None, body: Some(b"x") } },
        Message::Event { call: 0, level: 4, json: Some(HEAD_JSON) },
        Message::Event { call: 5, level: 1, json: None },
        Message::Pong,
    ];
    messages.extend(slots().map(|slot| Message::Call { slot, client: 7, call: 8, request }));
    messages
}

/// Returns the bytes in which a message is sent.
fn bytes(message: &Message<'_>) -> Vec<u8> {
    let (head, first, second) = message.parts();
    [&head, first, second].concat()
}

#[test]
fn every_message_reads_back_as_it_was_sent() {
    for message in every_kind() {
        let bytes = bytes(&message);
        assert_eq!(Message::length(&bytes), Ok(Some(bytes.len())), "{message:?}");
        assert_eq!(format!("{:?}", Message::read(&bytes).unwrap()), format!("{message:?}"));
    }
}

#[test]
fn every_slot_has_a_bit_of_its_own() {
    let mut numbers: Vec<_> = slots().map(number).collect();
    assert!(numbers.len() < 63, "the last bit stands for an unknown slot");
    numbers.dedup();
    assert_eq!(numbers, (0..u32::try_from(numbers.len()).unwrap()).collect::<Vec<_>>());
    assert_eq!(bits(|slot| slot == Slot::Open), 1);
}

#[test]
fn a_message_over_the_limit_is_rejected_by_its_head() {
    let mut head = bytes(&Message::Pong);
    head[36..40].copy_from_slice(&u32::to_le_bytes((1 << 29) + 1));
    assert!(Message::length(&head).unwrap_err().0.contains("the limit is 536870912"));
    let long = vec![0; MAX_MESSAGE_BYTES + 1];
    let chunk = |body| Message::Chunk { call: 9, chunk: BorrowedReply { head: Some(b""), body: Some(body) } };
    chunk(&long[1..]).check_size().unwrap();
    assert_eq!(chunk(&long).check_size().unwrap_err().code(), &ErrorCode::RESOURCE_EXHAUSTED);
}

#[test]
fn messages_are_assembled_from_pieces_of_any_length() {
    let all: Vec<u8> = every_kind().iter().flat_map(bytes).collect();
    for piece in [1, 7, HEAD, HEAD + 1, all.len()] {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (mut receiver, mut read) = (Receiver::default(), Vec::new());
        for piece in all.chunks(piece) {
            std::io::Write::write_all(&mut &theirs, piece).unwrap();
            assert_eq!(receiver.receive(&ours, RecvFlags::empty()), Ok(piece.len()));
            while let Some(message) = receiver.next().unwrap() {
                read.push(format!("{message:?}"));
            }
        }
        assert_eq!(read, every_kind().iter().map(|message| format!("{message:?}")).collect::<Vec<_>>(), "{piece}");
        drop(theirs);
        assert_eq!(receiver.receive(&ours, RecvFlags::empty()), Ok(0));
    }
}

#[test]
fn a_sender_does_not_wait_for_its_reader_and_keeps_the_order() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let sender = Sender::new(ours);
    let body = vec![7; 1 << 20];
    // The other side does not read yet, and no socket buffers this much.
    for call in 0..64 {
        sender.send(&Message::Chunk { call, chunk: BorrowedReply { head: Some(b""), body: Some(&body) } });
    }
    sender.send(&Message::Pong);
    let (mut receiver, mut read) = (Receiver::default(), 0);
    loop {
        match receiver.next().unwrap() {
            Some(Message::Chunk { call, chunk }) => {
                assert_eq!((call, chunk.body.unwrap().len()), (read, body.len()));
                read += 1;
            }
            Some(Message::Pong) => break,
            Some(other) => panic!("{other:?}"),
            None => assert_ne!(receiver.receive(&theirs, RecvFlags::empty()), Ok(0)),
        }
    }
    assert_eq!(read, 64);
    drop(theirs);
    // Sending to a closed connection does not fail.
    (0..64).for_each(|_| sender.send(&Message::Pong));
}

const WIRE: &str = include_str!("../../../../../plugin-api/WIRE.md");

#[test]
fn the_specification_has_the_slots_and_the_bytes_of_messages() {
    let cells = WIRE.lines().filter(|line| line.starts_with("| ")).flat_map(|line| line.split('|'));
    let listed: Vec<_> = cells
        .filter_map(|cell| {
            let (number, name) = cell.trim().split_once(" `")?;
            Some((number.parse::<u32>().ok()?, name.strip_suffix('`')?))
        })
        .collect();
    let name = |slot| match slot {
        Slot::Open => "open",
        Slot::Shutdown => "shutdown",
        Slot::TargetHelp => "target_help",
        Slot::RunLocal => "run_local",
        Slot::Operation(operation) => operation.name(),
        other => panic!("{other:?} has no name here"),
    };
    assert_eq!(listed, slots().map(|slot| (number(slot), name(slot))).collect::<Vec<_>>());
    let (_, example) = WIRE.split_once("```text\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let example: Vec<_> = example.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    let slot = Slot::Operation(mlflow_deploy_plugin_api::Operation::Predict);
    let request = Request { credit: 0, timeout_ms: 0, head: b"{}", body: b"[1]" };
    assert_eq!(example, bytes(&Message::Call { slot, client: 1, call: 7, request }));
}
