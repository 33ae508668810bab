//! Checks that `kill -9` between any two steps of a change leaves the state directory in the old or in the new state.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use mlflow_deploy::args::{ListDeployments, Predict};
use mlflow_deploy::{DeployClient, Payload};
use serde_json::Value;
use tempfile::TempDir;

use super::{Machine, folder, sample};

const OPERATIONS: usize = 200;

/// The name of each model, and the model's output for the input 1.
const MODELS: [(&str, f64); 2] = [("times_2", 2.0), ("times_3", 3.0)];

/// Maps the name of each deployment to the name of its model.
type Deployed = BTreeMap<String, String>;

#[tokio::test]
async fn kill_at_any_step_leaves_the_old_or_the_new_state() {
    const SEED: u64 = 5;
    let (machine, shim) = (Machine::new(), Shim::compile());
    let client = machine.client().await;
    let mut random = Random(SEED);
    let (mut deployed, mut killed, mut took_effect) = (Deployed::new(), 0, 0);
    for number in 0..OPERATIONS {
        let name = ["a", "b", "c"][random.below(3)];
        let model = MODELS[random.below(2)].0;
        let verb = match (deployed.contains_key(name), random.below(3)) {
            (false, _) => "create",
            (true, 0) => "delete",
            (true, _) => "update",
        };
        let run = machine.ask(&format!("{verb} --name {name}"));
        let run = if verb == "delete" { run } else { run.arg("-m").arg(sample(model)) };
        // A create has 41 steps, an update 46 and a delete 24, plus the cleanup after earlier crashes. One operation in
        // four is not killed, so that the cleanup can finish.
        let step = if number % 4 == 3 { 0 } else { 1 + random.below(60) };
        // The preflight is off, so that only steps of the plugin count.
        let run = run.env("XDG_CONFIG_HOME", shim.config());
        let run = run.env("LD_PRELOAD", &shim.library).env("KILL_AT", step.to_string());
        let ended = run.spawn().wait_with_output().unwrap();
        let is_killed = ended.status.code().is_none();
        assert!(is_killed || ended.status.success(), "{number}: {verb} {name}: {ended:?}");
        let mut meant = deployed.clone();
        match verb {
            "delete" => drop(meant.remove(name)),
            _ => drop(meant.insert(name.to_owned(), model.to_owned())),
        }
        let found = found(&client).await;
        let is_new = found == meant;
        assert!(is_new || is_killed && found == deployed, "{number}: {verb} {name}: {found:?}, from {deployed:?}");
        killed += usize::from(is_killed);
        took_effect += usize::from(is_killed && is_new && meant != deployed);
        deployed = found;
    }
    // Every change removes the files that crashes left behind.
    machine.create("last", &sample("times_2"));
    assert_eq!(machine.copies(), deployed.len() + 1);
    let files = std::fs::read_dir(machine.state_dir()).unwrap().map(|file| file.unwrap().file_name());
    let unexpected: Vec<_> =
        files.filter(|file| !["lock", "models", "state.json"].map(Into::into).contains(file)).collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
    assert!(
        killed > OPERATIONS / 4 && took_effect > 0,
        "{killed} killed, {took_effect} of them after they took effect"
    );
    println!("operations {OPERATIONS}, killed {killed}, of these {took_effect} had taken effect, with seed {SEED}");
}

#[tokio::test]
async fn change_with_a_failed_sync_is_made_and_reported() {
    let (machine, shim) = (Machine::new(), Shim::compile());
    machine.create("a", &sample("times_2"));
    let create = machine.ask("create --name b --json -m").arg(sample("times_3"));
    let failing = machine.state_dir().canonicalize().unwrap();
    let ran = create.env("LD_PRELOAD", &shim.library).env("FAIL_FSYNC_OF", failing).run();
    let error = ran.error();
    assert_eq!((ran.code, error["code"].as_str()), (1, Some("INTERNAL_ERROR")), "{ran:?}");
    assert!(error["message"].as_str().unwrap().starts_with("the change was made"), "{error}");
    let meant = MODELS.iter().zip(["a", "b"]).map(|((model, _), name)| (name.to_owned(), (*model).to_owned()));
    assert_eq!(found(&machine.client().await).await, meant.collect());
}

/// Returns the deployments that the client lists, with their models. Asserts that each deployment predicts with its own
/// model.
async fn found(client: &DeployClient) -> Deployed {
    let mut found = Deployed::new();
    let listed = client.list_deployments(ListDeployments::default()).await.unwrap();
    for record in listed.json::<Vec<Value>>().unwrap() {
        let name = record["name"].as_str().unwrap().to_owned();
        let request = Payload::new("application/json", r#"{"inputs": [1.0]}"#);
        let predict = Predict { deployment_name: Some(name.clone()), inputs: request, ..Predict::default() };
        let answer: Value = client.predict(predict).await.unwrap().json().unwrap();
        let (model, _) = MODELS.iter().find(|(_, factor)| answer["predictions"]["y"][0] == *factor).unwrap();
        assert!(record["model_uri"].as_str().unwrap().ends_with(model), "{name} does not predict as its model does");
        found.insert(name, (*model).to_owned());
    }
    found
}

/// A compiled library for `LD_PRELOAD`. It kills the command at a given step, or makes a sync to the disk fail.
pub(super) struct Shim {
    library: PathBuf,
    folder: TempDir,
}

impl Shim {
    pub(super) fn compile() -> Self {
        let folder_of_it = tempfile::tempdir().unwrap();
        let library = folder_of_it.path().join("kill_at.so");
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let mut compile = Command::new(compiler);
        compile.args(["-shared", "-fPIC", "-Wall", "-o"]).arg(&library).arg(folder("tests/e2e/it/local/kill_at.c"));
        assert!(compile.arg("-ldl").status().unwrap().success());
        let config = folder_of_it.path().join("mlflow-deploy");
        std::fs::create_dir(&config).unwrap();
        std::fs::write(config.join("config.toml"), "try-first-loads = false").unwrap();
        Self { library, folder: folder_of_it }
    }

    /// Returns a folder with a configuration that turns off the preflight: the host's trial load of a plugin in a
    /// separate process.
    pub(super) fn config(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Returns the path of the library for `LD_PRELOAD`.
    pub(super) fn library(&self) -> &std::path::Path {
        &self.library
    }
}

/// A deterministic random number generator: Knuth's 64-bit linear congruential generator.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % bound).unwrap()
    }
}
