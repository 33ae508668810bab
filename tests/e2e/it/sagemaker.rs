//! Tests of the command with the plugin `sagemaker` and a fake of AWS.

use std::fs;
use std::path::Path;

use mlflow_deploy_test_support::aws::Aws;
use mlflow_deploy_test_support::server::{Answer, Server};
use serde_json::{Value, json};

use crate::command::{Run, mlflow_deploy};

const LATER: &str = "2999-01-01T00:00:00Z";

fn command(aws: &Aws, arguments: &str) -> Run {
    let run =
        mlflow_deploy(arguments).plugin("mlflow-deploy-sagemaker").arg("-t").arg("sagemaker:/eu-west-1").arg("--json");
    let run = run.arg("--option").arg("poll_interval=0.05").env("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0");
    let run = run.env("AWS_ACCESS_KEY_ID", "AKIDTEST").env("AWS_SECRET_ACCESS_KEY", "s3cret-key-0123456789");
    run.env("AWS_ENDPOINT_URL", aws.url()).env("AWS_EC2_METADATA_DISABLED", "true")
}

/// Writes a model to a folder.
fn save_model(folder: &Path) {
    let text = "mlflow_version: 3.17.2\nflavors:\n  python_function:\n    loader_module: mlflow.sklearn\n";
    fs::write(folder.join("MLmodel"), text).unwrap();
}

#[test]
fn command_deploys_predicts_and_deletes_in_process_and_isolated() {
    let folder = tempfile::tempdir().unwrap();
    save_model(folder.path());
    for mode in ["", "--isolate"] {
        let aws = Aws::start();
        let run = |arguments: &str| command(&aws, &format!("{arguments} {mode}"));
        let model = folder.path().display().to_string();
        let config = r#"-C instance_count=2 -C archive=false -C tags={"team":"one"}"#;
        let created = run(&format!("create --name iris {config}")).arg("-m").arg(&model).run();
        assert_eq!((created.code, &created.json()["EndpointStatus"]), (0, &json!("InService")), "{created:?}");
        assert_eq!(aws.last("CreateEndpointConfig")["ProductionVariants"][0]["InitialInstanceCount"], 2);
        assert_eq!(aws.last("CreateEndpoint")["Tags"][1], json!({"Key": "team", "Value": "one"}));
        let answer = run("predict --name iris -I -").stdin(r#"{"inputs": [1]}"#).run();
        assert_eq!(answer.json(), json!({"predictions": [15]}), "{answer:?}");
        let stream = run("predict --stream --name iris -I -").stdin(r#"{"inputs": [1]}"#).run();
        assert_eq!(stream.stdout.lines().count(), 2, "{stream:?}");
        assert_eq!(run("list").run().json()[0]["name"], "iris");
        assert_eq!(run("update --name iris").arg("-m").arg(&model).run().code, 0);
        assert_eq!((run("delete --name iris").run().code, aws.counts()), (0, [0; 4]));
        assert!(!format!("{created:?}").contains("s3cret"), "{created:?}");
    }
}

#[test]
fn missing_endpoint_has_exit_code_5_and_a_wrong_key_names_the_nearest() {
    let aws = Aws::start();
    for arguments in [
        "get --name nope",
        "predict --name nope -I -",
        "update --name nope -m /nowhere",
        "get-endpoint --endpoint nope",
    ] {
        let ran = command(&aws, arguments).stdin(r#"{"inputs": [1]}"#).run();
        assert_eq!(ran.code, 5, "{ran:?}");
    }
    let ran = command(&aws, "create --name iris -m /nowhere -C instance_typ=ml.m5.large").run();
    assert!(ran.code != 0 && ran.stderr.contains("instance_type"), "{ran:?}");
    assert!(!aws.operations().iter().any(|operation| operation.starts_with("Create")));
}

#[test]
fn failed_deployment_leaves_nothing_and_shows_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    save_model(folder.path());
    let aws = Aws::start();
    aws.edit(|account| (account.states, account.failure) = (["Creating", "Creating"].into(), Some("Failed")));
    let failed = command(&aws, "create --name iris").arg("-m").arg(folder.path().display().to_string()).run();
    let last: Value = serde_json::from_str(failed.stderr.lines().last().unwrap()).unwrap();
    assert_eq!((failed.code, &last["error"]["code"]), (1, &json!("DEPLOYMENT_FAILED")), "{failed:?}");
    assert!(last["error"]["message"].as_str().unwrap().contains("ping health check"), "{failed:?}");
    assert_eq!(aws.counts(), [0; 4]);
}

/// Runs `list` with the credentials of a home folder against a server that knows STS and single sign-on. Returns the id of the
/// key that signed the request to SageMaker.
fn key_of_home(files: &[(&str, &str)], variables: &[(&str, &str)]) -> String {
    let server = Server::answering(|request| {
        let text = request.text();
        let action =
            text.strip_prefix("Action=").and_then(|rest| rest.split('&').next()).unwrap_or_default().to_owned();
        if !action.is_empty() {
            let credentials = format!(
                "<Credentials><AccessKeyId>ASIA{action}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t\
                 </SessionToken><Expiration>{LATER}</Expiration></Credentials>"
            );
            return Answer::new(
                200,
                format!("<{action}Response><{action}Result>{credentials}</{action}Result></{action}Response>"),
            );
        }
        if request.path.starts_with("/federation/credentials") {
            return Answer::new(
                200,
                r#"{"roleCredentials": {"accessKeyId": "ASIASSO", "secretAccessKey": "s", "sessionToken": "t", "expiration": 32472144000000}}"#,
            );
        }
        Answer::new(200, r#"{"Endpoints": []}"#)
    });
    let home = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = home.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.replace("HOME", &home.path().display().to_string())).unwrap();
    }
    let run = mlflow_deploy("list -t sagemaker")
        .plugin("mlflow-deploy-sagemaker")
        .env("HOME", home.path().display().to_string());
    let run = run.env("AWS_ENDPOINT_URL", server.url()).env("AWS_EC2_METADATA_DISABLED", "true");
    let ran = variables.iter().fold(run, |run, (name, value)| run.env(name, value)).run();
    assert_eq!(ran.code, 0, "{ran:?}");
    let requests = server.requests();
    let authorization = requests.last().unwrap().header("authorization").unwrap().to_owned();
    authorization.split(['=', '/']).nth(1).unwrap().to_owned()
}

#[test]
fn credentials_come_from_profiles_single_sign_on_web_identities_and_roles() {
    let keys = "[base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = s\n";
    let role = "[profile role]\nrole_arn = arn:aws:iam::1:role/a\nsource_profile = base\n";
    assert_eq!(key_of_home(&[(".aws/credentials", keys)], &[("AWS_PROFILE", "base")]), "AKIDBASE");
    let files = [(".aws/credentials", keys), (".aws/config", role)];
    assert_eq!(key_of_home(&files, &[("AWS_PROFILE", "role")]), "ASIAAssumeRole");
    let sso = "[default]\nsso_session = corp\nsso_account_id = 1\nsso_role_name = r\n[sso-session corp]\nsso_start_url = u\nsso_region = us-east-1\n";
    let token = r#"{"accessToken": "t", "expiresAt": "2999-01-01T00:00:00Z"}"#;
    // The name of the file is the SHA-1 of `corp`.
    let files = [(".aws/config", sso), (".aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json", token)];
    assert_eq!(key_of_home(&files, &[]), "ASIASSO");
    let program = "[default]\ncredential_process = /bin/cat HOME/key.json\n";
    let key = r#"{"Version": 1, "AccessKeyId": "ASIAPROGRAM", "SecretAccessKey": "s"}"#;
    assert_eq!(key_of_home(&[(".aws/config", program), ("key.json", key)], &[]), "ASIAPROGRAM");
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("token");
    fs::write(&file, "web-token\n").unwrap();
    let variables =
        [("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap()), ("AWS_ROLE_ARN", "arn:aws:iam::1:role/w")];
    assert_eq!(key_of_home(&[], &variables), "ASIAAssumeRoleWithWebIdentity");
}
