//! Tests the records of deployments.

use super::*;

#[tokio::test]
async fn records_have_replicas_and_no_environment() {
    let cluster = ray::Ray::start();
    let client = plain(&cluster);
    let empty: Value = client.list_deployments(ListDeployments::all()).await.unwrap().json().unwrap();
    assert_eq!(empty, json!([]), "Serve does not run yet");
    let index = "--index-url=https://user:s3cret-password@packages/simple";
    let config = json!({"env": {"TOKEN": "s3cret-value"}, "pip": [index, "numpy"], "deployment": {"ray_actor_options": {"runtime_env": {"env_vars": {"B": "s3cret-value"}}}}});
    client.create_deployment(create("iris", model().path(), &config)).await.unwrap();
    cluster.edit(|all| all.put(foreign("theirs")));
    let record = client.get_deployment(GetDeployment::new("iris")).await.unwrap();
    let record_text = str::from_utf8(record.bytes()).unwrap();
    assert!(!record_text.contains("s3cret"), "{record_text}");
    let record: Value = record.json().unwrap();
    assert_eq!(record["config"]["runtime_env"]["env_vars"], json!({"TOKEN": "<redacted>"}));
    assert_eq!(record["config"]["runtime_env"]["pip"][0], "--index-url=https://user:<redacted>@packages/simple");
    let replica = json!({
        "deployment": "model", "replica_id": "iris-0", "state": "RUNNING", "node_ip": "127.0.0.1", "pid": 16547,
        "node_id": "46540c8e29bc51a5b5f796803d03a644bc400420f50c92da33f54b1a",
    });
    assert_eq!(record["replicas"], json!([replica]));
    assert_eq!((&record["flavor"], &record["managed"]), (&json!("python_function"), &json!(true)));
    let listed = client.list_deployments(ListDeployments::all()).await.unwrap();
    assert!(!str::from_utf8(listed.bytes()).unwrap().contains("secret"));
    let listed: Vec<Value> = listed.json().unwrap();
    let summary: Vec<_> = listed.iter().map(|each| (each["name"].as_str().unwrap(), &each["managed"])).collect();
    assert_eq!(summary, [("iris", &json!(true)), ("theirs", &json!(false))]);
    let error = get(&client, "nope").await.unwrap_err();
    assert_eq!(error.message(), "the cluster has no deployment `nope`: it has `iris`, `theirs`");
}
