//! Checks crashes, restarts and stops of the Python server.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mlflow_deploy::args::DeleteDeployment;

use super::super::Machine;
use super::fixture::{
    MAX_WAIT, ask, client, create, doubled, group, kill, mood, moody, predict, python_of, servers, until,
};

#[tokio::test]
async fn server_killed_under_load_restarts_without_wrong_predictions() {
    const CALLERS: usize = 4;
    let (machine, model) = (Machine::new(), moody());
    let client = Arc::new(client(&machine).await);
    create(&client, "moody", model.path()).await;
    assert_eq!(predict(&client, "moody", &mood("")).await.unwrap(), doubled());
    let (answers, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (client, answers, is_over) = (Arc::clone(&client), Arc::clone(&answers), Arc::clone(&is_over));
            tokio::spawn(async move {
                let mut errors = Vec::new();
                while !is_over.load(Ordering::Relaxed) {
                    match predict(&client, "moody", &mood("")).await {
                        Ok(answer) => {
                            assert_eq!(answer, doubled());
                            answers.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(error) => errors.push(error),
                    }
                }
                errors
            })
        })
        .collect();
    let wait_for = async |more: usize| {
        let goal = answers.load(Ordering::Relaxed) + more;
        while answers.load(Ordering::Relaxed) < goal {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    wait_for(20).await;
    let first = python_of(&machine).unwrap();
    let killed = Instant::now();
    kill(first);
    wait_for(20).await;
    let recovery = killed.elapsed();
    is_over.store(true, Ordering::Relaxed);
    let mut errors = Vec::new();
    for caller in callers {
        errors.extend(caller.await.unwrap());
    }
    assert!(errors.len() <= CALLERS, "each caller loses one request at most: {errors:?}");
    for error in &errors {
        let expected = "the model's Python server was killed by signal 9 during the request: the server is restarted";
        assert!(error.to_string().starts_with(expected), "{error}");
        assert_eq!((error.code().as_str(), error.is_retryable()), ("TEMPORARILY_UNAVAILABLE", true));
    }
    assert_ne!(python_of(&machine).unwrap(), first);
    println!(
        "killed under load: {} of {CALLERS} callers lost a request; 20 answers later after {recovery:?}",
        errors.len()
    );
    client
        .delete_deployment(DeleteDeployment { name: "moody".to_owned(), ..DeleteDeployment::default() })
        .await
        .unwrap();
    until("the server of a deleted deployment is gone", || servers(&machine).is_empty().then_some(()));
}

#[tokio::test]
async fn exit_of_the_model_is_an_error_and_the_server_restarts() {
    let (machine, model) = (Machine::new(), moody());
    let client = client(&machine).await;
    create(&client, "moody", model.path()).await;
    for _ in 0..2 {
        assert_eq!(predict(&client, "moody", &mood("")).await.unwrap(), doubled());
        let error = predict(&client, "moody", &mood("exit")).await.unwrap_err();
        assert!(
            error.to_string().starts_with("the model's Python server ended with status 3 during the request"),
            "{error}"
        );
        let log = error.causes().next().unwrap();
        assert!(log.ends_with("the model exits"), "{log}");
    }
    // An exception does not restart the server.
    let process = until("the server restarts", || python_of(&machine));
    let error = predict(&client, "moody", &mood("raise")).await.unwrap_err();
    assert_eq!((error.code().as_str(), error.http_status()), ("BAD_REQUEST", Some(400)));
    assert_eq!(python_of(&machine), Some(process));
}

#[tokio::test]
async fn failed_restart_is_retried_after_a_pause() {
    let (machine, model) = (Machine::new(), moody());
    let client = client(&machine).await;
    create(&client, "moody", model.path()).await;
    assert_eq!(predict(&client, "moody", &mood("")).await.unwrap(), doubled());
    let copy = fs::read_dir(machine.state_dir().join("models")).unwrap().next().unwrap().unwrap().path();
    let code = copy.join("model/code/moody.py");
    fs::rename(&code, copy.join("moody.py")).unwrap();
    let running = python_of(&machine).unwrap();
    kill(running);
    until("the server is gone", || group(running).is_none().then_some(()));
    let mut refused = 0;
    while refused < 3 {
        let error = predict(&client, "moody", &mood("")).await.unwrap_err();
        // A call may still use the connection to the killed server and fail with another error.
        if error.code().as_str() == "INVALID_STATE" {
            assert!(error.to_string().contains("ended with status 1 during its start: "), "{error}");
            // Calls during the pause before a restart fail at once. Their error has the remaining time.
            assert!(error.retry_after().unwrap() <= Duration::from_secs(30), "{error:?}");
            refused += 1;
        }
    }
    until("no server is left", || servers(&machine).is_empty().then_some(()));
    fs::rename(copy.join("moody.py"), &code).unwrap();
    let mut answer = predict(&client, "moody", &mood("")).await;
    let begun = Instant::now();
    while let Err(error) = answer {
        assert!(begun.elapsed() < MAX_WAIT, "{error}");
        tokio::time::sleep(error.retry_after().unwrap()).await;
        answer = predict(&client, "moody", &mood("")).await;
    }
    assert_eq!(answer.unwrap(), doubled());
}

#[test]
fn kill_of_the_host_ends_its_server() {
    let (machine, model) = (Machine::new(), moody());
    let made = ask(&machine, "create --name moody -m").arg(model.path()).run();
    assert_eq!(made.code, 0, "{made:?}");
    for state in ["starts", "predicts"] {
        let hangs = machine.0.path().join("hangs");
        let _none = fs::remove_file(&hangs);
        let predict = ask(&machine, "predict --name moody -I -").env("MOODY_HANGS", &hangs).stdin(mood("hang"));
        let mut host = predict.spawn();
        let processes = until("the server is there", || {
            let found = servers(&machine);
            let is_ready = state == "starts" || hangs.exists();
            (found.len() > 1 && is_ready).then_some(found)
        });
        host.kill().unwrap();
        let killed = Instant::now();
        let left = || processes.iter().any(|process| group(*process).is_some()) || !servers(&machine).is_empty();
        until("the server is gone", || (!left()).then_some(()));
        println!("host killed while its server {state}: nothing left after {:?}", killed.elapsed());
        host.wait().unwrap();
    }
}
