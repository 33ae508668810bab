//! What a process of its own costs: the same calls of the same plugin in this process and in one of its own, in turns.
//!
//! `cargo bench -p mlflow-deploy --bench isolation`
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program that measures prints, and fails where it cannot"
)]

use std::time::{Duration, Instant};

use mlflow_deploy::args::{Predict, PredictStream};
use mlflow_deploy::{DeployClient, Host, JSON, Payload, blocking};
use mlflow_deploy_test_support::cdylib;

/// How often everything is measured; the median counts.
const ROUNDS: usize = 9;

fn main() {
    let client = |isolated: bool| {
        let host = Host::builder().plugin(cdylib::path("mlflow-deploy-example-echo"));
        let host = host.plugin_host(cdylib::program("mlflow-deploy-plugin-host"));
        let host = if isolated { host.isolate_all() } else { host };
        blocking::wait(host.build().get_deploy_client(Some("echo"))).unwrap()
    };
    let clients = [client(false), client(true)];
    println!("{:<34} {:>12} {:>12} {:>12} {:>7}", "microseconds", "in process", "isolated", "added", "ratio");
    for (what, bytes, calls) in [("64 B", 64, 4000), ("10 KB", 10_000, 2000), ("1 MiB", 1 << 20, 100)] {
        report(&format!("a call of {what}, one by one"), &clients, |client| one_by_one(client, bytes, calls));
    }
    report("a call of 64 B, 64 at a time", &clients, |client| at_a_time(client, 64, 8000));
    for (what, bytes, chunks) in [("64 B", 64, 20_000), ("10 KB", 10_000, 4000)] {
        report(&format!("a chunk of {what}"), &clients, |client| chunk_by_chunk(client, bytes, chunks));
    }
    report("the first client, with its plugin", &[false, true], |isolated| {
        let begun = Instant::now();
        drop(client(*isolated));
        begun.elapsed()
    });
}

/// Measures something on both, in turns, and prints the medians.
fn report<T>(what: &str, both: &[T; 2], measure: impl Fn(&T) -> Duration) {
    let mut taken = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        both.iter().zip(&mut taken).for_each(|(one, taken)| taken.push(measure(one)));
    }
    let [here, there] = taken.map(|mut taken| {
        taken.sort();
        taken[ROUNDS / 2].as_secs_f64() * 1e6
    });
    println!("{what:<34} {here:>12.1} {there:>12.1} {:>12.1} {:>7.2}", there - here, there / here);
}

fn asked(bytes: usize) -> Predict {
    let inputs = Payload::new(JSON, vec![b'1'; bytes]);
    Predict { endpoint: Some("echo".to_owned()), inputs, ..Predict::default() }
}

fn one_by_one(client: &DeployClient, bytes: usize, calls: u32) -> Duration {
    let begun = Instant::now();
    for _ in 0..calls {
        blocking::wait(client.predict(asked(bytes))).unwrap();
    }
    begun.elapsed() / calls
}

fn at_a_time(client: &DeployClient, threads: u32, calls: u32) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let begun = Instant::now();
    runtime.block_on(async {
        let tasks = tokio::task::LocalSet::new();
        for _ in 0..threads {
            let client = client.clone();
            tasks.spawn_local(async move {
                for _ in 0..calls / threads {
                    client.predict(asked(64)).await.unwrap();
                }
            });
        }
        tasks.await;
    });
    begun.elapsed() / calls
}

fn chunk_by_chunk(client: &DeployClient, bytes: usize, chunks: u32) -> Duration {
    let line = [vec![b'1'; bytes - 1], vec![b'\n']].concat();
    let inputs = Payload::new(JSON, line.repeat(chunks as usize));
    let asked = PredictStream { inputs, ..PredictStream::default() };
    let begun = Instant::now();
    let mut stream = client.predict_stream(&asked).unwrap();
    let mut count = 0;
    while let Some(chunk) = blocking::wait(stream.next()) {
        chunk.unwrap();
        count += 1;
    }
    assert_eq!(count, chunks);
    begun.elapsed() / chunks
}
