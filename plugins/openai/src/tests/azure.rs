//! Tests the client with Azure OpenAI's routes and credentials.

use super::*;

const PROMPT: &str = r#"{"prompt":"p"}"#;

fn azure<'a>(server: &str, more: &[(&'a str, &'a str)]) -> Vec<(String, String)> {
    let common = [("OPENAI_API_TYPE", "azure"), ("OPENAI_API_KEY", "azkey-1"), ("OPENAI_API_VERSION", "2024-10-21")];
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let mut variables: Vec<_> = more.iter().copied().map(owned).collect();
    variables.extend(common.map(owned));
    variables.push(("OPENAI_API_BASE".to_owned(), server.to_owned()));
    variables
}

fn client(options: &Value, variables: &[(String, String)]) -> Result<OpenAi> {
    let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    openai("openai", options, &variables)
}

/// Requests a prediction. Returns the path of the request that the server received, its `api-key` header and its
/// `Authorization` header.
async fn predicted(
    server: &Server,
    options: Value,
    more: &[(&str, &str)],
    inputs: &str,
) -> (String, Option<String>, Option<String>) {
    client(&options, &azure(&server.url(), more)).unwrap().predict(predict("gpt 4", inputs)).await.unwrap();
    let request = server.requests().pop().unwrap();
    let header = |name: &str| request.header(name).map(str::to_owned);
    (request.path.clone(), header("api-key"), header("authorization"))
}

#[tokio::test]
async fn a_prediction_goes_to_the_deployment_with_the_key() {
    let server = Server::start([Answer::new(200, "{}")]);
    let key = Some("azkey-1".to_owned());
    for (more, path) in [
        ([].as_slice(), "/openai/deployments/gpt%204/completions?api-version=2024-10-21"),
        (&[("OPENAI_DEPLOYMENT_NAME", "my-dep")], "/openai/deployments/my-dep/completions?api-version=2024-10-21"),
    ] {
        assert_eq!(predicted(&server, json!({}), more, PROMPT).await, (path.to_owned(), key.clone(), None));
    }
    assert_eq!(server.requests()[0].text(), r#"{"model":"gpt 4","prompt":"p"}"#);
    let (path, ..) = predicted(&server, json!({"deployment": "own", "api_version": "v"}), &[], PROMPT).await;
    assert_eq!(path, "/openai/deployments/own/completions?api-version=v");
    let (path, ..) = predicted(&server, json!({}), &[], r#"{"input":"i","tools":[]}"#).await;
    assert_eq!(path, "/openai/responses?api-version=2024-10-21");
}

#[tokio::test]
async fn an_entra_token_is_a_bearer_token() {
    let server = Server::start([Answer::new(200, "{}")]);
    for api_type in ["azure_ad", "AzureAD"] {
        let more = [("OPENAI_API_TYPE", api_type), ("AZURE_OPENAI_AD_TOKEN", "eyJ-1")];
        let (_, key, authorization) = predicted(&server, json!({}), &more, PROMPT).await;
        assert_eq!((key, authorization), (None, Some("Bearer eyJ-1".to_owned())));
        let (_, key, authorization) = predicted(&server, json!({"api_key": "eyJ-2"}), &more, PROMPT).await;
        assert_eq!((key, authorization), (None, Some("Bearer eyJ-2".to_owned())));
        let (_, key, authorization) = predicted(&server, json!({}), &more[..1], PROMPT).await;
        assert_eq!((key, authorization), (None, Some("Bearer azkey-1".to_owned())));
    }
}

#[tokio::test]
async fn the_v1_api_has_openai_s_routes() {
    let server = Server::start([Answer::new(200, "{}")]);
    let options = json!({"base_url": format!("{}/openai/v1/", server.url())});
    assert_eq!(
        predicted(&server, options, &[], PROMPT).await,
        ("/openai/v1/completions".to_owned(), Some("azkey-1".to_owned()), None)
    );
}

#[tokio::test]
async fn an_address_of_the_portal_has_its_parts_once() {
    let server = Server::start([Answer::new(200, "{}")]);
    for (address, path) in [
        (
            "/openai/deployments/dep/embeddings?api-version=2023-05-15",
            "/openai/deployments/dep/completions?api-version=2024-10-21",
        ),
        ("/openai/deployments/dep", "/openai/deployments/dep/completions?api-version=2024-10-21"),
        ("/apim/openai/", "/apim/openai/deployments/gpt%204/completions?api-version=2024-10-21"),
    ] {
        let options = json!({"base_url": format!("{}{address}", server.url())});
        assert_eq!(predicted(&server, options, &[], PROMPT).await.0, path);
    }
    let address = format!("{}/openai/deployments/dep?api-version=2023-05-15", server.url());
    let variables = [("OPENAI_API_TYPE", "azure"), ("OPENAI_API_KEY", "k"), ("OPENAI_API_BASE", address.as_str())];
    openai("openai", &json!({}), &variables).unwrap().predict(predict("m", PROMPT)).await.unwrap();
    let last = request_lines(&server).pop().unwrap();
    assert_eq!(last, "POST /openai/deployments/dep/completions?api-version=2023-05-15");
}

#[tokio::test]
async fn a_missing_route_of_azure_is_no_missing_deployment() {
    for (body, code) in [
        (r#"{"error":{"code":"404","message":"Resource not found"}}"#, ErrorCode::NOT_IMPLEMENTED),
        (
            r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment does not exist."}}"#,
            ErrorCode::RESOURCE_DOES_NOT_EXIST,
        ),
    ] {
        let server = Server::start([Answer::new(404, body)]);
        let error =
            client(&json!({}), &azure(&server.url(), &[])).unwrap().predict(predict("m", PROMPT)).await.unwrap_err();
        assert_eq!((error.code(), error.http_status()), (&code, Some(404)), "{error}");
    }
}

#[tokio::test]
async fn listing_models_is_not_implemented() {
    let server = Server::start([Answer::new(200, "{}")]);
    let client = client(&json!({}), &azure(&server.url(), &[])).unwrap();
    let listed = client.list_endpoints(ListEndpoints::all()).await.unwrap_err();
    let shown = client.get_endpoint(GetEndpoint::new("x")).await.unwrap_err();
    for (error, message) in [
        (listed, "List endpoints is not implemented for Azure OpenAI API"),
        (shown, "Get endpoint is not implemented for Azure OpenAI API"),
    ] {
        assert_eq!((error.code(), error.message()), (&ErrorCode::NOT_IMPLEMENTED, message));
    }
    assert!(server.requests().is_empty());
}

#[test]
fn a_missing_setting_of_azure_is_an_error() {
    let key = ("AZURE_OPENAI_API_KEY", "k");
    let base = ("AZURE_OPENAI_ENDPOINT", "https://h");
    let version = ("OPENAI_API_VERSION", "v");
    for (api_type, variables, message) in [
        ("azure", vec![key, version], "`OPENAI_API_BASE` or `AZURE_OPENAI_ENDPOINT`"),
        ("azure", vec![key, base], "set `api_version` or `OPENAI_API_VERSION`"),
        ("azure", vec![base, version], "`OPENAI_API_KEY` or `AZURE_OPENAI_API_KEY`"),
        ("azure_ad", vec![base, version, key], "az account get-access-token --resource"),
        ("google", vec![key, base, version], "unknown API type `google`: expected `openai`, `azure`"),
    ] {
        let error = openai("openai", &json!({"api_type": api_type}), &variables).unwrap_err();
        assert_eq!(error.code(), &ErrorCode::INVALID_PARAMETER_VALUE);
        assert!(error.message().contains(message), "{error}");
    }
    openai("openai", &json!({"api_type": "azure"}), &[key, base, version]).unwrap();
}
