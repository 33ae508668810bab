//! Measures calls and streams of a plugin in this process and in a separate one, with a plugin that returns its inputs.
//! Also measures the reading of its manifest and the opening of its client.
//!
//! `cargo bench -p mlflow-deploy --bench calls`
#![expect(clippy::unwrap_used, reason = "a benchmark panics on failure")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use mlflow_deploy::args::{GetEndpoint, Predict, PredictStream};
use mlflow_deploy::{DeployClient, Host, JSON, Payload, blocking};
use mlflow_deploy_plugin_api::manifest;
use mlflow_deploy_test_support::cdylib;

/// The sizes of the bodies.
const SIZES: [(&str, usize); 4] = [("64 B", 64), ("10 KB", 10_000), ("1 MB", 1_000_000), ("64 MB", 64_000_000)];

/// The number of chunks in each measured stream.
const CHUNKS: usize = 1000;

fn host(is_isolated: bool) -> Host {
    let host = Host::builder().plugin(cdylib::path("mlflow-deploy-example-echo"));
    let host = host.plugin_host(cdylib::program("mlflow-deploy-plugin-host"));
    if is_isolated { host.isolate_all().build() } else { host.build() }
}

fn open(host: &Host) -> DeployClient {
    blocking::wait(host.get_deploy_client(Some("echo"))).unwrap()
}

fn endpoint() -> GetEndpoint {
    GetEndpoint { endpoint: "echo".to_owned() }
}

fn predict(criterion: &mut Criterion) {
    for (way, is_isolated) in [("in process", false), ("isolated", true)] {
        let client = open(&host(is_isolated));
        let mut group = criterion.benchmark_group(format!("a call, {way}"));
        // The plugin answers `predict` on the thread of the caller, and the other operations on a thread of its own.
        for (size, bytes) in SIZES {
            let body = vec![b'1'; bytes];
            group.throughput(Throughput::Bytes(2 * bytes as u64));
            group.sample_size(if bytes > 1 << 24 { 10 } else { 100 });
            group.bench_function(format!("answered at once, {size}"), |bencher| {
                let request = || Predict::endpoint("echo", Payload::new(JSON, body.clone()));
                let call = |request| blocking::wait(client.predict(request)).unwrap();
                bencher.iter_batched(request, call, BatchSize::PerIteration);
            });
        }
        group.sample_size(100).throughput(Throughput::Elements(1));
        group.bench_function("answered later", |bencher| {
            bencher.iter(|| blocking::wait(client.get_endpoint(endpoint())).unwrap());
        });
        group.throughput(Throughput::Elements(64));
        group.bench_function("64 at once, answered later", |bencher| {
            bencher.iter(|| blocking::wait(join_all((0..64).map(|_| client.get_endpoint(endpoint())))));
        });
        group.finish();
    }
}

fn stream(criterion: &mut Criterion) {
    for (way, is_isolated) in [("in process", false), ("isolated", true)] {
        let client = open(&host(is_isolated));
        let mut group = criterion.benchmark_group(format!("{CHUNKS} chunks, {way}"));
        for (size, bytes) in &SIZES[..2] {
            let line = [vec![b'1'; bytes - 1], vec![b'\n']].concat();
            let request = PredictStream::endpoint("echo", Payload::new(JSON, line.repeat(CHUNKS)));
            group.throughput(Throughput::Elements(CHUNKS as u64));
            group.bench_function(*size, |bencher| {
                bencher.iter(|| {
                    let mut stream = client.predict_stream(&request).unwrap();
                    while let Some(chunk) = blocking::wait(stream.next()) {
                        black_box(chunk.unwrap());
                    }
                });
            });
        }
        group.finish();
    }
}

fn start(criterion: &mut Criterion) {
    let plugin = cdylib::path("mlflow-deploy-example-echo");
    criterion.bench_function("the manifest of a library is read", |bencher| {
        bencher.iter(|| manifest::read(plugin).unwrap());
    });
    let host = host(false);
    criterion.bench_function("a client is opened", |bencher| bencher.iter(|| open(&host)));
}

criterion_group!(benches, predict, stream, start);
criterion_main!(benches);
