//! Tests the plugin through its function table, as a host calls it.

use mlflow_deploy_plugin_api::ErrorCode;
use mlflow_deploy_plugin_api::args::{Explain, RunLocal};
use mlflow_deploy_plugin_api::testing::start;

use super::*;

#[tokio::test]
async fn run_local_without_docker_says_what_to_do_instead() {
    let has_docker = std::env::var("PATH")
        .is_ok_and(|path| std::env::split_paths(&path).any(|folder| folder.join("docker").exists()));
    let (plugin, _) = start(&crate::PLUGIN).unwrap();
    let request = RunLocal { target_uri: "sagemaker".to_owned(), ..RunLocal::new("a", "/nowhere") };
    let error = plugin.run_local(&request).unwrap().next().await.unwrap().unwrap_err();
    if !has_docker {
        assert_eq!(error.code(), &ErrorCode::NOT_IMPLEMENTED);
        assert!(error.message().contains("`run-local -t local`"), "{error}");
    }
}

#[tokio::test]
async fn the_help_is_that_of_the_file() {
    let (plugin, _) = start(&crate::PLUGIN).unwrap();
    let help = plugin.target_help().await.unwrap();
    let help = String::from_utf8_lossy(help.bytes());
    assert!(help.starts_with("# MLflow models on Amazon SageMaker"), "{help}");
}

#[tokio::test]
async fn explain_is_not_implemented() {
    let error = client("sagemaker", &json!({}), &[]).unwrap().explain(Explain::default()).await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::NOT_IMPLEMENTED);
}
