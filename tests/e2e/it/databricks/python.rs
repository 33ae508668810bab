//! Makes the same calls with MLflow's client and with this project's client, on fake workspaces of Databricks. A
//! workspace that works for MLflow's client is a valid fake. The plugin is valid if both clients send equal requests
//! and get equal results.

use mlflow_deploy::args::{
    CreateEndpoint, DeleteEndpoint, GetEndpoint, Invoke, ListEndpoints, Predict, PredictStream, UpdateEndpoint,
};
use mlflow_deploy::{ClientOptions, Config, DeployClient, Host, Payload};
use mlflow_deploy_test_support::databricks::{CLIENT_ID, CLIENT_SECRET, Databricks, TOKEN, WORKSPACE_ID};
use mlflow_deploy_test_support::server::Request;
use mlflow_deploy_test_support::{cdylib, peers};
use serde_json::{Value, json};

/// The names of the headers that the tests compare. The other headers identify the client.
const SIGNIFICANT: [&str; 4] = ["authorization", "content-type", "x-databricks-org-id", "x-databricks-traffic-id"];

/// The beginnings of the paths of OIDC discovery and token requests. The tests ignore these requests, because MLflow's
/// client repeats them for each call.
const IGNORED_PATHS: [&str; 2] = ["/.well-known/", "/oidc/"];

/// Returns the calls of an endpoint's life cycle in order. The first call creates an endpoint, because MLflow's client
/// cannot list an empty workspace.
fn life() -> Vec<Value> {
    let served = json!({"served_entities": [{"name": "m", "entity_name": "main.a.m", "entity_version": "1"}]});
    let two = json!({"served_entities": [{"name": "m2", "entity_name": "main.a.m", "entity_version": "2"}]});
    let chat = json!({"messages": [{"role": "user", "content": "one two é"}], "temperature": 0.5});
    let call = |call: &str, args: Value| json!({"call": call, "args": args});
    let of = |name: &str| call(name, json!({"endpoint": "chat"}));
    let with = |name: &str, config: &Value| call(name, json!({"endpoint": "chat", "config": config}));
    let predict = |name: &str, inputs: &Value| call(name, json!({"endpoint": "chat", "inputs": inputs}));
    let whole = json!({"name": "chat", "config": served, "tags": [{"key": "a", "value": "b"}]});
    vec![
        call("create_endpoint", json!({"config": whole})),
        call("create_endpoint", json!({"config": whole})),
        call("list_endpoints", json!({})),
        predict("predict", &chat),
        with("update_endpoint_config", &two),
        of("get_endpoint"),
        of("get_endpoint"),
        of("get_endpoint"),
        predict("predict", &chat),
        predict("predict", &json!({"dataframe_records": [{"x": 1}, {"x": 2}]})),
        predict("predict", &json!({"unexpected": true})),
        predict("predict_stream", &chat),
        with("update_endpoint_tags", &json!({"add_tags": [{"key": "team", "value": "é"}], "delete_tags": ["a"]})),
        with("update_endpoint_rate_limits", &json!({"rate_limits": [{"calls": 10, "key": "user"}]})),
        with("update_endpoint_ai_gateway", &json!({"usage_tracking_config": {"enabled": true}})),
        with("update_endpoint", &two),
        call("create_endpoint", json!({"name": "old", "config": served})),
        call("get_endpoint", json!({"endpoint": "old"})),
        of("delete_endpoint"),
        of("get_endpoint"),
        call("list_endpoints", json!({})),
        call("delete_endpoint", json!({"endpoint": "old"})),
    ]
}

#[tokio::test]
async fn life_cycle_makes_the_same_requests_as_mlflow_s_client() {
    // MLflow's client requests the workspace id from the host. This project's client reads it from the options.
    let token = json!({"token": TOKEN, "workspace_id": WORKSPACE_ID});
    let principal = json!({"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET});
    for credentials in [token, principal] {
        let (theirs, ours) = (Databricks::start(), Databricks::start());
        let calls = life();
        let variables: Value = credentials.as_object().unwrap().iter().map(variable).collect();
        let expected = python(&calls, &theirs.url(), variables);
        let mut options = credentials;
        options["host"] = ours.url().into();
        let host = Host::builder().search_path([""; 0]).plugin(cdylib::path("mlflow-deploy-databricks")).build();
        let options = ClientOptions::new(&options).unwrap();
        let client = host.get_deploy_client_with(Some("databricks"), &options).await.unwrap();
        for (call, expected) in calls.iter().zip(&expected) {
            let got = ask(&client, call).await;
            assert_eq!(got.is_err(), expected.get("error").is_some(), "{call}: {got:?}, {expected}");
            match got {
                Ok(got) => assert_eq!(&got, expected.get("chunks").unwrap_or(&expected["result"]), "{call}"),
                Err(words) => {
                    let theirs = expected["error"]["message"].as_str().unwrap();
                    assert!(theirs.contains(&words), "{call}: `{words}` is not in `{theirs}`");
                }
            }
        }
        let (theirs, ours) = (essences(&theirs.requests()), essences(&ours.requests()));
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs);
        }
        println!("requests that are equal to those of MLflow's client: {}", ours.len());
    }
}

/// Returns the environment variable that sets an option, as its name and its value.
fn variable((name, value): (&String, &Value)) -> (String, Value) {
    (format!("DATABRICKS_{}", name.to_uppercase()), value.clone())
}

/// Makes the calls with MLflow's client. Returns the outcome of each call.
fn python(calls: &[Value], url: &str, mut variables: Value) -> Vec<Value> {
    variables["DATABRICKS_HOST"] = url.into();
    let calls = serde_json::to_string(calls).unwrap();
    serde_json::from_slice(&peers::run_script("calls.py", &["databricks", &calls, &variables.to_string()])).unwrap()
}

/// Makes one call with this project's client. Returns the result of the call, or the server's error message if the call
/// fails.
async fn ask(client: &DeployClient, call: &Value) -> Result<Value, String> {
    let args = &call["args"];
    let endpoint = args["endpoint"].as_str().map(str::to_owned);
    let config = args.get("config").map_or_else(Config::default, |config| Config::new(config).unwrap());
    let inputs = Payload::from_json(&args["inputs"]).unwrap();
    let named = || endpoint.clone().unwrap();
    let answer = match call["call"].as_str().unwrap() {
        "create_endpoint" => {
            let name = args["name"].as_str().unwrap_or_default().to_owned();
            client.create_endpoint(CreateEndpoint { name, config }).await
        }
        "update_endpoint" => client.update_endpoint(UpdateEndpoint { endpoint: named(), config }).await,
        "delete_endpoint" => client.delete_endpoint(DeleteEndpoint { endpoint: named() }).await,
        "get_endpoint" => client.get_endpoint(GetEndpoint { endpoint: named() }).await,
        "list_endpoints" => client.list_endpoints(ListEndpoints {}).await,
        "predict" => client.predict(Predict { endpoint, inputs, ..Predict::default() }).await,
        "predict_stream" => {
            let request = PredictStream { endpoint, inputs, ..PredictStream::default() };
            let mut stream = client.predict_stream(&request).unwrap();
            let mut chunks = Vec::new();
            while let Some(chunk) = stream.next().await {
                chunks.push(chunk.unwrap().json::<Value>().unwrap());
            }
            return Ok(chunks.into());
        }
        operation => {
            client.invoke(Invoke { operation: operation.to_owned(), endpoint, config, ..Invoke::default() }).await
        }
    };
    match answer {
        Ok(payload) => Ok(payload.json().unwrap()),
        Err(error) => {
            let body: Value = serde_json::from_str(&error.http().unwrap().body).unwrap();
            Err(body["message"].as_str().unwrap().to_owned())
        }
    }
}

/// Returns the parts of each request that the tests compare.
fn essences(requests: &[Request]) -> Vec<Value> {
    let compared = requests.iter().filter(|request| !IGNORED_PATHS.iter().any(|path| request.path.starts_with(path)));
    let essence = |request: &Request| {
        let headers: Value = SIGNIFICANT.iter().map(|name| ((*name).to_owned(), header(request, name))).collect();
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        json!({"method": request.method, "path": request.path, "headers": headers, "body": body})
    };
    compared.map(essence).collect()
}

/// Returns the value of a header. Removes the number at the end of an OAuth token, because the number differs between
/// the clients.
fn header(request: &Request, name: &str) -> Value {
    let value = request.header(name).map(|value| value.trim_end_matches(|last: char| last.is_ascii_digit()));
    match value {
        Some(value) if name == "authorization" => value.into(),
        _ => request.header(name).into(),
    }
}
