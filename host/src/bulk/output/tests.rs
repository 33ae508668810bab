//! The order of the lines, and runs that are interrupted at any time.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use mlflow_deploy_plugin_api::{Error, JSON, Payload};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::*;
use crate::bulk::answer::{BulkAnswer, Slots};
use crate::bulk::job::Job;
use crate::bulk::{BulkRequest, Finished};

/// Returns the answer to the request with this number: the number, or an error for each number that ends in 7.
fn answer(number: u64) -> BulkAnswer {
    let mut request = BulkRequest::new(number, Payload::empty());
    request.checksum = number + 100;
    let mut job = Job::new(request);
    if number % 10 == 7 {
        job.refuse(&Error::invalid_parameter("seven"), Duration::ZERO);
    } else {
        let usage = r#""usage": {"prompt_tokens": 1}"#;
        job.accept(&Payload::new(JSON, format!("{{\"n\": {number}, {usage}}}")), Duration::ZERO);
    }
    BulkAnswer::new(job, &Slots::default())
}

fn expected_line(number: u64) -> String {
    let usage = r#""usage": {"prompt_tokens": 1}"#;
    if number % 10 == 7 { "null\n".to_owned() } else { format!("{{\"n\": {number}, {usage}}}\n") }
}

fn expected_error(number: u64) -> String {
    let error = Error::invalid_parameter("seven");
    json!({ "line": number + 1, "error": error }).to_string() + "\n"
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn resume(&self, order: Order) -> io::Result<(BulkFiles, Finished)> {
        BulkFiles::resume(&self.path("out"), Some(&self.path("errors")), order, &Map::new())
    }
}

#[test]
fn lines_are_in_the_order_of_the_input_or_of_arrival() {
    for order in [Order::Input, Order::Arrival] {
        let folder = Folder::new();
        let (mut files, finished) = folder.resume(order).unwrap();
        assert!(!finished.is_finished(0, 0).unwrap());
        for batch in [&[2_u64, 1][..], &[4], &[0, 3], &[7, 6, 5]] {
            files.write(&batch.iter().map(|number| answer(*number)).collect::<Vec<_>>()).unwrap();
        }
        let totals = files.finish().unwrap();
        assert_eq!((totals.rows, totals.failed, totals.usage.input_tokens), (8, 1, 7));
        let expected: String = match order {
            Order::Input => (0..8).map(expected_line).collect(),
            Order::Arrival => [2, 1, 4, 0, 3, 7, 6, 5]
                .map(|number| format!("{{\"line\":{},\"answer\":{}}}\n", number + 1, expected_line(number).trim_end()))
                .concat(),
        };
        assert_eq!((folder.read("out"), folder.read("errors")), (expected, expected_error(7)));
        assert_eq!(fs::read_dir(folder.0.path()).unwrap().count(), 2, "the journal is removed");
    }
}

/// Cuts up to `max` bytes from the end of a file, but keeps `min` bytes.
fn cut(path: &std::path::Path, max: u64, min: u64) {
    let length = fs::metadata(path).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(length.saturating_sub(fastrand::u64(0..=max)).max(min)).unwrap();
}

#[test]
fn an_interrupted_run_loses_and_doubles_no_line() {
    const ROWS: u64 = 400;
    for seed in 0..60 {
        fastrand::seed(seed);
        let order = if seed % 2 == 0 { Order::Input } else { Order::Arrival };
        let folder = Folder::new();
        let mut written = vec![0; usize::try_from(ROWS).unwrap()];
        let totals = loop {
            let (mut files, finished) = folder.resume(order).unwrap();
            let mut left: Vec<_> =
                (0..ROWS).filter(|number| !finished.is_finished(*number, number + 100).unwrap()).collect();
            let interrupted_after = fastrand::usize(0..12);
            for _ in 0..interrupted_after {
                // Answers arrive nearly in order.
                let count = fastrand::usize(1..20).min(left.len());
                let mut next = || left.remove(fastrand::usize(0..left.len().min(9)));
                let batch: Vec<_> = (0..count).map(|_| next()).collect();
                files.write(&batch.iter().map(|number| answer(*number)).collect::<Vec<_>>()).unwrap();
                batch.iter().for_each(|number| written[usize::try_from(*number).unwrap()] += 1);
            }
            if left.is_empty() {
                break files.finish().unwrap();
            }
            drop(files);
            // A write that was interrupted: lines without their record, and a part of a record.
            fs::write(folder.path("out"), folder.read("out") + "{\"torn\": ").unwrap();
            if fastrand::bool() {
                let journal = fs::read(folder.path("out.journal")).unwrap();
                let header = journal.iter().position(|byte| *byte == b'\n').unwrap() + 1;
                cut(&folder.path("out.journal"), 30, u64::try_from(header).unwrap());
            }
        };
        let lines = folder.read("out");
        assert_eq!(totals.rows, ROWS, "seed {seed}");
        assert_eq!(totals.failed, ROWS / 10, "seed {seed}");
        if order == Order::Input {
            assert_eq!(lines, (0..ROWS).map(expected_line).collect::<String>(), "seed {seed}");
        } else {
            let mut found: Vec<u64> = lines
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap()["line"].as_u64().unwrap())
                .collect();
            found.sort_unstable();
            assert_eq!(found, (1..=ROWS).collect::<Vec<_>>(), "seed {seed}");
        }
        let mut errors: Vec<_> = folder.read("errors").lines().map(|line| format!("{line}\n")).collect();
        errors.sort_by_key(|error| serde_json::from_str::<Value>(error).unwrap()["line"].as_u64().unwrap());
        assert_eq!(errors, (0..ROWS).filter(|number| number % 10 == 7).map(expected_error).collect::<Vec<_>>());
    }
}

#[test]
fn a_written_answer_is_never_asked_for_again() {
    let folder = Folder::new();
    for (batch, left) in [(&[3_u64, 5, 1][..], &[0_u64, 2, 4, 6][..]), (&[0], &[2, 4, 6]), (&[6, 4], &[2]), (&[], &[2])]
    {
        let (mut files, _) = folder.resume(Order::Input).unwrap();
        files.write(&batch.iter().map(|number| answer(*number)).collect::<Vec<_>>()).unwrap();
        drop(files);
        let (_, finished) = folder.resume(Order::Input).unwrap();
        let asked: Vec<_> = (0..7).filter(|number| !finished.is_finished(*number, number + 100).unwrap()).collect();
        assert_eq!(asked, left);
    }
    assert_eq!(folder.read("out"), format!("{}{}", expected_line(0), expected_line(1)));
}

#[test]
fn a_run_with_other_settings_is_refused() {
    let folder = Folder::new();
    let run = |run: Value| run.as_object().unwrap().clone();
    let before = run(json!({"endpoint": "a", "config.key": "sha256:1", "batch-rows": 4}));
    drop(BulkFiles::create(&folder.path("out"), None, Order::Input, &before).unwrap());
    let now = run(json!({"endpoint": "b", "config.key": "sha256:2", "batch-rows": 4, "name": "n"}));
    let error = BulkFiles::resume(&folder.path("out"), None, Order::Input, &now).unwrap_err().to_string();
    let differences =
        "endpoint: was `a`, is `b`; config.key: was another value, is another value; name: was not set, is `n`";
    assert_eq!(error, format!("the interrupted run had other settings: {differences}; use the same, or start over"));
    let error = BulkFiles::create(&folder.path("out"), None, Order::Input, &before).unwrap_err().to_string();
    assert!(error.starts_with("an interrupted run has left the journal `"), "{error}");
    let (_running, _) = BulkFiles::resume(&folder.path("out"), None, Order::Input, &before).unwrap();
    let error = BulkFiles::resume(&folder.path("out"), None, Order::Input, &before).unwrap_err().to_string();
    assert!(error.starts_with("another run writes to this output"), "{error}");
    fs::write(folder.path("done"), "1\n").unwrap();
    let error = BulkFiles::resume(&folder.path("done"), None, Order::Input, &before).unwrap_err().to_string();
    assert!(error.contains("has no journal"), "{error}");
    fs::write(folder.path("done.journal"), "{}\n").unwrap();
    let error = BulkFiles::resume(&folder.path("done"), None, Order::Input, &before).unwrap_err().to_string();
    assert!(error.contains("is not a journal of `predict-batch`"), "{error}");
}

#[test]
fn one_file_for_output_and_errors_is_refused() {
    let folder = Folder::new();
    fs::write(folder.path("out"), "kept").unwrap();
    let paths = (folder.path("out"), folder.path("out"));
    let error = BulkFiles::create(&paths.0, Some(&paths.1), Order::Input, &Map::new()).unwrap_err().to_string();
    assert_eq!(
        (error.as_str(), folder.read("out").as_str()),
        ("the output and the errors are one file: specify different files", "kept")
    );
}

#[test]
fn a_large_journal_is_rewritten() {
    let folder = Folder::new();
    let (mut files, _) = folder.resume(Order::Input).unwrap();
    files.write(&[answer(1), answer(2)]).unwrap();
    let state = files.state_for_tests();
    let mut journal = files.journal_for_tests();
    let large = Payload::new(JSON, format!("\"{}\"", "x".repeat(70 << 20)));
    let mut job = Job::new(BulkRequest::new(9, Payload::empty()));
    job.accept(&large, Duration::ZERO);
    let large = BulkAnswer::new(job, &Slots::default());
    journal.add_early(&entry::Entry::new(&large, Order::Input));
    journal.flush().unwrap();
    assert!(journal.take_early(9).unwrap().is_some());
    let before = fs::metadata(folder.path("out.journal")).unwrap().len();
    journal.compact(&state).unwrap();
    let after = fs::metadata(folder.path("out.journal")).unwrap().len();
    assert!(before > 64 << 20 && after < 1_000, "{before} {after}");
    drop(journal);
    let (mut files, _) = folder.resume(Order::Input).unwrap();
    files.write(&[answer(0)]).unwrap();
    assert_eq!(folder.read("out"), (0..3).map(expected_line).collect::<String>());
}
