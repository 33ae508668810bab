//! Checks that the plugins of this repository, in Rust and in C, pass the conformance cases.

use std::path::Path;

use mlflow_deploy_conformance::Case;
use mlflow_deploy_test_support::aws::Aws;
use mlflow_deploy_test_support::databricks::{Databricks, TOKEN};
use mlflow_deploy_test_support::v2::{self, V2Kind};
use mlflow_deploy_test_support::{cdylib, onnxruntime, ray};

use super::{check, servers};
use crate::command::mlflow_deploy;

/// The line of a conformance configuration that sets an input for a chat model.
const QUESTION: &str = r#"inputs = '{"messages": [{"role": "user", "content": "one two three four"}]}'"#;

/// Limits of the conformance cases. They are below the defaults, because a server has to handle each call.
const LIMITS: &str = "[limits]\ncalls = 1000\nthreads = 16\nbody_mib = 8\nfuzz = 100\n";

/// Asserts that a plugin passes, both in the harness's process and in a separate process. Asserts that only the cases
/// in `unproven` are unproven, and that all of `cases` passed. A separate process may skip a case that needs the plugin
/// in process.
fn is_conformant(plugin: &Path, config: &str, unproven: &[&str], cases: &[&str]) {
    for mode in [[].as_slice(), &["--isolated"]] {
        let report = check(plugin, config, &[&["--seed", "1", "--timeout", "90"], mode].concat());
        println!("{}", report.summary());
        assert_eq!(report.bad(), vec![], "{} {mode:?}", plugin.display());
        assert_eq!(report.unproven(), unproven, "{} {mode:?}", plugin.display());
        for case in cases {
            let result = report.results().iter().find(|result| result["id"] == *case).unwrap();
            let looks_inside = result["message"].as_str().unwrap().ends_with("run without `--isolated`");
            assert!(result["verdict"] == "pass" || looks_inside, "{} {mode:?}: {result}", plugin.display());
        }
    }
}

/// The cases that have to run for every plugin whose target is configured.
const ASKED: [&str; 12] = [
    "operations-predict",
    "operations-predict-stream",
    "operations-get-endpoint",
    "operations-list-endpoints",
    "semantics-predict",
    "semantics-endpoint-list",
    "semantics-endpoint-missing",
    "errors-secrets",
    "stream-resumes",
    "cancel-one-reply",
    "cancel-deadline",
    "memory-calls",
];

#[test]
fn python_example_is_strictly_conformant() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/python-plugin/py_echo.plugin.json");
    let config = include_str!("../../../../examples/python-plugin/conformance.toml");
    let report = check(Path::new(example), config, &["--strict", "--seed", "1", "--timeout", "90"]);
    println!("{}", report.summary());
    assert_eq!((report.bad(), report.unproven(), report.code), (vec![], vec![], 0));
    let skipped = report.results().iter().filter(|result| result["verdict"] == "skip").count();
    assert_eq!((report.passed().len(), skipped), (89, 47));
}

#[test]
fn rust_example_is_conformant() {
    // The plugin streams a chunk for each line, so the inputs become two chunks.
    let config = "[predict]\nendpoint = 'echo'\ncontent_type = 'text/csv'\ninputs = \"a\\n1\\n\"\n[endpoint]\nexisting = 'echo'\n";
    let cases: Vec<_> = ASKED.into_iter().filter(|case| *case != "errors-secrets").collect();
    is_conformant(cdylib::path("mlflow-deploy-example-echo"), config, &[], &cases);
}

#[test]
fn c_example_is_conformant() {
    let config = "[predict]\nendpoint = 'echo'\ninputs = '[1]'\n";
    is_conformant(cdylib::c_plugin(), config, &[], &["operations-predict", "semantics-predict", "memory-bounds"]);
}

#[test]
fn gateway_is_conformant() {
    let server = servers::gateway();
    let url = server.url();
    let config = format!(
        "target_uris = ['{url}']\n[options]\ntoken = 'gateway-secret'\n[predict]\nendpoint = 'chat'\n{QUESTION}\n\
         [slow]\nendpoint = 'slow'\n{QUESTION}\n[endpoint]\nexisting = 'chat'\n{LIMITS}"
    );
    is_conformant(cdylib::path("mlflow-deploy-gateway"), &config, &[], &ASKED);
}

#[test]
fn openai_is_conformant() {
    let server = servers::openai();
    let url = server.url().replace("http://", "openai://");
    let config = format!(
        "target_uris = ['{url}/v1']\n[environment]\nOPENAI_API_KEY = 'sk-conformance'\n[predict]\nendpoint = 'chat'\n\
         {QUESTION}\n[slow]\nendpoint = 'slow'\n{QUESTION}\n[endpoint]\nexisting = 'chat'\n{LIMITS}"
    );
    is_conformant(cdylib::path("mlflow-deploy-openai"), &config, &[], &ASKED);
}

#[test]
fn databricks_is_conformant() {
    const SERVED: &str = r#"served_entities = [{name = "m", entity_name = "main.a.m", entity_version = "1"}]"#;
    let workspace = Databricks::start();
    let url = workspace.url();
    let made = mlflow_deploy("create-endpoint --target databricks --endpoint chat --wait --option poll_interval:=0.1")
        .plugin("mlflow-deploy-databricks")
        .env("DATABRICKS_HOST", &url)
        .env("DATABRICKS_TOKEN", TOKEN)
        .arg("-C")
        .arg(r#".config.served_entities:=[{"name":"m","entity_name":"main.a.m","entity_version":"1"}]"#)
        .run();
    assert_eq!(made.code, 0, "{made:?}");
    let config = format!(
        "target_uris = ['databricks']\n[options]\npoll_interval = 0.1\n[environment]\nDATABRICKS_HOST = '{url}'\n\
         DATABRICKS_TOKEN = '{TOKEN}'\n[predict]\nendpoint = 'chat'\n{QUESTION}\n[endpoint.config]\nwait = true\n\
         [endpoint.config.config]\n{SERVED}\n[endpoint.update_config]\nwait = true\n{SERVED}\n{LIMITS}"
    );
    let cases = [
        "operations-create-endpoint",
        "operations-update-endpoint",
        "operations-delete-endpoint",
        "semantics-endpoint-get",
        "semantics-endpoint-duplicate",
        "semantics-endpoint-delete",
        "semantics-endpoint-delete-twice",
    ];
    let cases = [ASKED.as_slice(), &cases].concat();
    is_conformant(cdylib::path("mlflow-deploy-databricks"), &config, &["operations-invoke"], &cases);
}

#[test]
fn local_is_conformant() {
    const FLOWER: &str = r#"{"dataframe_split": {"columns": ["sepal length (cm)", "sepal width (cm)",
        "petal length (cm)", "petal width (cm)"], "data": [[5.1, 3.5, 1.4, 0.2]]}}"#;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state").display().to_string();
    let runtime = onnxruntime::folder().display().to_string();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/iris/model").canonicalize().unwrap();
    let model = model.display();
    let made = mlflow_deploy("create --target local --name iris -m")
        .arg(model.to_string())
        .plugin("mlflow-deploy-local")
        .env("MLFLOW_DEPLOY_LOCAL_STATE", &state)
        .env("ORT_DYLIB_PATH", &runtime)
        .run();
    assert_eq!(made.code, 0, "{made:?}");
    let config = format!(
        "target_uris = ['local']\n[environment]\nMLFLOW_DEPLOY_LOCAL_STATE = '{state}'\nORT_DYLIB_PATH = '{runtime}'\n\
         [predict]\ndeployment_name = 'iris'\ninputs = '''{FLOWER}'''\n\
         [explain]\ndeployment_name = 'iris'\ninputs = '''{FLOWER}'''\n\
         config = {{background = {{dataframe_records = [{{'sepal length (cm)' = 5.9, 'sepal width (cm)' = 3.0, \
         'petal length (cm)' = 4.3, 'petal width (cm)' = 1.3}}]}}}}\n\
         [deployment]\nmodel_uri = '{model}'\ninputs = '''{FLOWER}'''\n\
         [run_local]\nmodel_uri = '{model}'\nconfig = {{port = 0}}\n\
         [endpoint.config]\n\
         [endpoint.update_config]\ntraffic = {{}}\n{LIMITS}"
    );
    let cases: Vec<_> = Case::all()
        .map(|case| case.id)
        .filter(|id| id.starts_with("semantics-") || id.starts_with("operations-"))
        .filter(|id| !["stream", "invoke"].iter().any(|word| id.ends_with(word)))
        .collect();
    // The only custom operation of the plugin works only on a damaged state directory.
    is_conformant(cdylib::path("mlflow-deploy-local"), &config, &["operations-invoke"], &cases);
}

#[test]
fn v2_is_conformant() {
    const FLOWER: &str = r#"{"inputs": [[5.1, 3.5, 1.4, 0.2]]}"#;
    let server = v2::start(V2Kind::Triton);
    let url = server.url().replace("http://", "v2://");
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/iris/model").canonicalize().unwrap();
    let config = format!(
        "target_uris = ['{url}']\n[options]\ntoken = 'v2-secret'\n[predict]\ndeployment_name = 'iris'\ninputs = '{FLOWER}'\n\
         [slow]\ndeployment_name = 'slow'\ninputs = '{FLOWER}'\n[invoke]\noperation = 'repository-index'\n\
         [deployment]\nmodel_uri = '{}'\ninputs = '{FLOWER}'\n{LIMITS}",
        model.display()
    );
    let cases: Vec<_> = Case::all()
        .map(|case| case.id)
        .filter(|id| {
            id.starts_with("semantics-deployment-") || id.starts_with("operations-") && id.contains("deployment")
        })
        .filter(|id| *id != "semantics-deployment-delete-endpoint")
        .chain(["operations-predict", "operations-invoke", "semantics-predict", "errors-secrets", "cancel-deadline"])
        .collect();
    is_conformant(cdylib::path("mlflow-deploy-v2"), &config, &[], &cases);
}

#[test]
fn ray_is_conformant() {
    const INPUTS: &str = r#"{"inputs": [[1, 2]]}"#;
    let cluster = ray::Ray::start();
    let target = cluster.target();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("MLmodel"), "flavors:\n  python_function:\n    python_version: 3.11.7\n")
        .unwrap();
    let model = folder.path().display().to_string();
    for name in ["stream", "slow"] {
        let made = mlflow_deploy(&format!("create --target {target} --name {name} --option poll_interval:=0.05 -m"))
            .arg(&model)
            .plugin("mlflow-deploy-ray")
            .run();
        assert_eq!(made.code, 0, "{made:?}");
    }
    let config = format!(
        "target_uris = ['{target}']\n[options]\npoll_interval = 0.05\ntoken = 'conformance-secret'\n\
         [predict]\ndeployment_name = 'stream'\ninputs = '{INPUTS}'\n\
         [slow]\ndeployment_name = 'slow'\ninputs = '{INPUTS}'\n\
         [deployment]\nmodel_uri = '{model}'\ninputs = '{INPUTS}'\n{LIMITS}"
    );
    let cases = [
        "operations-predict",
        "operations-predict-stream",
        "operations-create-deployment",
        "operations-update-deployment",
        "operations-delete-deployment",
        "operations-get-deployment",
        "operations-list-deployments",
        "semantics-predict",
        "errors-secrets",
        "stream-resumes",
        "cancel-one-reply",
        "cancel-deadline",
        "memory-calls",
    ];
    // The operation only says what to do instead.
    is_conformant(cdylib::path("mlflow-deploy-ray"), &config, &["operations-run-local"], &cases);
}

#[test]
fn sagemaker_is_conformant() {
    const INPUTS: &str = r#"{"inputs": [[1, 2]]}"#;
    let aws = Aws::start();
    aws.edit(|account| {
        for name in ["stream", "slow"] {
            let endpoint = serde_json::json!({"EndpointName": name, "EndpointConfigName": name});
            account.endpoints.insert(name.to_owned(), endpoint);
            account.configs.insert(name.to_owned(), serde_json::json!({"ProductionVariants": []}));
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let mlmodel = "mlflow_version: 3.17.2\nflavors:\n  python_function:\n    python_version: 3.11.7\n";
    std::fs::write(folder.path().join("MLmodel"), mlmodel).unwrap();
    let model = folder.path().display().to_string();
    let config = format!(
        "target_uris = ['sagemaker:/eu-west-1']\n[options]\npoll_interval = 0.05\n\
         [environment]\nAWS_ENDPOINT_URL = '{}'\nAWS_ACCESS_KEY_ID = 'AKIDTEST'\nAWS_SECRET_ACCESS_KEY = 'conformance-secret'\n\
         [predict]\ndeployment_name = 'stream'\ninputs = '{INPUTS}'\n\
         [slow]\ndeployment_name = 'slow'\ninputs = '{INPUTS}'\n\
         [endpoint]\nexisting = 'stream'\n\
         [deployment]\nmodel_uri = '{model}'\ninputs = '{INPUTS}'\n{LIMITS}",
        aws.url()
    );
    let cases = [
        "operations-predict",
        "operations-predict-stream",
        "operations-create-deployment",
        "operations-update-deployment",
        "operations-delete-deployment",
        "operations-get-deployment",
        "operations-list-deployments",
        "operations-get-endpoint",
        "operations-list-endpoints",
        "semantics-predict",
        "errors-secrets",
        "stream-resumes",
        "cancel-one-reply",
        "cancel-deadline",
        "memory-calls",
    ];
    // Weights of variants, autoscaling and docker need more than the harness sets up.
    let unproven = ["operations-update-endpoint", "operations-invoke", "operations-run-local"];
    is_conformant(cdylib::path("mlflow-deploy-sagemaker"), &config, &unproven, &cases);
}
