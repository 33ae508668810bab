//! Tests the plugin through its function table, as a host calls it.

use mlflow_deploy_plugin_api::args::RunLocal;
use mlflow_deploy_plugin_api::testing::start;

use super::*;

#[tokio::test]
async fn a_change_reports_its_progress() {
    let cluster = ray::Ray::start();
    let (plugin, events) = start(&crate::PLUGIN).unwrap();
    let options = ClientOptions::new(&json!({"poll_interval": 0.05})).unwrap();
    let client = plugin.open(&TargetUri::parse(&cluster.target()).unwrap(), &options, None).await.unwrap();
    client.call(create("iris", model().path(), &json!({"num_replicas": 2})), None).await.unwrap();
    let progress = events.all().into_iter().filter_map(|(_, _, event)| Some((event.progress?, event.message)));
    let progress: Vec<_> = progress.collect();
    assert!(progress.contains(&(0.5, "`iris`: DEPLOYING, 1 of 2 replicas up".to_owned())), "{progress:?}");
    assert_eq!(progress.last().unwrap(), &(1.0, "`iris` is deployed".to_owned()));
}

#[tokio::test]
async fn the_environment_is_in_no_error() {
    let cluster = ray::Ray::start();
    let (plugin, events) = start(&crate::PLUGIN).unwrap();
    let options = ClientOptions::new(&json!({"poll_interval": 0.05})).unwrap();
    let client = plugin.open(&TargetUri::parse(&cluster.target()).unwrap(), &options, None).await.unwrap();
    // The traceback of the fake contains this text.
    let config = json!({"env": {"TOKEN": "MlflowException: No such artifact"}});
    let error = client.call(create("bad-model", model().path(), &config), None).await.unwrap_err();
    let shown = format!("{error:?} {:?}", events.all());
    assert!(shown.contains("<redacted>") && !shown.contains("No such artifact"), "{shown}");
}

#[tokio::test]
async fn run_local_says_what_to_do_instead() {
    let (plugin, _) = start(&crate::PLUGIN).unwrap();
    let request = RunLocal { target_uri: "ray".to_owned(), ..RunLocal::new("a", "/m") };
    let error = plugin.run_local(&request).unwrap().next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), &ErrorCode::NOT_IMPLEMENTED);
    assert!(error.message().contains("`run-local -t local`"), "{error}");
}
