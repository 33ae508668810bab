//! Measures the cost of isolation and of a process plugin. Makes the same calls to a plugin in this process, in a separate
//! process, and to one in Python, in turn.
//!
//! `cargo bench -p mlflow-deploy --bench isolation`
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints results, and panics on failure")]

use std::time::{Duration, Instant};

use mlflow_deploy::args::{Predict, PredictStream};
use mlflow_deploy::{DeployClient, Host, JSON, Payload, blocking};
use mlflow_deploy_test_support::cdylib;

/// The number of times that each call is measured. The benchmark prints the median.
const ROUNDS: usize = 9;

/// A plugin, and the process in which it runs.
#[derive(Clone, Copy)]
enum Way {
    /// The example in Rust, in this process.
    InProcess,
    /// The same library, in a separate process.
    Isolated,
    /// The example in Python, which is a process plugin.
    Python,
}

const WAYS: [Way; 3] = [Way::InProcess, Way::Isolated, Way::Python];

impl Way {
    fn client(self) -> DeployClient {
        let python = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/python-plugin/py_echo.plugin.json");
        let host = Host::builder().plugin(cdylib::path("mlflow-deploy-example-echo")).plugin(python);
        let host = host.plugin_host(cdylib::program("mlflow-deploy-plugin-host"));
        let (host, target) = match self {
            Self::InProcess => (host, "echo"),
            Self::Isolated => (host.isolate_all(), "echo"),
            Self::Python => (host, "py-echo"),
        };
        blocking::wait(host.build().get_deploy_client(Some(target))).unwrap()
    }
}

fn main() {
    let clients = WAYS.map(Way::client);
    println!("{:<34} {:>12} {:>12} {:>12}", "microseconds", "in process", "isolated", "Python");
    for (size, bytes, calls) in [("64 B", 64, 4000), ("10 KB", 10_000, 2000), ("1 MiB", 1 << 20, 100)] {
        report(&format!("a call of {size}, one by one"), &clients, |client| one_by_one(client, bytes, calls));
    }
    report("a call of 64 B, 64 at a time", &clients, |client| at_a_time(client, 64, 8000));
    for (size, bytes, chunks) in [("64 B", 64, 20_000), ("10 KB", 10_000, 4000)] {
        report(&format!("a chunk of {size}"), &clients, |client| chunk_by_chunk(client, bytes, chunks));
    }
    report("the first client, with its plugin", &WAYS, |way| {
        let begun = Instant::now();
        drop(way.client());
        begun.elapsed()
    });
}

/// Measures each way in turn, several times. Prints the medians.
fn report<T>(name: &str, ways: &[T; 3], measure: impl Fn(&T) -> Duration) {
    let mut taken = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        ways.iter().zip(&mut taken).for_each(|(way, taken)| taken.push(measure(way)));
    }
    let medians = taken.map(|mut taken| {
        taken.sort();
        taken[ROUNDS / 2].as_secs_f64() * 1e6
    });
    let columns: String = medians.iter().map(|median| format!(" {median:>12.1}")).collect();
    println!("{name:<34}{columns}");
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
