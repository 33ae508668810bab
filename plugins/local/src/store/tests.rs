//! Tests with state directories that are new, shared between processes, damaged or incomplete.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mlflow_deploy_plugin_api::Error;
use rustix::fs::{CWD, Mode, mkfifoat};
use tempfile::TempDir;

use super::{Deployment, Endpoint, State, StateDirectory};

async fn add(directory: &Arc<StateDirectory>, name: &str) {
    let name = name.to_owned();
    directory.change(move |state| Ok(state.endpoints.insert(name, Endpoint::default()))).await.unwrap();
}

#[tokio::test]
async fn state_includes_the_changes_of_other_clients() {
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = [(); 2].map(|()| Arc::new(StateDirectory::new(folder.path().join("a/b"))));
    assert_eq!(*other.state().unwrap(), State::default());
    for name in ["a", "b", "c"] {
        add(&one, name).await;
        assert!(other.state().unwrap().endpoints.contains_key(name));
    }
    assert_eq!(other.state().unwrap().endpoints.len(), 3);
}

#[tokio::test]
async fn a_failed_change_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let directory = Arc::new(StateDirectory::new(folder.path().to_owned()));
    add(&directory, "a").await;
    let change = directory.change(|state| {
        state.endpoints.clear();
        Err::<(), _>(Error::internal("no"))
    });
    assert_eq!(change.await.unwrap_err().message(), "no");
    assert_eq!(directory.state().unwrap().endpoints.len(), 1);
}

#[tokio::test]
async fn an_unnamed_folder_is_swept_when_no_client_holds_it() {
    let root = tempfile::tempdir().unwrap();
    let directory = Arc::new(StateDirectory::new(root.path().to_owned()));
    let folder = directory.new_folder().await.unwrap();
    folder.keep();
    let (id, path) = (folder.id().to_owned(), folder.model());
    fs::create_dir(&path).unwrap();
    add(&directory, "a").await;
    assert!(path.exists(), "it is held");
    let again = directory.folder(&id).await.unwrap().unwrap();
    drop(folder);
    add(&directory, "b").await;
    assert!(path.exists(), "it is held by another");
    drop(again);
    add(&directory, "c").await;
    assert!(!path.exists());
    assert!(directory.folder(&id).await.unwrap().is_none());
}

#[tokio::test]
async fn files_of_other_programs_are_never_removed() {
    let root = tempfile::tempdir().unwrap();
    let path = |path: &str| root.path().join(path);
    fs::create_dir_all(path("models/precious")).unwrap();
    let directory = Arc::new(StateDirectory::new(root.path().to_owned()));
    let error = directory.change(|_| Ok(())).await.unwrap_err();
    assert!(error.message().contains("is not a state directory"), "{error}");
    assert!(!path("lock").exists());
    fs::write(path("lock"), "").unwrap();
    fs::write(path("state.json"), r#"{"format": 1, "deployments": {}, "endpoints": {}}"#).unwrap();
    let foreign =
        ["models/precious/w", "models/0123456789abcdef/w", "models/0123456789ABCDEF/lock", ".state-of-things", "f/w"];
    for file in foreign {
        fs::create_dir_all(path(file).parent().unwrap()).unwrap();
        fs::write(path(file), "").unwrap();
    }
    symlink(path("f"), path("models/00000000000000ff")).unwrap();
    // A crash has left these files.
    fs::create_dir_all(path("models/0000000000000001/model/data")).unwrap();
    fs::create_dir_all(path("models/0000000000000002")).unwrap();
    fs::create_dir_all(path("models/0000000000000003/.fetching-x")).unwrap();
    fs::write(path("models/0000000000000003/deployment.json.new"), "").unwrap();
    fs::write(path(".state-aB3dEf"), "").unwrap();
    add(&directory, "a").await;
    for file in foreign {
        assert!(path(file).exists(), "{file}");
    }
    assert_eq!(fs::read_dir(path("models")).unwrap().count(), 4);
    assert!(!path(".state-aB3dEf").exists());
}

#[tokio::test]
async fn a_damaged_or_newer_state_is_not_changed() {
    let root = tempfile::tempdir().unwrap();
    let directory = Arc::new(StateDirectory::new(root.path().to_owned()));
    let outside = r#"{"format": 1, "endpoints": {}, "deployments": {"a": {"revision": "1", "folder": "../../x",
        "model_uri": "m", "flavor": "onnx", "config": {}, "creation_timestamp": 1, "last_updated_timestamp": 1}}}"#;
    for (text, message) in [
        ("{", "is damaged"),
        (r#"{"format": 2}"#, "was written by a later version, in format 2"),
        (outside, "is damaged: the folder of `a` is `../../x`"),
    ] {
        fs::write(root.path().join("state.json"), text).unwrap();
        let error = directory.change(|_| Ok(())).await.unwrap_err();
        assert!(error.message().contains(message), "{error}");
        assert_eq!(fs::read_to_string(root.path().join("state.json")).unwrap(), text);
    }
}

fn deployment(folder: &str, updated: u64) -> Deployment {
    Deployment {
        revision: updated.to_string(),
        folder: folder.to_owned(),
        model_uri: "./model".to_owned(),
        model_version: None,
        flavor: "onnx".to_owned(),
        config: serde_json::from_str(r#"{"sessions": 2}"#).unwrap(),
        python: None,
        creation_timestamp: 1,
        last_updated_timestamp: updated,
    }
}

/// Creates the deployment `name` with a model that cannot be loaded. Returns the path of the copied model's folder.
async fn deploy(directory: &Arc<StateDirectory>, name: &str) -> PathBuf {
    let folder = Arc::new(directory.new_folder().await.unwrap());
    fs::create_dir(folder.model()).unwrap();
    fs::write(folder.model().join("MLmodel"), name).unwrap();
    let (name, kept, id) = (name.to_owned(), Arc::clone(&folder), folder.id().to_owned());
    let insert = move |state: &mut State| Ok(state.deployments.insert(name, deployment(&id, 2)));
    directory.deploy(insert, move || kept.keep()).await.unwrap();
    folder.model().parent().unwrap().to_owned()
}

/// Returns a state directory with three deployments. Two of the deployments belong to one endpoint.
async fn deployed() -> (TempDir, Arc<StateDirectory>) {
    let root = tempfile::tempdir().unwrap();
    let directory = Arc::new(StateDirectory::new(root.path().to_owned()));
    for name in ["a", "b", "c"] {
        deploy(&directory, name).await;
    }
    let share = |state: &mut State| {
        let traffic = [("a".to_owned(), 90), ("b".to_owned(), 10)].into();
        let endpoint = Endpoint { traffic, creation_timestamp: 1, last_updated_timestamp: 1 };
        Ok(state.endpoints.insert("flowers".to_owned(), endpoint))
    };
    directory.change(share).await.unwrap();
    (root, directory)
}

fn copies(root: &Path) -> usize {
    fs::read_dir(root.join("models")).unwrap().count()
}

/// Asserts that every operation on the state fails with an error that contains `message`, and that no copied model is
/// removed.
async fn assert_fails(root: &Path, directory: &Arc<StateDirectory>, message: &str) {
    let count = copies(root);
    let errors = [
        directory.state().map(drop).unwrap_err(),
        directory.change(|_| Ok(())).await.unwrap_err(),
        directory.change(|state| Ok(state.deployments.remove("a"))).await.map(drop).unwrap_err(),
        directory.new_folder().await.map(drop).unwrap_err(),
    ];
    for error in errors {
        assert!(error.message().contains(message), "{error}");
    }
    assert_eq!(copies(root), count);
}

#[tokio::test]
async fn a_missing_state_is_an_error_if_copies_exist() {
    let (root, directory) = deployed().await;
    let (state, backup) = (root.path().join("state.json"), root.path().join("state.backup"));
    fs::rename(&state, &backup).unwrap();
    assert_fails(
        root.path(),
        &directory,
        "has copies of 3 models: nothing was changed; restore the file from a backup",
    )
    .await;
    assert_fails(root.path(), &directory, "mlflow-deploy invoke rebuild -t local").await;
    fs::remove_file(root.path().join("lock")).unwrap();
    assert_fails(root.path(), &directory, "is missing, but").await;

    symlink("/mnt/nowhere/state.json", &state).unwrap();
    assert_fails(root.path(), &directory, "is a link to `/mnt/nowhere/state.json`, which does not exist").await;
    let error = directory.rebuild(|_| None).await.unwrap_err();
    assert!(error.message().contains("is a link to"), "{error}");
    assert!(state.is_symlink());
    fs::remove_file(&state).unwrap();

    fs::write(&state, "").unwrap();
    assert_fails(root.path(), &directory, "is damaged: ").await;
    fs::remove_file(&state).unwrap();
    mkfifoat(CWD, &state, Mode::from_raw_mode(0o600)).unwrap();
    assert_fails(root.path(), &directory, "not a regular file").await;
    fs::remove_file(&state).unwrap();

    fs::rename(&backup, &state).unwrap();
    assert_eq!(directory.state().unwrap().deployments.len(), 3);
    directory.change(|_| Ok(())).await.unwrap();
    assert_eq!(copies(root.path()), 3);
}

#[tokio::test]
async fn an_unreadable_models_folder_is_not_an_empty_one() {
    let (root, directory) = deployed().await;
    let models = root.path().join("models");
    fs::remove_file(root.path().join("state.json")).unwrap();
    fs::rename(&models, root.path().join("disk")).unwrap();
    symlink("nowhere", &models).unwrap();
    let error = directory.change(|_| Ok(())).await.unwrap_err();
    assert!(error.message().contains("failed to read the directory"), "{error}");
    assert!(!root.path().join("state.json").exists());
}

#[tokio::test]
async fn a_link_to_the_state_stays_a_link() {
    let (root, directory) = deployed().await;
    let disk = tempfile::tempdir().unwrap();
    let (state, real) = (root.path().join("state.json"), disk.path().join("state.json"));
    fs::rename(&state, &real).unwrap();
    symlink(&real, &state).unwrap();
    add(&directory, "more").await;
    assert!(state.is_symlink());
    assert!(fs::read_to_string(&real).unwrap().contains("more"));
}

#[tokio::test]
async fn rebuild_restores_a_lost_state_from_the_copies() {
    let (root, directory) = deployed().await;
    add(&directory, "without deployments").await;
    let before = directory.state().unwrap();
    fs::remove_file(root.path().join("state.json")).unwrap();
    // A copy of an earlier version, an incomplete copy that a crash left, and a copy that a process is filling.
    for (id, file) in [("0000000000000001", "MLmodel"), ("0000000000000002", "w")] {
        let model = root.path().join("models").join(id).join("model");
        fs::create_dir_all(&model).unwrap();
        fs::write(model.join(file), "").unwrap();
    }
    let held = root.path().join("models/0000000000000003");
    fs::create_dir_all(held.join("model")).unwrap();
    fs::write(held.join("model/MLmodel"), "").unwrap();
    let lock = fs::File::create(held.join("lock")).unwrap();
    lock.lock_shared().unwrap();

    let flavor = |model: &Path| model.join("MLmodel").exists().then(|| "onnx".to_owned());
    let rebuilt = serde_json::to_value(directory.rebuild(flavor).await.unwrap()).unwrap();
    assert_eq!(rebuilt["deployments"], serde_json::json!(["a", "b", "c", "recovered-0000000000000001"]));
    assert_eq!(rebuilt["endpoints"], serde_json::json!(["flowers"]));
    assert_eq!(rebuilt["left_out"], serde_json::json!(["0000000000000002", "0000000000000003"]));
    let after = directory.state().unwrap();
    for name in ["a", "b", "c"] {
        assert_eq!(after.deployments[name], before.deployments[name]);
    }
    assert_eq!(after.endpoints["flowers"].traffic, before.endpoints["flowers"].traffic);
    let error = directory.rebuild(flavor).await.unwrap_err();
    assert!(error.message().contains("exists and is valid"), "{error}");
    directory.change(|_| Ok(())).await.unwrap();
    assert_eq!(copies(root.path()), 5, "the incomplete copy is removed");
}

#[tokio::test]
async fn rebuild_deploys_the_newer_of_two_copies_with_the_same_name() {
    let (root, directory) = deployed().await;
    let older = deploy(&directory, "d").await;
    let newer = root.path().join("models/0000000000000001");
    fs::create_dir_all(newer.join("model")).unwrap();
    let record = fs::read_to_string(older.join("deployment.json")).unwrap();
    let updated = record.replace(r#""last_updated_timestamp": 2"#, r#""last_updated_timestamp": 3"#);
    assert_ne!(record, updated);
    fs::write(newer.join("deployment.json"), updated).unwrap();
    fs::remove_file(root.path().join("state.json")).unwrap();
    directory.rebuild(|_| None).await.unwrap();
    assert_eq!(directory.state().unwrap().deployments["d"].folder, "0000000000000001");
}

#[tokio::test]
async fn restoring_an_older_state_removes_no_copy() {
    let (root, directory) = deployed().await;
    let state = root.path().join("state.json");
    let older = fs::read(&state).unwrap();
    let copy = deploy(&directory, "later").await;
    fs::write(&state, older).unwrap();
    add(&directory, "a change").await;
    assert!(copy.join("model/MLmodel").exists());
    fs::remove_file(&state).unwrap();
    directory.rebuild(|_| None).await.unwrap();
    assert!(directory.state().unwrap().deployments.contains_key("later"));
}

#[tokio::test]
async fn the_record_of_a_copy_is_updated_with_the_state() {
    let (root, directory) = deployed().await;
    let copy = root.path().join("models").join(&directory.state().unwrap().deployments["a"].folder);
    let read = || fs::read_to_string(copy.join("deployment.json")).unwrap_or_default();
    assert!(read().contains(r#""flowers": 90"#), "{}", read());
    // Earlier versions wrote no records.
    fs::remove_file(copy.join("deployment.json")).unwrap();
    directory.change(|state| Ok(state.endpoints.remove("flowers"))).await.unwrap();
    assert!(read().contains(r#""endpoints": {}"#), "{}", read());
    // The record is removed with the deployment, even if another process still uses the copy.
    let held = directory.folder(copy.file_name().unwrap().to_str().unwrap()).await.unwrap().unwrap();
    directory.change(|state| Ok(state.deployments.remove("a"))).await.unwrap();
    assert_eq!((copy.join("model").exists(), read().as_str()), (true, ""));
    drop(held);
    directory.change(|_| Ok(())).await.unwrap();
    assert!(!copy.exists());
}

#[tokio::test]
async fn a_pipe_in_place_of_the_lock_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    mkfifoat(CWD, root.path().join("lock"), Mode::from_raw_mode(0o600)).unwrap();
    let directory = Arc::new(StateDirectory::new(root.path().to_owned()));
    let error = directory.change(|_| Ok(())).await.unwrap_err();
    assert!(error.message().contains("failed to lock the state directory"), "{error}");
}
