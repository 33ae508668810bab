//! The means by which reqsign fetches credentials: requests through `mlflow-deploy-http`, files with a size limit, and programs
//! that are killed after a minute.

use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use mlflow_deploy_http::{Client, Connection, Policy, hide, request, send};
use mlflow_deploy_plugin_api::{Error, Result, Secret, blocking, file, program};
use reqsign::{CommandExecute, CommandOutput, Context, FileRead, HttpSend};
use url::Url;

use crate::{AwsEnvironment, ServiceEndpoints};

/// The maximum size of a file with a token, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// The maximum time that a program may run to print credentials.
const MAX_RUN_TIME: Duration = Duration::from_secs(60);

/// The headers of requests and answers that are secrets.
const SECRET_HEADERS: [&str; 4] =
    ["authorization", "x-amz-security-token", "x-amz-sso_bearer_token", "x-aws-ec2-metadata-token"];

/// Returns the context of reqsign's providers.
pub(crate) fn context(environment: &AwsEnvironment, http: &Arc<Client>, policy: &Policy) -> Context {
    let sender =
        RequestSender { http: Arc::clone(http), policy: policy.clone(), endpoints: ServiceEndpoints::new(environment) };
    Context::new()
        .with_env(environment.for_reqsign())
        .with_http_send(sender)
        .with_file_read(TokenFile)
        .with_command_execute(CredentialProgram { path: environment.text("PATH").unwrap_or_default().to_owned() })
}

/// Returns the client for requests to a metadata service, which has a fixed address in the network of this machine and answers
/// at once. It uses no proxy.
pub(crate) fn metadata_client() -> Arc<Client> {
    let mut connection = Connection::default();
    connection.connect_timeout = Duration::from_secs(1);
    Arc::new(Client::new(connection))
}

/// Returns the time limits of requests to a metadata service.
pub(crate) fn metadata_policy(policy: &Policy) -> Policy {
    Policy { silence: Duration::from_secs(2), max_retries: 1, follow_redirects: false, ..policy.clone() }
}

#[derive(Debug)]
struct RequestSender {
    http: Arc<Client>,
    policy: Policy,
    endpoints: ServiceEndpoints,
}

impl RequestSender {
    async fn send(&self, sent: http::Request<Bytes>) -> Result<http::Response<Bytes>> {
        let (parts, body) = sent.into_parts();
        let url = Url::parse(&parts.uri.to_string())
            .map_err(|error| Error::internal(format!("invalid URL of a request for credentials: {error}")))?;
        let mut headers: HeaderMap = parts.headers;
        for name in SECRET_HEADERS {
            if let Some(value) = headers.get_mut(name) {
                value.set_sensitive(true);
            }
        }
        let fields = url::form_urlencoded::parse(&body).filter(|(name, _)| name == "WebIdentityToken");
        let tokens: Vec<_> = fields.map(|(_, token)| Secret::new(token.into_owned())).collect();
        let mut request = request(parts.method, &self.endpoints.redirect(&url)?, headers, body)?;
        hide(&mut request, tokens);
        let answer = |status: StatusCode, body: Vec<u8>| {
            let mut answer = http::Response::new(Bytes::from(body));
            *answer.status_mut() = status;
            answer
        };
        match send(&self.http, &request, &self.policy).await {
            Ok(response) => Ok(answer(response.status, response.payload.bytes().to_vec())),
            Err(error) => match error.http() {
                Some(http) => {
                    let status = StatusCode::from_u16(http.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                    // In XML, the text in the place of a secret would be an element that is never closed.
                    let is_xml = http.body.trim_start().starts_with('<');
                    let body = if is_xml { http.body.replace("<redacted>", "(redacted)") } else { http.body.clone() };
                    Ok(answer(status, body.into_bytes()))
                }
                None => Err(error),
            },
        }
    }
}

impl HttpSend for RequestSender {
    async fn http_send(&self, sent: http::Request<Bytes>) -> reqsign::Result<http::Response<Bytes>> {
        self.send(sent).await.map_err(carried)
    }
}

/// Returns an error of this project as a cause of reqsign's.
fn carried(error: Error) -> reqsign::Error {
    reqsign::Error::unexpected(error.message()).with_source(error)
}

#[derive(Debug)]
struct TokenFile;

impl FileRead for TokenFile {
    async fn file_read(&self, path: &str) -> reqsign::Result<Vec<u8>> {
        let path = PathBuf::from(path);
        let read = move || {
            file::read(&path, MAX_FILE)
                .map_err(|error| Error::invalid_parameter(format!("failed to read `{}`: {error}", path.display())))
        };
        blocking(read).await.map_err(carried)
    }
}

#[derive(Debug)]
struct CredentialProgram {
    /// The value of `PATH`.
    path: String,
}

impl CredentialProgram {
    async fn run(&self, words: &[&str]) -> Result<CommandOutput> {
        // reqsign splits a command at blanks, even in quotes.
        let command = words.join(" ");
        let mut words = shlex::split(&command)
            .ok_or_else(|| Error::invalid_parameter("`credential_process` of a profile has an open quote"))?
            .into_iter();
        let name = words.next().unwrap_or_default();
        let program =
            if name.contains('/') { Some(PathBuf::from(&name)) } else { program::find_in_path(&name, &self.path, 1) };
        let program = program.ok_or_else(|| {
            Error::invalid_parameter(format!("the program `{name}` of `credential_process` is not in `PATH`"))
        })?;
        let arguments: Vec<_> = words.collect();
        // If the call is cancelled, the sender is dropped, and the program is killed.
        let (_caller, cancelled) = mpsc::channel();
        let ran = blocking(move || program::run(&program, &arguments, MAX_RUN_TIME, &cancelled)).await?;
        let stderr = ran.redacted_line(&[]).into_bytes();
        Ok(CommandOutput { status: ran.status.code().unwrap_or(-1), stdout: ran.stdout, stderr })
    }
}

impl CommandExecute for CredentialProgram {
    async fn command_execute<'a>(&'a self, program: &'a str, args: &'a [&'a str]) -> reqsign::Result<CommandOutput> {
        self.run(&[&[program], args].concat()).await.map_err(carried)
    }
}
