//! Tests of the events of a fetch, which pass through the function table of a plugin.

use mlflow_deploy_plugin_api::args::CreateDeployment;
use mlflow_deploy_plugin_api::call::Level;
use mlflow_deploy_plugin_api::testing::start;
use mlflow_deploy_plugin_api::{ClientOptions, DeploymentClient, Payload, TargetUri, plugin};

use super::*;

/// A plugin that fetches a model when a deployment is created. The name of the deployment is the path of the
/// destination.
struct Fetcher(Tracking);

impl DeploymentClient for Fetcher {
    async fn connect(_target: TargetUri, options: ClientOptions) -> Result<Self> {
        tracking(options.parse()?, &[]).map(Self)
    }

    async fn create_deployment(&self, request: CreateDeployment) -> Result<Payload> {
        fetch(&request.model_uri.parse()?, &self.0, Path::new(&request.name)).await?;
        Payload::from_json(&json!({"name": request.name}))
    }
}

static PLUGIN: mlflow_deploy_plugin_api::ffi::Plugin =
    plugin! { client: Fetcher, name: "fetcher", schemes: ["fetcher"], operations: [create_deployment] };

#[tokio::test]
async fn a_fetch_reports_progress_and_keeps_the_caller_s_deadline() {
    let chunks = || Answer::chunks((0..200).map(|_| vec![0; 10_000])).header("Content-Type", "x/y");
    let server = artifacts(
        &[("m", json!([file("MLmodel", 2), file("data", 2_000_000)])), ("slow", json!([file("MLmodel", 9)]))],
        &[
            ("m/MLmodel", Answer::new(200, "ab")),
            ("m/data", chunks()),
            ("slow/MLmodel", Answer::chunks(["a", "b"]).chunk_delay(std::time::Duration::from_secs(600))),
        ],
    );
    let (plugin, events) = start(&PLUGIN).unwrap();
    let target = TargetUri::parse("fetcher").unwrap();
    let options = ClientOptions::new(&json!({"tracking_uri": server.url()})).unwrap();
    let client = plugin.open(&target, &options, None).await.unwrap();
    let place = Destination::new();
    let create = |uri: &str, name: &Path| CreateDeployment {
        name: name.display().to_string(),
        model_uri: uri.to_owned(),
        ..CreateDeployment::default()
    };
    client.call(create("mlflow-artifacts:/m", &place.path()), None).await.unwrap();
    let reported: Vec<_> = events.all().into_iter().map(|(_, _, event)| event).collect();
    let progress: Vec<_> = reported.iter().map(|event| event.progress.unwrap()).collect();
    assert!(progress.is_sorted() && progress.len() > 10 && progress.len() <= 101, "{progress:?}");
    assert_eq!((progress.first(), progress.last()), (Some(&0.0), Some(&1.0)));
    assert_eq!(reported[0].message, "fetching `mlflow-artifacts:/m`: 2 files, 2.0 MB");
    assert_eq!(reported.last().unwrap().message, "fetched `mlflow-artifacts:/m`: 2 files, 2.0 MB");

    // A local folder that a server names causes a warning.
    let here = Destination::new();
    fs::write(here.0.path().join("MLmodel"), "").unwrap();
    let body = json!({"model": {"info": {"artifact_uri": here.0.path()}}}).to_string();
    let naming = Server::answering(move |_| Answer::new(200, body.clone()));
    let options = ClientOptions::new(&json!({"tracking_uri": naming.url()})).unwrap();
    let named = plugin.open(&target, &options, None).await.unwrap();
    named.call(create("models:/m-1", &place.path()), None).await.unwrap();
    let (_, level, last) = events.all().pop().unwrap();
    let expected = format!("the server says that `models:/m-1` is in the folder `{}`", here.0.path().display());
    assert!(level == Level::Warn && last.message.starts_with(&expected), "{level:?} {last:?}");

    let other = Destination::new();
    let deadline = Some(std::time::Duration::from_millis(800));
    let error = client.call(create("mlflow-artifacts:/slow", &other.path()), deadline).await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::DEADLINE_EXCEEDED, "{error}");
    assert!(other.left().is_empty(), "{:?}", other.left());
}
