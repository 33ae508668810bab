//! Checks concurrent creates of deployments with the same name, and updates during predictions.

use std::process::{Child, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mlflow_deploy::args::{Predict, UpdateDeployment};
use mlflow_deploy::{DeployClient, Payload};
use serde_json::{Value, json};

use super::{Machine, sample};

#[test]
fn of_two_concurrent_creates_of_a_name_one_succeeds() {
    const ROUNDS: usize = 25;
    let machine = Machine::new();
    for round in 0..ROUNDS {
        let start = |model: &str| -> Child {
            machine.ask(&format!("create --json --name race-{round} -m")).arg(sample(model)).spawn()
        };
        let racers = [start("times_2"), start("times_3")];
        let ended: Vec<Output> = racers.into_iter().map(|racer| racer.wait_with_output().unwrap()).collect();
        let winners: Vec<&Output> = ended.iter().filter(|output| output.status.success()).collect();
        let losers: Vec<&Output> = ended.iter().filter(|output| output.status.code() == Some(1)).collect();
        assert_eq!((winners.len(), losers.len()), (1, 1), "{ended:?}");
        let stderr = String::from_utf8_lossy(&losers[0].stderr);
        assert!(stderr.contains("RESOURCE_ALREADY_EXISTS"), "{stderr}");
        let won: Value = serde_json::from_slice(&winners[0].stdout).unwrap();
        let shown = machine.ask(&format!("get --json --name race-{round}")).run().json();
        assert_eq!(shown["model_uri"], won["model_uri"]);
    }
    assert_eq!((machine.names().len(), machine.copies()), (ROUNDS, ROUNDS));
    println!("races of two processes: {ROUNDS}, one success in each");
}

#[tokio::test]
async fn updates_do_not_fail_predictions_or_mix_models() {
    /// The minimum number of predictions. After that, predictions continue until the updates are done.
    const PREDICTIONS: usize = 1_000;
    const UPDATES: usize = 30;
    const AT_ONCE: usize = 16;
    let machine = Machine::new();
    machine.create("m", &sample("times_2"));
    let client = Arc::new(machine.client().await);
    let updates = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            tokio::spawn(predict_until_updated(
                Arc::clone(&client),
                Arc::clone(&updates),
                UPDATES,
                PREDICTIONS / AT_ONCE,
            ))
        })
        .collect();
    for number in 0..UPDATES {
        let model = sample(if number % 2 == 0 { "times_3" } else { "times_2" });
        if number % 3 == 0 {
            // In another process.
            let machine_ran = machine.ask("update --name m -m").arg(&model).spawn();
            let ran = tokio::task::spawn_blocking(move || machine_ran.wait_with_output().unwrap()).await.unwrap();
            assert!(ran.status.success(), "{ran:?}");
        } else {
            let model_uri = Some(model.display().to_string());
            let update = UpdateDeployment { name: "m".to_owned(), model_uri, ..UpdateDeployment::default() };
            client.update_deployment(update).await.unwrap();
        }
        updates.fetch_add(1, Ordering::Relaxed);
    }
    let (mut twos, mut threes) = (0, 0);
    for caller in callers {
        let (two, three) = caller.await.unwrap();
        twos += two;
        threes += three;
    }
    assert!(twos + threes >= PREDICTIONS / AT_ONCE * AT_ONCE && twos > 0 && threes > 0, "{twos} and {threes}");
    println!(
        "predictions during {UPDATES} updates: {} ({twos} of one model, {threes} of the other), 0 failed",
        twos + threes
    );
}

/// Predicts until the given numbers of updates and predictions are reached. Returns the number of replies from each of
/// the two models.
async fn predict_until_updated(
    client: Arc<DeployClient>,
    updates: Arc<AtomicUsize>,
    enough_updates: usize,
    enough: usize,
) -> (usize, usize) {
    let (mut twos, mut threes) = (0, 0);
    while updates.load(Ordering::Relaxed) < enough_updates || twos + threes < enough {
        let inputs = Payload::new("application/json", r#"{"inputs": [1.0, 2.0, 3.0]}"#);
        let predict = Predict { deployment_name: Some("m".to_owned()), inputs, ..Predict::default() };
        let answer: Value = client.predict(predict).await.unwrap().json().unwrap();
        if answer == json!({"predictions": {"y": [2.0, 4.0, 6.0]}}) {
            twos += 1;
        } else {
            assert_eq!(answer, json!({"predictions": {"y": [3.0, 6.0, 9.0]}}));
            threes += 1;
        }
    }
    (twos, threes)
}
