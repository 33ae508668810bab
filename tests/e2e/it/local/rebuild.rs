//! Checks a state directory with missing parts. The plugin does not delete the other parts, and recreates the missing
//! parts if it can.
#![cfg(target_os = "linux")]

use std::fs;

use serde_json::{Value, json};

use super::crash::Shim;
use super::{FLOWERS, Machine, iris, sample};

/// Returns a machine with two deployments that share an endpoint. Also returns the command's list of the deployments.
fn deployed() -> (Machine, Value) {
    let machine = Machine::new();
    machine.create("a", &iris());
    let made = machine.ask("create --name b -C sessions=2 -m").arg(sample("times_2")).run();
    assert_eq!(made.code, 0, "{made:?}");
    let made = machine.ask("create-endpoint --endpoint both -C .traffic.a:=3 -C .traffic.b:=1").run();
    assert_eq!(made.code, 0, "{made:?}");
    let listed = machine.ask("list --json").run().json();
    (machine, listed)
}

#[test]
fn lost_state_file_is_reported_and_rebuilt() {
    let (machine, before) = deployed();
    let (state, backup) = (machine.state_dir().join("state.json"), machine.state_dir().join("backup"));
    fs::rename(&state, &backup).unwrap();
    let model = iris();
    let create = format!("create --name new -m {}", model.display());
    for verb in ["list", "list-endpoints", "get --name a", "predict --name a -I -", "delete --name a", &create] {
        let ran = machine.ask(&format!("{verb} --json")).stdin(FLOWERS).run();
        let error = ran.error();
        assert_eq!((ran.code, error["code"].as_str()), (1, Some("INVALID_STATE")), "{verb}: {ran:?}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("has copies of 2 models: nothing was changed"), "{message}");
        assert!(
            message.ends_with("rebuild it from the copies with: mlflow-deploy invoke rebuild -t local"),
            "{message}"
        );
        assert_eq!(machine.copies(), 2, "{verb}");
    }
    let rebuilt = machine.ask("invoke rebuild --json").run();
    assert_eq!(
        rebuilt.json(),
        json!({"deployments": ["a", "b"], "endpoints": ["both"], "left_out": []}),
        "{rebuilt:?}"
    );
    assert_eq!(machine.ask("list --json").run().json(), before);
    let traffic = machine.ask("get-endpoint --endpoint both --json").run().json()["traffic"].clone();
    assert_eq!(traffic, json!({"a": 3, "b": 1}));
    machine.ask("predict --name a -I - --json").stdin(FLOWERS).run().json();
    let again = machine.ask("invoke rebuild --json").run();
    assert!(again.error()["message"].as_str().unwrap().contains("exists and is valid"), "{again:?}");
    // The deployments work again after the file is restored.
    fs::rename(&backup, &state).unwrap();
    machine.create("new", &iris());
    assert_eq!((machine.names(), machine.copies()), (["a", "b", "new"].map(str::to_owned).to_vec(), 3));
}

#[test]
fn rebuild_takes_no_parameters_and_other_operations_are_unknown() {
    let machine = Machine::new();
    for (arguments, code, said) in [
        ("invoke rebuild --name a", "INVALID_PARAMETER_VALUE", "specify neither a name nor an endpoint"),
        ("invoke rebuild -C x=1", "INVALID_PARAMETER_VALUE", "x"),
        ("invoke build", "NOT_IMPLEMENTED", "`build`"),
    ] {
        let ran = machine.ask(&format!("{arguments} --json")).run();
        let error = ran.error();
        assert_eq!(error["code"], code, "{ran:?}");
        assert!(error["message"].as_str().unwrap().contains(said), "{error}");
    }
    let rebuilt = machine.ask("invoke rebuild --json").run().json();
    assert_eq!(rebuilt, json!({"deployments": [], "endpoints": [], "left_out": []}));
}

#[test]
fn rebuild_killed_at_any_step_can_be_repeated() {
    let (machine, before) = deployed();
    let (state, shim) = (machine.state_dir().join("state.json"), Shim::compile());
    let mut killed = 0;
    for step in 1.. {
        fs::remove_file(&state).unwrap();
        let rebuild = machine.ask("invoke rebuild --json").env("XDG_CONFIG_HOME", shim.config());
        let rebuild = rebuild.env("LD_PRELOAD", shim.library()).env("KILL_AT", step.to_string());
        let ended = rebuild.spawn().wait_with_output().unwrap();
        let is_whole = ended.status.code().is_some();
        assert!(!is_whole || ended.status.success(), "{step}: {ended:?}");
        assert_eq!(machine.copies(), 2, "{step}");
        if !state.exists() {
            let again = machine.ask("invoke rebuild --json").run();
            assert_eq!(again.code, 0, "{step}: {again:?}");
        }
        assert_eq!(machine.ask("list --json").run().json(), before, "{step}");
        if is_whole {
            break;
        }
        killed += 1;
    }
    assert!(killed > 3, "{killed}");
    println!("rebuilds killed: {killed}, one before each step; each was repeated");
}
