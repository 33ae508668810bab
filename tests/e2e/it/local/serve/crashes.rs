//! Inputs that end the process which predicts them: the server and all other clients go on.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::Signal;
use serde_json::json;

use super::super::{Machine, sample};
use super::Served;
use super::http::Answer;

/// Six divided by three.
const TWO: &str = r#"{"inputs": {"a": [6], "b": [3]}}"#;

/// The least 64-bit integer divided by -1, which raises SIGFPE.
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
fn one_request_does_not_end_the_server() {
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

/// More requests that kill than the process may be started in the time: what has killed once is not run again.
#[test]
fn clients_beside_those_that_kill_are_all_answered() {
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
fn inputs_that_kill_after_their_client_has_gone_are_found_out() {
    let machine = Machine::new();
    let served = Served::start(&sample("divides"), &machine, "");
    for _ in 0..20 {
        drop(served.begin(KILLS, KILLS.len()));
    }
    is_two(&served.predict(TWO));
    is_crash(&served.predict(KILLS));
    is_two(&served.predict(TWO));
}

/// In the command's own process nothing contains it. In one of the plugin's own it is one call's fault.
#[test]
fn an_isolated_prediction_that_kills_is_an_error_and_the_next_one_works() {
    let machine = Machine::new();
    machine.create("d", &sample("divides"));
    let killed = machine.ask("predict --isolate --json --name d -I -").stdin(KILLS).run();
    assert_eq!((killed.code, &killed.error()["code"]), (4, &json!("PLUGIN_CRASHED")), "{killed:?}");
    let asked = machine.ask("predict --isolate --json --name d -I -").stdin(TWO).run();
    assert_eq!((asked.code, asked.json()), (0, json!({"predictions": {"y": [2]}})), "{asked:?}");
}
