//! Checks the death of an isolated plugin's process: pending calls and streams fail, and later calls start a new
//! process.

use std::time::{Duration, Instant};

use mlflow_deploy::args::PredictStream;
use mlflow_deploy::{ClientOptions, DeployClient, ErrorCode, JSON, Payload};
use rustix::process::{Pid, Signal, kill_process};

use super::{Messages, hermit, predict};

/// The time limit of every wait in these tests. It is long enough for a busy machine.
const MAX_WAIT: Duration = Duration::from_secs(120);

async fn pid(client: &DeployClient) -> Pid {
    let pid = client.predict(predict("pid")).await.unwrap().json().unwrap();
    Pid::from_raw(pid).unwrap()
}

#[tokio::test]
async fn crash_error_has_the_signal_and_the_last_output() {
    let client = hermit().on_event(|_| {}).build().get_deploy_client(Some("hermit")).await.unwrap();
    let error = client.predict(predict("abort")).await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::PLUGIN_CRASHED);
    assert!(error.message().starts_with("the plugin's process was killed by signal 6 (SIGABRT)"), "{error}");
    assert_eq!(error.causes().last(), Some("its log: about to abort"));
    let error = client.predict(predict("exit")).await.unwrap_err();
    assert_eq!(error.message(), "the plugin's process exited with code 3");
    assert_eq!(error.causes().last(), Some("its log: about to exit"));
    let inputs = Payload::new(JSON, "[1]");
    let endpoint = Some("abort".to_owned());
    let mut stream = client.predict_stream(&PredictStream { endpoint, inputs, ..PredictStream::default() }).unwrap();
    for number in 0..20 {
        assert_eq!(stream.next().await.unwrap().unwrap().json::<u64>().unwrap(), number);
    }
    assert_eq!(stream.next().await.unwrap().unwrap_err().code(), &ErrorCode::PLUGIN_CRASHED);
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn clients_are_reopened_in_a_new_process() {
    let host = hermit().on_event(|_| {}).build();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let options = ClientOptions::new(&serde_json::json!({"token": "s3cret", "unless": file})).unwrap();
    let plain = host.get_deploy_client(Some("hermit")).await.unwrap();
    let client = host.get_deploy_client_with(Some("hermit"), &options).await.unwrap();
    let first = pid(&plain).await;
    client.predict(predict("abort")).await.unwrap_err();
    // The host reopens both clients in one new process, each with its own options.
    let (answer, second) = tokio::join!(client.predict(predict("options")), pid(&plain));
    assert_eq!(answer.unwrap().bytes(), options.as_str().as_bytes());
    assert_ne!(first, second);

    // A call fails if its client cannot be reopened. The next call tries to reopen the client again.
    plain.predict(predict("abort")).await.unwrap_err();
    std::fs::write(&file, "").unwrap();
    let refused = client.predict(predict("echo")).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (&ErrorCode::UNAUTHENTICATED, "the file exists"));
    plain.predict(predict("echo")).await.unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(client.predict(predict("echo")).await.unwrap().bytes(), b"[1]");
}

#[tokio::test]
async fn process_that_keeps_crashing_is_not_restarted() {
    let client = hermit().on_event(|_| {}).build().get_deploy_client(Some("hermit")).await.unwrap();
    let begun = Instant::now();
    for _ in 0..5 {
        let error = client.predict(predict("exit")).await.unwrap_err();
        assert_eq!(error.message(), "the plugin's process exited with code 3");
    }
    let error = client.predict(predict("echo")).await;
    // The host may restart the plugin again after a minute, so the check is skipped on a slow machine.
    if begun.elapsed() < Duration::from_secs(50) {
        let error = error.unwrap_err();
        assert_eq!(error.code(), &ErrorCode::PLUGIN_CRASHED);
        assert!(error.message().starts_with("the plugin's process was started 5 times within 60 s"), "{error}");
        assert!(error.is_retryable() && error.retry_after().is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_of_the_process_ends_all_of_a_thousand_calls() {
    const CALLS: usize = 1000;
    let messages = Messages::default();
    let client = hermit().on_event(messages.listener()).build().get_deploy_client(Some("hermit")).await.unwrap();
    let process = pid(&client).await;
    let calls: Vec<_> = (0..CALLS)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { (client.predict(predict("wait")).await, Instant::now()) })
        })
        .collect();
    messages.wait("waiting", CALLS).await;
    let killed = Instant::now();
    kill_process(process, Signal::KILL).unwrap();
    let mut last = killed;
    for call in calls {
        let (answer, ended) = tokio::time::timeout(MAX_WAIT, call).await.expect("every call ends").unwrap();
        let error = answer.unwrap_err();
        assert_eq!(error.code(), &ErrorCode::PLUGIN_CRASHED);
        assert_eq!(error.message(), "the plugin's process was killed by signal 9 (SIGKILL)");
        last = last.max(ended);
    }
    println!("kill -9: {CALLS} of {CALLS} calls ended with PLUGIN_CRASHED, the last {:?} after it", last - killed);
    assert_ne!(pid(&client).await, process, "the next call starts a new process");
}
