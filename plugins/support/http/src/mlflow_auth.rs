//! Authentication at MLflow's own servers: the tracking server, the gateway and the artifact store.
//!
//! The environment variables `MLFLOW_TRACKING_…` apply to all of these servers. The options of a client override the
//! variables.

use std::io;
use std::path::{Path, PathBuf};

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use mlflow_deploy_plugin_api::{Error, Result, Secret, call, file};
use url::Url;

use crate::text::trim;
use crate::url::decode;
use crate::{Connection, Credentials, Environment, header_value};

/// The maximum size of MLflow's credentials file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// The options of one client for authentication and TLS.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "built with `..MlflowAuthOptions::default()`, so that fields can be added"
)]
pub struct MlflowAuthOptions {
    /// A user name, for Basic authentication.
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// A token, for Bearer authentication.
    pub token: Option<Secret>,
    /// A file or folder with certificate authorities (PEM), which replace those of the system.
    pub ca_cert: Option<PathBuf>,
    /// A file with the client's certificate and its key (PEM).
    pub client_cert: Option<PathBuf>,
    /// True if server certificates are accepted without a check.
    pub insecure: Option<bool>,
}

/// The credentials and the connection settings of a client, from its options and the environment.
#[derive(Clone, Debug)]
pub struct MlflowAuth {
    from_options: Option<Credentials>,
    from_environment: Option<Credentials>,
    workspace: Option<HeaderValue>,
    wants_signatures: bool,
    connection: Connection,
}

impl MlflowAuth {
    /// Reads the settings in the options and the environment. Reads MLflow's credentials file only if the options
    /// contain no credentials.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the options or variables contradict each other, or if the file cannot be read.
    pub fn new(options: &MlflowAuthOptions, environment: &Environment<'_>) -> Result<Self> {
        let from_options = option_credentials(options)?;
        let from_environment = if from_options.is_some() { None } else { environment_credentials(environment)? };
        let workspace = environment.text("MLFLOW_WORKSPACE");
        Ok(Self {
            from_options,
            from_environment,
            workspace: workspace.map(|value| header_value("MLFLOW_WORKSPACE", &value)).transpose()?,
            wants_signatures: environment.flag("MLFLOW_TRACKING_AWS_SIGV4", false)?
                || environment.text("MLFLOW_TRACKING_AUTH").is_some(),
            connection: connection(options, environment)?,
        })
    }

    /// Returns the settings of the client's connections.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Returns the headers with the credentials and the workspace for requests to a URL. Credentials in the client's
    /// options take precedence over a user and password in the URL, which take precedence over the environment. In the
    /// environment, a user name and password take precedence over a token.
    ///
    /// A `.netrc` file is not read, because it would override explicit credentials.
    ///
    /// # Errors
    /// Fails as [`Credentials::header`] does.
    pub fn headers(&self, url: &Url) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        if let Some(workspace) = &self.workspace {
            headers.insert("x-mlflow-workspace", workspace.clone());
        }
        let in_url =
            url.password().map(|password| Credentials::Basic(decode(url.username()), Secret::new(decode(password))));
        if let Some(credentials) = self.from_options.as_ref().or(in_url.as_ref()).or(self.from_environment.as_ref()) {
            let source = if self.from_options.is_some() { "the option `token`" } else { "`MLFLOW_TRACKING_TOKEN`" };
            headers.insert(AUTHORIZATION, credentials.header_of(source)?);
        } else if self.wants_signatures {
            call::warn(
                "requests are not signed: `MLFLOW_TRACKING_AWS_SIGV4` and `MLFLOW_TRACKING_AUTH` are supported in Python only",
            );
        }
        Ok(headers)
    }
}

fn option_credentials(options: &MlflowAuthOptions) -> Result<Option<Credentials>> {
    match (&options.username, &options.password, &options.token) {
        (Some(username), Some(password), None) => Ok(Some(Credentials::Basic(username.clone(), password.clone()))),
        (None, None, Some(token)) => Ok(Some(Credentials::Bearer(token.clone()))),
        (None, None, None) => Ok(None),
        _ => {
            let message = "set either the option `token`, or the options `username` and `password` together";
            Err(Error::invalid_parameter(message))
        }
    }
}

fn environment_credentials(environment: &Environment<'_>) -> Result<Option<Credentials>> {
    let path = environment.text("HOME").map(|home| Path::new(&home).join(".mlflow/credentials"));
    let (file_username, file_password) = path.as_deref().map(read_credentials).transpose()?.unwrap_or_default();
    let username = environment.text("MLFLOW_TRACKING_USERNAME").or(file_username);
    let password = environment.password("MLFLOW_TRACKING_PASSWORD").or(file_password);
    Ok(match (username, password) {
        (Some(username), Some(password)) => Some(Credentials::Basic(username, password)),
        _ => environment.secret("MLFLOW_TRACKING_TOKEN").map(Credentials::Bearer),
    })
}

/// Reads the user name and the password in the section `[mlflow]` of MLflow's credentials file. Both are `None` if the
/// file does not exist or this process may not read it.
fn read_credentials(path: &Path) -> Result<(Option<String>, Option<Secret>)> {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    let text = match file::read_text(path, MAX_FILE) {
        Ok(text) => text,
        // Python's `configparser` skips such a file as well.
        Err(error) if matches!(error.kind(), NotFound | NotADirectory | PermissionDenied) => String::new(),
        Err(error) => {
            let message = format!("failed to read MLflow's credentials in `{}`: {error}", path.display());
            return Err(Error::invalid_parameter(message));
        }
    };
    let lines = text.lines().map(trim).skip_while(|line| *line != "[mlflow]").skip(1);
    let section = lines.take_while(|line| !line.starts_with('['));
    let (mut username, mut password) = (None, None);
    for (key, value) in section.filter_map(|line| line.split_once(['=', ':'])) {
        let value = value.trim();
        match key.trim().to_ascii_lowercase().as_str() {
            "mlflow_tracking_username" => username = Some(value.to_owned()),
            "mlflow_tracking_password" => password = Some(Secret::new(value)),
            _ => {}
        }
    }
    Ok((username, password))
}

fn connection(options: &MlflowAuthOptions, environment: &Environment<'_>) -> Result<Connection> {
    const VARIABLES: [&str; 2] = ["MLFLOW_TRACKING_INSECURE_TLS", "MLFLOW_TRACKING_SERVER_CERT_PATH"];
    let path = |variable: &str| environment.text(variable).map(PathBuf::from);
    let mut connection = match (options.insecure, &options.ca_cert) {
        (None, None) => {
            environment.connection(environment.flag(VARIABLES[0], false)?, path(VARIABLES[1]), VARIABLES)?
        }
        (insecure, ca_cert) => {
            environment.connection(insecure.unwrap_or(false), ca_cert.clone(), ["insecure", "ca_cert"])?
        }
    };
    connection.client_cert = options.client_cert.clone().or_else(|| path("MLFLOW_TRACKING_CLIENT_CERT_PATH"));
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use mlflow_deploy_plugin_api::ErrorCode;

    use super::*;

    fn auth(options: &MlflowAuthOptions, variables: &[(&str, &str)]) -> Result<MlflowAuth> {
        MlflowAuth::new(
            options,
            &Environment::new(&|name| {
                variables.iter().find(|(each, _)| *each == name).map(|(_, value)| (*value).to_owned())
            }),
        )
    }

    #[test]
    fn options_precede_the_url_and_the_url_precedes_the_environment() {
        let variables =
            [("MLFLOW_TRACKING_USERNAME", "u"), ("MLFLOW_TRACKING_PASSWORD", "p"), ("MLFLOW_TRACKING_TOKEN", "t")];
        let token = MlflowAuthOptions { token: Some(Secret::new("own")), ..MlflowAuthOptions::default() };
        let (plain, with_user) = (Url::parse("http://h").unwrap(), Url::parse("http://a%20b:c@h").unwrap());
        for (options, variables, url, expected) in [
            (&token, &variables[..], &with_user, Some("Bearer own")),
            (&MlflowAuthOptions::default(), &variables[..], &with_user, Some("Basic YSBiOmM=")),
            (&MlflowAuthOptions::default(), &variables[..], &plain, Some("Basic dTpw")),
            (&MlflowAuthOptions::default(), &variables[1..], &plain, Some("Bearer t")),
            (&MlflowAuthOptions::default(), &[], &plain, None),
        ] {
            let headers = auth(options, variables).unwrap().headers(url).unwrap();
            let header = headers.get(AUTHORIZATION);
            assert_eq!(header.map(|value| value.to_str().unwrap()), expected);
            assert!(header.is_none_or(HeaderValue::is_sensitive));
        }
    }

    #[test]
    fn incomplete_and_contradicting_options_are_rejected() {
        let user = MlflowAuthOptions { username: Some("u".to_owned()), ..MlflowAuthOptions::default() };
        assert!(auth(&user, &[]).unwrap_err().message().contains("`username` and `password` together"));
        let both = [("MLFLOW_TRACKING_INSECURE_TLS", "1"), ("MLFLOW_TRACKING_SERVER_CERT_PATH", "/ca")];
        assert!(auth(&MlflowAuthOptions::default(), &both).unwrap_err().message().contains("ignored and checked"));
        let own = MlflowAuthOptions { ca_cert: Some("/own".into()), ..MlflowAuthOptions::default() };
        let connection = auth(&own, &both).unwrap().connection().clone();
        assert_eq!((connection.insecure, connection.ca_certs), (false, Some("/own".into())));
    }

    #[test]
    fn the_credentials_file_must_be_a_regular_file_within_its_limit() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join(".mlflow/credentials");
        let read = || auth(&MlflowAuthOptions::default(), &[("HOME", home.path().to_str().unwrap())]);
        let header = |auth: MlflowAuth| auth.headers(&Url::parse("http://h").unwrap()).unwrap().remove(AUTHORIZATION);
        assert_eq!(header(read().unwrap()), None);
        std::fs::create_dir(home.path().join(".mlflow")).unwrap();
        let text = "[mlflow]\nmlflow_tracking_username = u\nmlflow_tracking_password = p\n";
        for text in [text.to_owned(), format!("\u{feff}{}", text.replace('\n', "\r\n"))] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(header(read().unwrap()).unwrap(), "Basic dTpw");
        }
        let assert_rejected = |reason: &str| {
            let error = read().unwrap_err();
            let expected = format!("failed to read MLflow's credentials in `{}`: {reason}", file.display());
            assert_eq!((error.message(), error.code()), (expected.as_str(), &ErrorCode::INVALID_PARAMETER_VALUE));
        };
        std::fs::write(&file, "#".repeat((1 << 20) + 1)).unwrap();
        assert_rejected("larger than 1 MiB");
        std::fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &file).unwrap();
        assert_rejected("not a regular file");
    }

    #[test]
    fn the_source_of_a_wrong_token_is_named() {
        let url = Url::parse("http://h").unwrap();
        let own = MlflowAuthOptions { token: Some(Secret::new("s3cret\nx")), ..MlflowAuthOptions::default() };
        let variables = [("MLFLOW_TRACKING_TOKEN", "s3cret\nx")];
        for (options, name) in
            [(&own, "the option `token`"), (&MlflowAuthOptions::default(), "`MLFLOW_TRACKING_TOKEN`")]
        {
            let error = auth(options, &variables).unwrap().headers(&url).unwrap_err();
            assert!(error.message().starts_with(&format!("{name} contains a line break")), "{error}");
        }
        let lines = [("MLFLOW_TRACKING_TOKEN", "t0ken\n")];
        let headers = auth(&MlflowAuthOptions::default(), &lines).unwrap().headers(&url).unwrap();
        assert_eq!(headers[AUTHORIZATION], "Bearer t0ken");
    }

    #[test]
    fn debug_shows_no_secret() {
        let auth = auth(&MlflowAuthOptions::default(), &[("MLFLOW_TRACKING_TOKEN", "s3cret")]).unwrap();
        assert!(!format!("{auth:?}").contains("s3cret"));
    }
}
