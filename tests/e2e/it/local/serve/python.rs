//! MLflow's own scoring client and `PredictionsResponse`, which ask and read MLflow's scoring server and this one alike.

use mlflow_deploy_test_support::peers::{ScoringServer, run_script};
use serde_json::Value;

use super::super::samples::{CLOSE, distance};
use super::super::{Machine, sample};
use super::Served;

#[test]
fn mlflow_s_client_reads_the_same_from_both_servers() {
    let model = sample("onnx_iris_tensor");
    let machine = Machine::new();
    let (theirs, ours) = (ScoringServer::start(&model), Served::start(&model, &machine, ""));
    let address = |url: &str| url.strip_prefix("http://").unwrap().to_owned();
    let addresses = [address(theirs.url()), ours.address.to_string()];
    let answers: Value =
        serde_json::from_slice(&run_script("scoring.py", &addresses.each_ref().map(String::as_str))).unwrap();
    let (theirs, ours) = (&answers[0], &answers[1]);
    let asked = theirs["asked"].as_object().unwrap();
    assert_eq!(asked.len(), 6);
    for (what, theirs) in asked {
        let ours = &ours["asked"][what];
        assert!(distance(ours, theirs) <= CLOSE, "{what}: MLflow {theirs}, here {ours}");
        println!("{what}: {ours}");
    }
    println!(
        "one row, median and 99th percentile in ms: MLflow {}, here {}",
        theirs["milliseconds"], ours["milliseconds"]
    );
}
