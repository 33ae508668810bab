//! Plugins that do their worst in a host's process, and in one of their own, beside one that goes on answering.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::thread;

use mlflow_deploy_test_support::cdylib;

use super::Line;
use super::bystander::{Ended, Place, run};

/// Something that a plugin does, and what has to become of it.
#[derive(Clone, Copy)]
struct Row {
    what: &'static str,
    plugin: Plugin,
    operation: &'static str,
    /// Where the caller has set a limit: everywhere, or only where nothing else ends the call.
    limited: [bool; 2],
    /// Whether the host tries first loads, as the command does.
    tried: bool,
    /// Words of the fault that has to be logged.
    fault: &'static str,
    inside: Expected,
    isolated: &'static str,
}

#[derive(Clone, Copy)]
enum Plugin {
    /// In the way that it is told to.
    Misbehaves(&'static str),
    /// At this target, asked for this endpoint.
    Panics(&'static str, &'static str),
}

#[derive(Clone, Copy)]
enum Expected {
    /// Whatever hosts the plugin ends so, by the nature of what it did.
    Ends(&'static str),
    /// The caller is told this; ` | ` stands between what may be said as well.
    Says(&'static str),
}

use Expected::{Ends, Says};
use Plugin::{Misbehaves, Panics};

const ABORTED: &str = "PLUGIN_CRASHED: the plugin's process was killed by signal 6 (SIGABRT)";
const BROKE: &str = "PLUGIN_PROTOCOL_VIOLATION: the plugin broke the contract: it ";
const ANSWER: &str = "answer [1]";
const LATE: &str = "DEADLINE_EXCEEDED: ";
const HUNG: &str = "PLUGIN_CRASHED: the plugin's process did not respond for 10 s and was killed";
const NO_RETURN: &str = "the call did not come back";
const NOT_LOADED: &str = "PLUGIN_LOAD_FAILED: ";

/// A call of `predict` of which the caller is told the same wherever the plugin runs.
const fn same(what: &'static str, way: &'static str, said: &'static str) -> Row {
    different(what, way, Says(said), said)
}

const fn different(what: &'static str, way: &'static str, inside: Expected, isolated: &'static str) -> Row {
    Row {
        what,
        plugin: Misbehaves(way),
        operation: "predict",
        limited: [false; 2],
        tried: false,
        fault: "",
        inside,
        isolated,
    }
}

impl Row {
    const fn tried(self) -> Self {
        Self { tried: true, ..self }
    }

    const fn logged(self, fault: &'static str) -> Self {
        Self { fault, ..self }
    }

    const fn asked_for(self, operation: &'static str) -> Self {
        Self { operation, ..self }
    }

    const fn limited(self, inside: bool, isolated: bool) -> Self {
        Self { limited: [inside, isolated], ..self }
    }

    const fn at(self, target: &'static str, endpoint: &'static str) -> Self {
        Self { plugin: Panics(target, endpoint), ..self }
    }
}

const ROWS: &[Row] = &[
    // To begin with.
    different("constructor that crashes", "load-crash", Ends("signal: 6 (SIGABRT)"), NOT_LOADED),
    same("constructor that crashes, tried first", "load-crash", NOT_LOADED).tried(),
    same("constructor that hangs", "load-hang", "did not finish loading within 10 s"),
    same("no table", "null-table", "`mlflow_deploy_plugin_v1` returned no table"),
    same("a table of four bytes", "tiny-table", "`mlflow_deploy_plugin_v1` returned no table"),
    same("a table of ABI 0", "past-abi", "uses plugin ABI 0, but this host supports ABI 1; upgrade the plugin"),
    same("a table of ABI 2", "future-abi", "uses plugin ABI 2, but this host supports ABI 1; upgrade the host"),
    same("a table without `open`", "missing-open", "its table lacks the required function `open`"),
    same("a table without `credit`", "missing-credit", "its table lacks the required function `credit`"),
    same("`init` null", "init-null", "failed to start: the plugin's `init` failed"),
    same("`init` that hangs", "init-hang", "did not finish loading within 10 s"),
    same("`init` that never stops to talk", "init-flood", "did not finish loading within 10 s"),
    different("`init` that crashes", "init-crash", Ends("signal: 6 (SIGABRT)"), NOT_LOADED),
    same("`init` that crashes, tried first", "init-crash", NOT_LOADED).tried(),
    // Calls.
    same("`open` that never replies", "open-never", LATE).limited(true, true),
    same("`open` that fails", "open-fails", "UNAUTHENTICATED: refused by the fixture"),
    same("no reply", "no-reply", LATE).limited(true, true),
    different("slot that hangs", "slot-hang", Says(NO_RETURN), HUNG).limited(true, false),
    same("reply to a call that nobody made", "unknown-call-reply", ANSWER)
        .logged("replied to a call that does not exist"),
    same("replies to everybody's calls", "foreign-replies", ANSWER).logged("replied to a call that does not exist"),
    same("double reply", "double-reply", ANSWER).logged("or has its reply"),
    same("reply from eight threads", "thread-replies", ANSWER).logged("or has its reply"),
    same("status 9", "bad-status", BROKE).logged(""),
    same("NULL with length", "null-slice", "it sent a slice that is NULL but not empty"),
    same("head that is no JSON", "bad-head", "it replied with an invalid head: "),
    same("head of invalid UTF-8", "bad-head-utf8", "it replied with an invalid head: "),
    same("error that is no JSON", "bad-error-json", "it replied with an invalid error: "),
    same("error of invalid UTF-8", "bad-error-utf8", "it replied with an invalid error: "),
    same("body of invalid UTF-8", "bad-body-utf8", "answer [\\xff]"),
    same("event that is no JSON", "event-garbage", ANSWER).logged("it sent an event that is not valid JSON"),
    same("100,000 events", "flood", ANSWER),
    same("chunk in answer to a plain call", "plain-chunk", "a chunk for a call that is not a stream"),
    same("chunk after reply", "chunk-after-reply", ANSWER)
        .asked_for("predict_stream")
        .logged("it sent a chunk for a call that has ended"),
    same("chunk without credit", "chunk-without-credit", "it sent a chunk without credit").asked_for("predict_stream"),
    same("reply of 1 GiB", "large-reply", "RESOURCE_EXHAUSTED: message of 1073741824 bytes is too large"),
    // Panics.
    panic("`connect`", "asked to panic in connect").at("panics:/connect", ""),
    panic("`predict`", "asked to panic now").at("panics", "now"),
    panic("`predict`, after an `await`", "asked to panic later").at("panics", "later"),
    panic("work of `blocking`", "asked to panic in blocking").at("panics", "blocking"),
    panic("the drop of a panic's payload", "PLUGIN_PANICKED").at("panics", "payload"),
    // The plugin knows the caller's limit as well, and may be the first to find that it has passed.
    panic("a call whose time is up", "DEADLINE_EXCEEDED: | asked to panic in drop")
        .at("panics", "drop")
        .limited(true, true),
    panic("`close`", ANSWER).at("panics:/close", ""),
    panic("`predict_stream`", "asked to panic in a stream").at("panics", "stream").asked_for("predict_stream"),
    panic_in("create_deployment", "asked to panic in create_deployment"),
    panic_in("update_deployment", "asked to panic in update_deployment"),
    panic_in("delete_deployment", "asked to panic in delete_deployment"),
    panic_in("get_deployment", "asked to panic in get_deployment"),
    panic_in("list_deployments", "asked to panic in list_deployments"),
    panic_in("create_endpoint", "asked to panic in create_endpoint"),
    panic_in("update_endpoint", "asked to panic in update_endpoint"),
    panic_in("delete_endpoint", "asked to panic in delete_endpoint"),
    panic_in("get_endpoint", "asked to panic in get_endpoint"),
    panic_in("list_endpoints", "asked to panic in list_endpoints"),
    panic_in("explain", "asked to panic in explain"),
    panic_in("invoke", "asked to panic in invoke"),
    panic_in("run_local", "asked to panic in run_local"),
    panic_in("target_help", "asked to panic in target_help"),
    different("panic in a panic", "", Ends("signal: 6 (SIGABRT)"), ABORTED).at("panics", "twice"),
    // What harms the process.
    different("abort", "crash", Ends("signal: 6 (SIGABRT)"), ABORTED),
    different("abort, in a stream", "crash", Ends("signal: 6 (SIGABRT)"), ABORTED).asked_for("predict_stream"),
    different("`exit()`", "exit", Ends("exit status: 3"), "the plugin's process exited with code 3"),
    different("write to nowhere", "segfault", Ends("signal: 11 (SIGSEGV)"), "was killed by signal 11 (SIGSEGV)"),
    different("stack overflow", "overflow", Ends("signal: 6 (SIGABRT)"), "was killed by signal 6 (SIGABRT)"),
    different("SIGTERM to itself", "signal-term", Ends("signal: 15 (SIGTERM)"), "was killed by signal 15 (SIGTERM)"),
    different("SIGKILL to itself", "signal-kill", Ends("signal: 9 (SIGKILL)"), "was killed by signal 9 (SIGKILL)"),
    different("SIGSTOP to itself", "signal-stop", Ends("stopped"), HUNG),
    // Then nobody hears what the host says, if it is not ended by its own runtime.
    different("closing all files", "close-all", Ends(""), "PLUGIN_CRASHED: ").limited(true, false),
    same("using up all files", "descriptors", ANSWER),
    same("filling its log with 16 MiB", "log", ANSWER),
    same("fork, and going on in both", "fork", ANSWER),
    different("fork, and an abort", "fork-crash", Ends("signal: 6 (SIGABRT)"), ABORTED),
    different("leaving its group, and a hang", "leave-group", Says(NO_RETURN), HUNG).limited(true, false),
    different("ending a connection, and a hang", "hang-up", Ends("SIGABRT"), "closed its connection and was killed")
        .limited(true, false),
    different("garbage on all connections", "garbage", Says(ANSWER), "sent an invalid message"),
    different("half a message on all connections", "half-message", Says(ANSWER), HUNG),
    same("forged messages on all connections", "forged-messages", ANSWER),
];

/// A panic that its caller hears of.
const fn panic(what: &'static str, said: &'static str) -> Row {
    same(what, "", said)
}

const fn panic_in(operation: &'static str, said: &'static str) -> Row {
    same(operation, "", said).at("panics", "").asked_for(operation)
}

/// The host's own memory does not grow with what a plugin wants to hand over.
const MAX_MEMORY: u64 = 512;

/// Runs them all, some at a time: most of the time they wait.
pub(super) fn lines() -> Vec<Line> {
    // Built once, before many ask for it.
    cdylib::command();
    let left: Mutex<VecDeque<_>> = Mutex::new(ROWS.iter().enumerate().collect());
    let done = Mutex::new(Vec::new());
    let next = || left.lock().unwrap().pop_front();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((at, row)) = next() {
                    let line = row.line();
                    done.lock().unwrap().push((at, line));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, line)| line).collect()
}

impl Row {
    fn line(self) -> Line {
        let inside = self.run(Place::Inside);
        let isolated = self.run(Place::Isolated);
        let mut faults = Vec::new();
        let what = match self.plugin {
            Misbehaves(_) => self.what.to_owned(),
            Panics(..) => format!("panic: {}", self.what),
        };
        let expected = match self.inside {
            Ends(how) => !inside.is_alive && inside.how.contains(how),
            Says(words) => self.is_survived(&inside, words),
        };
        for (is_expected, place, ended) in
            [(expected, "in process", &inside), (self.is_survived(&isolated, self.isolated), "isolated", &isolated)]
        {
            if !is_expected {
                faults.push(format!("{what}, {place}: {ended:?}"));
            }
        }
        let said = match inside.said.as_str() {
            said if said.is_empty() || said == isolated.said => isolated.said.clone(),
            said => format!("in process: {said}; isolated: {}", isolated.said),
        };
        let told = |ended: &Ended| match ended.is_alive {
            true => "yes".to_owned(),
            false => format!("no, by nature ({})", ended.how),
        };
        Line { what, said, inside: told(&inside), isolated: told(&isolated), faults }
    }

    fn is_survived(&self, ended: &Ended, words: &str) -> bool {
        let is_small = ended.memory.is_none_or(|most| most < MAX_MEMORY);
        let is_said = words.split(" | ").any(|words| ended.said.contains(words));
        ended.is_alive && is_said && ended.said.contains(self.fault) && is_small
    }

    fn run(&self, place: Place) -> Ended {
        let (package, way, target, endpoint) = match self.plugin {
            Misbehaves(way) => ("mlflow-deploy-fixture-misbehave", way, "misbehave", ""),
            Panics(target, endpoint) => ("mlflow-deploy-fixture-panics", "", target, endpoint),
        };
        let mut question = vec![target, self.operation, endpoint];
        if self.limited[usize::from(place == Place::Isolated)] {
            // What never answers is given up soon; what has to be done by then is given time on a slow machine.
            question.extend(["--limit", if self.limited == [true; 2] { "1" } else { "5" }]);
        }
        if !self.fault.is_empty() {
            question.extend(["--fault", self.fault]);
        }
        let memory = tempfile::tempdir().unwrap();
        if self.tried {
            question.extend(["--trials", memory.path().to_str().unwrap()]);
        }
        run(place, package, way, &question)
    }
}
