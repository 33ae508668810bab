//! Checks that isolated plugins behave like plugins in the host's process: replies, streams with credit, cancellation,
//! deadlines and options.

use std::time::Duration;

use mlflow_deploy::args::{ListEndpoints, PredictStream};
use mlflow_deploy::{ClientOptions, ErrorCode, Host, JSON, Operation, Payload};
use mlflow_deploy_test_support::{broken, cdylib};

use super::{Messages, hermit, predict};
use crate::command::mlflow_deploy;

#[test]
fn every_operation_has_the_same_result_isolated() {
    for arguments in [
        "create -t mirror --name a -m models:/a/1 -f onnx -C k=v --json",
        "update -t faketarget --name a -m models:/a/1 -f onnx",
        "delete -t mirror --name a",
        "list -t mirror --json",
        "get -t mirror --name a --endpoint e --json",
        "create-endpoint -t mirror --endpoint e --json",
        "update-endpoint -t mirror --endpoint e",
        "delete-endpoint -t mirror --endpoint e",
        "list-endpoints -t mirror",
        "get-endpoint -t mirror --endpoint e",
        "get -t noflavor --name a",
        "create -t mirror --name a -m m -C raiseError=True",
        "predict -t mirror --endpoint e -I -",
        "predict -t mirror --endpoint e -I - --stream",
        "explain -t mirror --endpoint e -I -",
        "invoke repeat -t mirror --endpoint e -I -",
        "invoke nothing -t mirror --json",
        "run-local -t faketarget --name a -m brief",
        "help -t faketarget",
    ] {
        let run = |more: &str| {
            let run = mlflow_deploy(&format!("{arguments} {more}")).plugin("mlflow-deploy-fixture-faketarget");
            run.stdin("{\"x\": [1, NaN]}").run()
        };
        let (in_process, isolated) = (run(""), run("--isolate"));
        assert_eq!(
            (isolated.code, &isolated.stdout, &isolated.stderr),
            (in_process.code, &in_process.stdout, &in_process.stderr),
            "{arguments}"
        );
    }
}

#[tokio::test]
async fn large_inputs_and_replies_are_passed() {
    let client = hermit().build().get_deploy_client(Some("hermit")).await.unwrap();
    // The inputs and the reply are larger than the buffers of a socket.
    let bytes: Vec<u8> = (0..32 * 1024 * 1024_u32).map(|number| number.to_le_bytes()[1]).collect();
    let echo = || {
        let inputs = Payload::new("application/octet-stream", bytes.clone());
        client.predict(mlflow_deploy::args::Predict { inputs, ..predict("echo") })
    };
    let (one, two) = tokio::join!(echo(), echo());
    for answer in [one.unwrap(), two.unwrap()] {
        assert_eq!(answer.content_type(), "application/octet-stream");
        assert!(answer.bytes() == bytes);
    }
}

#[tokio::test]
async fn stream_sends_no_more_chunks_than_its_credit() {
    let messages = Messages::default();
    let client = hermit().on_event(messages.listener()).build().get_deploy_client(Some("hermit")).await.unwrap();
    let inputs = Payload::new(JSON, "[1]");
    let mut stream = client.predict_stream(&PredictStream { inputs, ..PredictStream::default() }).unwrap();
    // The credit is sixteen chunks, so the plugin must not send the seventeenth chunk.
    messages.wait("16", 1).await;
    // The plugin has one thread. So before this reply it has sent all chunks for which it has credit.
    client.predict(predict("echo")).await.unwrap();
    assert_eq!(messages.all().last().unwrap(), "16");
    for number in 0..8 {
        assert_eq!(stream.next().await.unwrap().unwrap().json::<u64>().unwrap(), number);
    }
    // The window has doubled, because the chunks are small: 32 chunks after the eight that were taken.
    messages.wait("40", 1).await;
    client.predict(predict("echo")).await.unwrap();
    assert_eq!(messages.all().last().unwrap(), "40");
}

#[tokio::test]
async fn deadlines_and_cancellation_reach_an_isolated_plugin() {
    let messages = Messages::default();
    let client = hermit().on_event(messages.listener()).build().get_deploy_client(Some("hermit")).await.unwrap();
    let limited = client.with_timeout(Some(Duration::from_millis(100)));
    let error = limited.predict(predict("wait")).await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::DEADLINE_EXCEEDED);
    // The call may have reached its deadline before the host sent it to the plugin.
    let waited = messages.all().iter().filter(|message| *message == "waiting").count();
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.predict(predict("wait")).await }
    });
    messages.wait("waiting", waited + 1).await;
    client.close();
    assert_eq!(waiting.await.unwrap().unwrap_err().code(), &ErrorCode::CANCELLED);
    assert_eq!(client.predict(predict("echo")).await.unwrap_err().code(), &ErrorCode::CANCELLED);
}

#[tokio::test]
async fn unsupported_operation_of_an_isolated_plugin_is_an_error() {
    let host = hermit().build();
    let options = ClientOptions::new(&serde_json::json!({"token": "s3cret"})).unwrap();
    let client = host.get_deploy_client_with(Some("hermit"), &options).await.unwrap();
    assert!(client.supports(Operation::Predict) && !client.supports(Operation::ListEndpoints));
    let error = client.list_endpoints(ListEndpoints {}).await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::NOT_IMPLEMENTED);
    assert_eq!(client.predict(predict("options")).await.unwrap().bytes(), br#"{"token":"s3cret"}"#);
}

#[test]
fn isolated_plugin_gets_only_its_declared_and_allowed_environment() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join(".config/mlflow-deploy");
    std::fs::create_dir_all(&config).unwrap();
    let seen = |allowed: &str| {
        let allowed = format!("[plugins.hermit]\nenvironment = [{allowed}]\n");
        std::fs::write(config.join("config.toml"), allowed).unwrap();
        let run = mlflow_deploy("predict -t hermit --endpoint environment -I - --json");
        let run = run.plugin("mlflow-deploy-fixture-hermit").stdin("[1]").env("HOME", home.path());
        let run = run.env("HERMIT_TOKEN", "t").env("OTHER_TOKEN", "s3cret").env("LC_ALL", "C");
        let ran = run.env("AWS_REGION", "r").env("AWS_SECRET_ACCESS_KEY", "s3cret").env("no_proxy", "*").run();
        let mut seen: Vec<String> = serde_json::from_value(ran.json()).unwrap();
        seen.sort();
        seen
    };
    assert_eq!(seen(""), ["HERMIT_TOKEN", "HOME", "LC_ALL", "no_proxy"]);
    assert_eq!(seen("'OTHER_TOKEN', 'AWS'"), ["HERMIT_TOKEN", "HOME", "LC_ALL", "OTHER_TOKEN", "no_proxy"]);
    let aws = ["AWS_REGION", "AWS_SECRET_ACCESS_KEY", "HERMIT_TOKEN", "HOME", "LC_ALL", "no_proxy"];
    assert_eq!(seen("'AWS_*'"), aws);
    assert!(seen("'*'").contains(&"MLFLOW_DEPLOY_PLUGIN_PATH_ONLY".to_owned()));
}

#[test]
fn plugin_that_requires_isolation_is_isolated_or_rejected() {
    let folder = tempfile::tempdir().unwrap();
    for (path, why) in broken::isolated(folder.path()) {
        let list = |run: crate::command::Run| run.arg("--plugin").arg(&path).run();
        let ran = list(mlflow_deploy("list-endpoints -t c-echo"));
        assert_eq!(ran.code, 0, "{path:?}: {ran:?}");
        let none = |run: crate::command::Run| list(run.env("MLFLOW_DEPLOY_PLUGIN_HOST", "/no/program"));
        let ran = none(mlflow_deploy("list-endpoints -t c-echo"));
        assert_eq!(ran.code, 3, "{path:?}: {ran:?}");
        for part in ["must run in its own process", why, "was not found at `/no/program`"] {
            assert!(ran.stderr.contains(part), "{path:?}: {ran:?}");
        }
    }
    let echo = mlflow_deploy("list-endpoints -t echo --isolate").plugin("mlflow-deploy-example-echo");
    let ran = echo.env("MLFLOW_DEPLOY_PLUGIN_HOST", "/no/program").run();
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stderr.contains("because all plugins are isolated"), "{ran:?}");
    let echo = mlflow_deploy("list-endpoints -t echo --isolate").plugin("mlflow-deploy-example-echo");
    let ran = echo.env("MLFLOW_DEPLOY_PLUGIN_HOST", "/bin/true").run();
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(
        ran.stderr.contains("`/bin/true` does not match this version of mlflow-deploy: it exited with code 0"),
        "{ran:?}"
    );
}

#[test]
fn plugin_that_requires_isolation_reports_it() {
    let ran = mlflow_deploy("plugins inspect").arg(cdylib::path("mlflow-deploy-fixture-hermit")).run();
    assert!(ran.stdout.contains("\nRuns in:\n  its own process\n"), "{ran:?}");
}

#[tokio::test]
async fn plugins_are_isolated_by_name() {
    let echo = || Host::builder().plugin(cdylib::path("mlflow-deploy-example-echo")).plugin_host("/no/program");
    echo().isolate(["other"]).build().get_deploy_client(Some("echo")).await.unwrap();
    let error = echo().isolate(["other", "echo"]).build().get_deploy_client(Some("echo")).await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::PLUGIN_LOAD_FAILED);
}
