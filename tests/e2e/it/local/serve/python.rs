//! Checks that MLflow's scoring client and `PredictionsResponse` get equal results from MLflow's scoring server and
//! from `run-local`.

use mlflow_deploy_test_support::peers::{ScoringServer, run_script};
use serde_json::Value;

use super::super::samples::{CLOSE, distance};
use super::super::{Machine, sample};
use super::Served;

#[test]
fn mlflow_s_client_gets_equal_results_from_both_servers() {
    let model = sample("onnx_iris_tensor");
    let machine = Machine::new();
    let (theirs, ours) = (ScoringServer::start(&model), Served::start(&model, &machine, ""));
    let address = |url: &str| url.strip_prefix("http://").unwrap().to_owned();
    let addresses = [address(theirs.url()), ours.address.to_string()];
    let answers: Value =
        serde_json::from_slice(&run_script("scoring.py", &addresses.each_ref().map(String::as_str))).unwrap();
    let (theirs, ours) = (&answers[0], &answers[1]);
    let results = theirs["results"].as_object().unwrap();
    assert_eq!(results.len(), 6);
    for (what, theirs) in results {
        let ours = &ours["results"][what];
        assert!(distance(ours, theirs) <= CLOSE, "{what}: MLflow {theirs}, here {ours}");
        println!("{what}: {ours}");
    }
    println!(
        "one row, median and 99th percentile in ms: MLflow {}, here {}",
        theirs["milliseconds"], ours["milliseconds"]
    );
}

#[cfg(target_os = "linux")]
#[test]
fn python_model_is_served_and_its_server_ends_with_ours() {
    use rustix::process::Signal;

    use super::super::python::{doubled, interpreter, mood, moody, servers, until};

    let (machine, model) = (Machine::new(), moody());
    let served = Served::start(model.path(), &machine, &format!("-C python={}", interpreter().display()));
    let answer = served.predict(&mood(""));
    assert_eq!((answer.status, answer.json()), (200, doubled()));
    // The response contains MLflow's error unchanged.
    let answer = served.predict(&mood("raise"));
    assert_eq!((answer.status, &answer.json()["error_code"]), (400, &"BAD_REQUEST".into()));
    // A crash of the model during a request is a server error (5xx), not a client error (4xx).
    let answer = served.predict(&mood("exit"));
    assert_eq!((answer.status, &answer.json()["error_code"]), (503, &"TEMPORARILY_UNAVAILABLE".into()));
    assert_eq!(served.predict(&mood("")).json(), doubled());
    served.signal(Signal::INT);
    let ended = served.end();
    assert_eq!(ended.code, 130, "{ended:?}");
    until("nothing is left", || servers(&machine).is_empty().then_some(()));
    assert_eq!(machine.copies(), 0);
}
