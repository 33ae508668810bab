//! Checks inputs that crash the process of the model. The server and its other clients must not be affected.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::Signal;
use serde_json::json;

use super::super::{Machine, sample};
use super::Served;
use super::http::Answer;

/// A scoring request that divides six by three.
const TWO: &str = r#"{"inputs": {"a": [6], "b": [3]}}"#;

/// A scoring request that divides the smallest 64-bit integer by -1, which raises `SIGFPE`.
const KILLS: &str = r#"{"inputs": {"a": [-9223372036854775808], "b": [-1]}}"#;

fn is_two(answer: &Answer) {
    assert_eq!((answer.status, answer.json()), (200, json!({"predictions": {"y": [2]}})), "{}", answer.body);
}

fn is_crash(answer: &Answer) {
    let json = answer.json();
    assert_eq!((answer.status, &json["error_code"]), (500, &json!("PLUGIN_CRASHED")), "{}", answer.body);
    let message = json["message"].as_str().unwrap();
    assert!(message.contains("killed by signal 8 (SIGFPE)") && message.contains("are not run again"), "{message}");
}

#[test]
fn crashing_request_does_not_end_the_server() {
    for isolated in ["", "--isolate"] {
        let machine = Machine::new();
        let served = Served::start(&sample("divides"), &machine, isolated);
        is_two(&served.predict(TWO));
        for _ in 0..3 {
            is_crash(&served.predict(KILLS));
            is_two(&served.predict(TWO));
        }
        served.signal(Signal::INT);
        let ran = served.end();
        assert_eq!((ran.code, machine.copies()), (130, 0), "{ran:?}");
    }
}

/// The clients send more crashing requests than the server may restart its process. After a crash, the server does not
/// run the same inputs again.
#[test]
fn all_clients_besides_the_crashing_ones_get_a_response() {
    const CLIENTS: usize = 8;
    let machine = Machine::new();
    let served = Served::start(&sample("divides"), &machine, "");
    let (begin, killing) = (Barrier::new(2 * CLIENTS), AtomicBool::new(true));
    thread::scope(|scope| {
        let killers: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    begin.wait();
                    (0..4).for_each(|_| is_crash(&served.predict(KILLS)));
                })
            })
            .collect();
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                begin.wait();
                while killing.load(Ordering::SeqCst) {
                    is_two(&served.predict(TWO));
                }
                is_two(&served.predict(TWO));
            });
        }
        let ended: Vec<_> = killers.into_iter().map(|killer| killer.join()).collect();
        killing.store(false, Ordering::SeqCst);
        assert!(ended.iter().all(Result::is_ok));
    });
}

#[test]
fn inputs_that_crash_after_their_client_left_are_identified() {
    let machine = Machine::new();
    let served = Served::start(&sample("divides"), &machine, "");
    for _ in 0..20 {
        drop(served.begin(KILLS, KILLS.len()));
    }
    is_two(&served.predict(TWO));
    is_crash(&served.predict(KILLS));
    is_two(&served.predict(TWO));
}

/// The plugin is isolated, so its crash fails one call. In the process of the command, the crash would end the command.
#[test]
fn crash_of_an_isolated_prediction_is_an_error_and_the_next_one_succeeds() {
    let machine = Machine::new();
    machine.create("d", &sample("divides"));
    let killed = machine.ask("predict --isolate --json --name d -I -").stdin(KILLS).run();
    assert_eq!((killed.code, &killed.error()["code"]), (4, &json!("PLUGIN_CRASHED")), "{killed:?}");
    let ran = machine.ask("predict --isolate --json --name d -I -").stdin(TWO).run();
    assert_eq!((ran.code, ran.json()), (0, json!({"predictions": {"y": [2]}})), "{ran:?}");
}
