//! Measures the cost of isolation. Makes the same calls to one plugin in this process and in a separate process, in
//! turn.
//!
//! `cargo bench -p mlflow-deploy --bench isolation`
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints results, and panics on failure")]

use std::time::{Duration, Instant};

use mlflow_deploy::args::{Predict, PredictStream};
use mlflow_deploy::{DeployClient, Host, JSON, Payload, blocking};
use mlflow_deploy_test_support::cdylib;

/// The number of times that each call is measured. The benchmark prints the median.
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
    for (size, bytes, calls) in [("64 B", 64, 4000), ("10 KB", 10_000, 2000), ("1 MiB", 1 << 20, 100)] {
        report(&format!("a call of {size}, one by one"), &clients, |client| one_by_one(client, bytes, calls));
    }
    report("a call of 64 B, 64 at a time", &clients, |client| at_a_time(client, 64, 8000));
    for (size, bytes, chunks) in [("64 B", 64, 20_000), ("10 KB", 10_000, 4000)] {
        report(&format!("a chunk of {size}"), &clients, |client| chunk_by_chunk(client, bytes, chunks));
    }
    report("the first client, with its plugin", &[false, true], |isolated| {
        let begun = Instant::now();
        drop(client(*isolated));
        begun.elapsed()
    });
}

/// Measures the plugin in this process and in a separate process, in turn. Prints both medians.
fn report<T>(name: &str, both: &[T; 2], measure: impl Fn(&T) -> Duration) {
    let mut taken = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        both.iter().zip(&mut taken).for_each(|(one, taken)| taken.push(measure(one)));
    }
    let [in_process, isolated] = taken.map(|mut taken| {
        taken.sort();
        taken[ROUNDS / 2].as_secs_f64() * 1e6
    });
    println!(
        "{name:<34} {in_process:>12.1} {isolated:>12.1} {:>12.1} {:>7.2}",
        isolated - in_process,
        isolated / in_process
    );
}

fn request(bytes: usize) -> Predict {
    Predict::endpoint("echo", Payload::new(JSON, vec![b'1'; bytes]))
}

fn one_by_one(client: &DeployClient, bytes: usize, calls: u32) -> Duration {
    let begun = Instant::now();
    for _ in 0..calls {
        blocking::wait(client.predict(request(bytes))).unwrap();
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
                    client.predict(request(64)).await.unwrap();
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
    let request = PredictStream::endpoint("echo", inputs);
    let begun = Instant::now();
    let mut stream = client.predict_stream(&request).unwrap();
    let mut count = 0;
    while let Some(chunk) = blocking::wait(stream.next()) {
        chunk.unwrap();
        count += 1;
    }
    assert_eq!(count, chunks);
    begun.elapsed() / chunks
}
