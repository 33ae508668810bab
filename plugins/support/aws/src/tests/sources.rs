//! Each source of credentials, against scripted servers of STS and of single sign-on, and with real files and programs.

use mlflow_deploy_plugin_api::ErrorCode;
use mlflow_deploy_test_support::server::{Answer, Server};
use reqsign::hash::hex_sha1;

use super::{Home, assert_hidden, parts};

const ARN: &str = "arn:aws:iam::123456789012:role/one";
const BASE_SECRET: &str = "base-secret-0123456789";

/// Returns the answer of STS with a temporary key that ends at `ends`.
fn sts(action: &str, id: &str, ends: &str) -> Answer {
    let xml = format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><Credentials><AccessKeyId>{id}\
         </AccessKeyId><SecretAccessKey>secret-of-{id}</SecretAccessKey><SessionToken>token-of-{id}</SessionToken><Expiration>\
         {ends}</Expiration></Credentials></{action}Result></{action}Response>"
    );
    Answer::new(200, xml).header("Content-Type", "text/xml")
}

const LATER: &str = "2999-01-01T00:00:00Z";

fn with_key(server: &Server) -> Home {
    Home::new()
        .with("AWS_ACCESS_KEY_ID", "AKIDBASE")
        .with("AWS_SECRET_ACCESS_KEY", BASE_SECRET)
        .with("AWS_ENDPOINT_URL_STS", &server.url())
}

#[tokio::test]
async fn a_role_is_assumed_once_for_many_calls() {
    let server = Server::start([sts("AssumeRole", "ASIAROLE", LATER)]);
    let home = with_key(&server);
    let provider = home.provider().with_role(crate::Role::new(ARN, "session"));
    for _ in 0..3 {
        let key = provider.access_key().await.unwrap();
        assert_eq!(parts(&key), ["ASIAROLE", "secret-of-ASIAROLE", "token-of-ASIAROLE"]);
    }
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(
        requests[0].text(),
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fone&RoleSessionName=session"
    );
    let authorization = requests[0].header("authorization").unwrap();
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDBASE/"), "{authorization}");
    assert!(
        authorization.contains("/eu-west-1/sts/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;")
    );
}

#[tokio::test]
async fn a_key_that_ends_within_two_minutes_is_fetched_again() {
    let server =
        Server::start([sts("AssumeRole", "ASIAOLD", "2020-01-01T00:00:00Z"), sts("AssumeRole", "ASIANEW", LATER)]);
    let home = with_key(&server);
    let provider = home.provider().with_role(crate::Role::new(ARN, "session"));
    assert_eq!(provider.access_key().await.unwrap().id, "ASIAOLD");
    assert_eq!(provider.access_key().await.unwrap().id, "ASIANEW");
    assert_eq!(provider.access_key().await.unwrap().id, "ASIANEW");
}

#[tokio::test]
async fn a_denied_role_has_the_reason_and_no_secret() {
    let echo = |request: &mlflow_deploy_test_support::server::Request| {
        let sent: String = request.headers.iter().map(|(name, value)| format!("{name}: {value} ")).collect();
        let xml = format!(
            "<ErrorResponse><Error><Code>AccessDenied</Code><Message>{BASE_SECRET} may not &amp; {sent}</Message></Error></ErrorResponse>"
        );
        Answer::new(403, xml).header("Content-Type", "text/xml")
    };
    let server = Server::answering(echo);
    let error = with_key(&server).role_key(ARN).await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::PERMISSION_DENIED);
    let start = format!("failed to assume the role `{ARN}`: AccessDenied: <redacted> may not & ");
    assert!(error.message().starts_with(&start), "{error}");
    let signature = server.requests()[0].header("authorization").unwrap().rsplit('=').next().unwrap().to_owned();
    assert_hidden(&error, &[BASE_SECRET, &signature]);
}

#[tokio::test]
async fn the_role_of_a_profile_is_assumed_with_the_keys_of_another() {
    let server = Server::start([sts("AssumeRole", "ASIAFIRST", LATER), sts("AssumeRole", "ASIASECOND", LATER)]);
    let home = Home::new()
        .file(
            ".aws/config",
            "[profile top]\nrole_arn = arn:aws:iam::1:role/top\nsource_profile = middle\nexternal_id = x1\n\
             duration_seconds = 900\n[profile middle]\nrole_arn = arn:aws:iam::1:role/middle\nsource_profile = base\n",
        )
        .file(".aws/credentials", &format!("[base]\naws_access_key_id=AKIDBASE\naws_secret_access_key={BASE_SECRET}\n"))
        .with("AWS_PROFILE", "top")
        .with("AWS_ENDPOINT_URL", &server.url());
    assert_eq!(home.key().await.unwrap().id, "ASIASECOND");
    let requests = server.requests();
    assert!(requests[0].header("authorization").unwrap().contains("=AKIDBASE/"));
    assert!(requests[0].text().contains("role%2Fmiddle&RoleSessionName=mlflow-deploy"), "{}", requests[0].text());
    assert!(requests[1].header("authorization").unwrap().contains("=ASIAFIRST/"));
    assert_eq!(requests[1].header("x-amz-security-token"), Some("token-of-ASIAFIRST"));
    assert!(
        requests[1].text().contains("role%2Ftop&")
            && requests[1].text().ends_with("&ExternalId=x1&DurationSeconds=900")
    );
}

#[tokio::test]
async fn a_web_identity_is_exchanged_for_a_key() {
    let server = Server::start([sts("AssumeRoleWithWebIdentity", "ASIAWEB", LATER)]);
    let home = Home::new()
        .file("token", "web-token-0123456789\n")
        .with("AWS_WEB_IDENTITY_TOKEN_FILE", "~/token")
        .with("AWS_ROLE_ARN", ARN)
        .with("AWS_ENDPOINT_URL_STS", &server.url());
    assert_eq!(parts(&home.key().await.unwrap()), ["ASIAWEB", "secret-of-ASIAWEB", "token-of-ASIAWEB"]);
    let requests = server.requests();
    assert!(requests[0].text().contains("WebIdentityToken=web-token-0123456789&"), "{}", requests[0].text());
    assert_eq!(requests[0].header("authorization"), None);

    let xml = "<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredTokenException</Code><Message>not web-token-0123456789</Message>\
               </Error><RequestId>r1</RequestId></ErrorResponse>";
    let server = Server::start([Answer::new(400, xml).header("Content-Type", "text/xml")]);
    let error = home.with("AWS_ENDPOINT_URL_STS", &server.url()).key().await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::UNAUTHENTICATED, "{error}");
    assert!(error.message().contains("with a web identity: ExpiredTokenException: not "), "{error}");
    assert_hidden(&error, &["web-token-0123456789"]);
}

#[tokio::test]
async fn a_web_identity_without_its_file_names_the_file() {
    let home = Home::new().with("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere/token").with("AWS_ROLE_ARN", ARN);
    let error = home.key().await.unwrap_err();
    assert!(error.message().contains("failed to read `/nowhere/token`"), "{error}");
    assert_eq!(error.code(), &ErrorCode::INVALID_PARAMETER_VALUE);
}

fn single_sign_on(server: &Server, config: &str, token_name: &str, ends: &str) -> Home {
    let token = format!("{{\"accessToken\": \"sso-token-0123456789\", \"expiresAt\": \"{ends}\"}}");
    Home::new()
        .file(".aws/config", config)
        .file(&format!(".aws/sso/cache/{}.json", hex_sha1(token_name.as_bytes())), &token)
        .with("AWS_ENDPOINT_URL_SSO", &server.url())
}

const SESSION: &str = "[default]\nsso_session = corp\nsso_account_id = 123\nsso_role_name = Reader\n[sso-session corp]\n\
                       sso_start_url = https://corp.awsapps.com/start\nsso_region = eu-west-1\n";

#[tokio::test]
async fn a_token_of_single_sign_on_is_exchanged_for_a_key() {
    let start = "https://corp.awsapps.com/start";
    let legacy = format!(
        "[default]\nsso_start_url = {start}\nsso_region = eu-west-1\nsso_account_id = 123\nsso_role_name = Reader\n"
    );
    for (config, token_name) in [(SESSION, "corp"), (legacy.as_str(), start)] {
        let answer = r#"{"roleCredentials": {"accessKeyId": "ASIASSO", "secretAccessKey": "s", "sessionToken": "t", "expiration": 32472144000000}}"#;
        let server = Server::start([Answer::new(200, answer)]);
        let key = single_sign_on(&server, config, token_name, LATER).key().await.unwrap();
        assert_eq!(parts(&key), ["ASIASSO", "s", "t"]);
        let request = &server.requests()[0];
        assert_eq!(request.path, "/federation/credentials?role_name=Reader&account_id=123");
        assert_eq!(request.header("x-amz-sso_bearer_token"), Some("sso-token-0123456789"));
    }
}

#[tokio::test]
async fn an_old_token_of_single_sign_on_says_how_to_get_a_new_one() {
    let server = Server::start([Answer::status(500)]);
    let error = single_sign_on(&server, SESSION, "corp", "2020-01-01T00:00:00Z").key().await.unwrap_err();
    assert_eq!(error.code(), &ErrorCode::UNAUTHENTICATED);
    assert!(error.message().ends_with("run `aws sso login --profile default`"), "{error}");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_program_prints_a_key() {
    let key = r#"{"Version": 1, "AccessKeyId": "ASIAPROGRAM", "SecretAccessKey": "s", "SessionToken": "t"}"#;
    let home = |command: &str| {
        let config = format!("[default]\ncredential_process = {command}\n");
        Home::new().file(".aws/config", &config).file("a key.json", key)
    };
    let with_blank = home("cat \"$HOME\"");
    let path = with_blank.folder.path().join("a key.json");
    let quoted =
        with_blank.file(".aws/config", &format!("[default]\ncredential_process = cat \"{}\"\n", path.display()));
    assert_eq!(parts(&quoted.key().await.unwrap()), ["ASIAPROGRAM", "s", "t"]);
    for (command, message) in [
        ("false", "`credential_process` of the profile `default`: credential process failed with status 1"),
        ("no-such-program-1", "the program `no-such-program-1` of `credential_process` is not in `PATH`"),
        ("cat \"open", "`credential_process` of a profile has an open quote"),
        ("echo no", "failed to parse credential process output"),
    ] {
        let error = home(command).key().await.unwrap_err();
        assert!(error.message().contains(message), "{error}");
    }
}
