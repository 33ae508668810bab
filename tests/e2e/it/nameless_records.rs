//! Tests of the host with plugins whose records have no `name`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use mlflow_deploy::args::{GetDeployment, ListEndpoints};
use mlflow_deploy::{ErrorCode, Host, Level, PluginEvent};
use mlflow_deploy_test_support::cdylib;
use mlflow_deploy_test_support::patch::PluginFile;

use crate::command::mlflow_deploy;

const MUTANT: &str = "mlflow-deploy-fixture-mutant";

/// Writes a plugin whose results of one operation have a record without `name`.
fn plugin(folder: &Path, operation: &str) -> PathBuf {
    let file = folder.join(operation).with_extension("so");
    let fault = format!("{:64}", format!("operations-{operation}"));
    fs::write(&file, PluginFile::read(cdylib::path(MUTANT)).with_section(".mutant", fault.as_bytes())).unwrap();
    file
}

#[test]
fn command_fails_for_a_record_without_a_name() {
    let folder = tempfile::tempdir().unwrap();
    for (operation, arguments, found) in [
        ("create-deployment", "create --name a -m /m", "a record without `name`"),
        ("list-deployments", "list", "a list, in which record 1 is one without `name`"),
        ("create-endpoint", "create-endpoint --endpoint a", "a record without `name`"),
        ("list-endpoints", "list-endpoints", "a list, in which record 1 is one without `name`"),
    ] {
        let file = plugin(folder.path(), operation);
        let said = format!(
            "the plugin broke the contract: it replied to `{}` with {found}; expected an object whose `name` is a string",
            operation.replace('-', "_")
        );
        for isolate in ["", "--isolate"] {
            let run = |more: &str| {
                mlflow_deploy(&format!("{arguments} -t mutant {isolate} {more} --trusted-plugin")).arg(&file).run()
            };
            let ran = run("");
            assert_eq!((ran.code, ran.stdout.as_str()), (4, ""), "{operation}: {ran:?}");
            let lines: Vec<_> = ran.stderr.lines().collect();
            assert_eq!(lines.len(), 2, "the fault in the log, and the error of the call: {ran:?}");
            assert!(lines[0].starts_with(&format!("error: {said} (call ")), "{ran:?}");
            assert_eq!(lines[1], format!("error: {said}"));
            let json = run("--json");
            assert!(json.stderr.contains("\"PLUGIN_PROTOCOL_VIOLATION\""), "{json:?}");
        }
    }
}

#[tokio::test]
async fn library_returns_an_error_and_an_event_for_a_record_without_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = plugin(folder.path(), "list-endpoints");
    for is_isolated in [false, true] {
        let events = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&events);
        let listener = move |event: PluginEvent| {
            if event.level == Level::Error {
                heard.lock().unwrap().push(event.event.message);
            }
        };
        let builder = Host::builder().plugin(&file).on_event(listener);
        let program = cdylib::program("mlflow-deploy-plugin-host");
        let host = if is_isolated { builder.isolate_all().plugin_host(program).build() } else { builder.build() };
        let client = host.get_deploy_client(Some("mutant")).await.unwrap();
        let error = client.list_endpoints(ListEndpoints::all()).await.unwrap_err();
        assert_eq!(error.code(), &ErrorCode::PLUGIN_PROTOCOL_VIOLATION);
        let events = events.lock().unwrap().clone();
        assert_eq!(events.len(), 1, "{events:?}");
        assert!(events[0].starts_with(error.message()), "{events:?}");
        let missing = client.get_deployment(GetDeployment::new("no")).await.unwrap_err();
        assert_eq!(missing.code(), &ErrorCode::RESOURCE_DOES_NOT_EXIST, "the client still works");
    }
}
