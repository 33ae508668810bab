//! The tests of MLflow's `deployments/test_deployments.py`, repeated with this project's client.

use mlflow_deploy::args::{
    CreateDeployment, CreateEndpoint, DeleteDeployment, DeleteEndpoint, Explain, GetDeployment, GetEndpoint,
    ListDeployments, ListEndpoints, Predict, UpdateDeployment, UpdateEndpoint,
};
use mlflow_deploy::blocking::{self, DeployClient};
use mlflow_deploy::{Config, Payload, Record};
use serde_json::{Value, json};

use super::{F_TARGET, host};

fn client() -> DeployClient {
    DeployClient::from(super::client())
}

fn create(flavor: Option<&str>) -> CreateDeployment {
    let (name, model_uri) = ("fake_deployment_name".to_owned(), "fake_model_uri".to_owned());
    CreateDeployment { name, model_uri, flavor: flavor.map(str::to_owned), ..CreateDeployment::default() }
}

fn raise_error() -> Config {
    Config::new(&json!({"raiseError": "True"})).unwrap()
}

#[test]
fn test_create_success() {
    for flavor in [Some("fake_flavor"), None] {
        let record = Record::try_from(&client().create_deployment(create(flavor)).unwrap()).unwrap();
        assert_eq!((record.name(), &record["flavor"]), (Some("fake_deployment_name"), &json!(flavor)));
    }
}

#[test]
fn test_delete_success() {
    let request = DeleteDeployment { name: "fake_deployment_name".to_owned(), ..DeleteDeployment::default() };
    assert_eq!(client().delete_deployment(request).unwrap(), Payload::empty());
}

#[test]
fn test_update_success() {
    let request = UpdateDeployment { flavor: Some("fake_flavor".to_owned()), ..UpdateDeployment::default() };
    let record = Record::try_from(&client().update_deployment(request).unwrap()).unwrap();
    assert_eq!(record["flavor"], "fake_flavor");
}

#[test]
fn test_list_success() {
    let list = client().list_deployments(ListDeployments::default()).unwrap();
    assert_eq!(Record::list(&list).unwrap()[0].name(), Some("fake_deployment_name"));
}

#[test]
fn test_get_success() {
    let got = client().get_deployment(GetDeployment::default()).unwrap();
    assert_eq!(Record::try_from(&got).unwrap()["key1"], "val1");
}

#[test]
fn test_endpoints() {
    let client = client();
    let endpoint = "fake_endpoint_name".to_owned();
    let created = client.create_endpoint(CreateEndpoint { name: endpoint.clone(), ..CreateEndpoint::default() });
    assert_eq!(Record::try_from(&created.unwrap()).unwrap().name(), Some("fake_endpoint_name"));
    let updated = client.update_endpoint(UpdateEndpoint { endpoint: endpoint.clone(), ..UpdateEndpoint::default() });
    assert_eq!(updated.unwrap(), Payload::empty());
    assert_eq!(client.delete_endpoint(DeleteEndpoint { endpoint: endpoint.clone() }).unwrap(), Payload::empty());
    let list = client.list_endpoints(ListEndpoints {}).unwrap();
    assert_eq!(Record::list(&list).unwrap()[0].name(), Some("fake_endpoint_name"));
    let got = client.get_endpoint(GetEndpoint { endpoint }).unwrap();
    assert_eq!(Record::try_from(&got).unwrap().name(), Some("fake_endpoint_name"));
}

#[test]
fn test_wrong_target_name() {
    let error = host().target(Some("wrong_target")).unwrap_err();
    assert!(error.to_string().starts_with("no plugin found for the target `wrong_target`"), "{error}");
}

#[test]
fn test_plugin_raising_error() {
    let error = client().create_deployment(CreateDeployment { config: raise_error(), ..create(None) }).unwrap_err();
    assert_eq!(error.message(), "Error requested");
    let request = DeleteDeployment { config: raise_error(), ..DeleteDeployment::default() };
    assert_eq!(client().delete_deployment(request).unwrap_err().message(), "Error requested");
    let request = CreateEndpoint { config: raise_error(), ..CreateEndpoint::default() };
    assert_eq!(client().create_endpoint(request).unwrap_err().message(), "Error requested");
}

#[test]
fn test_target_uri_parsing() {
    for target in [F_TARGET, "faketarget:/somesuffix", "faketarget://somesuffix", "FakeTarget"] {
        let client = blocking::wait(host().get_deploy_client(Some(target))).unwrap();
        assert_eq!(client.manifest().name, "faketarget", "{target}");
    }
}

#[test]
fn test_explain_with_target() {
    let request = Explain { deployment_name: Some("n".to_owned()), ..Explain::default() };
    assert_eq!(client().explain(request).unwrap().json::<String>().unwrap(), "1");
}

#[test]
fn test_predict() {
    let request = Predict { deployment_name: Some("n".to_owned()), ..Predict::default() };
    assert_eq!(client().predict(request).unwrap().json::<Value>().unwrap(), json!({"predictions": [1, 2, 3]}));
}
