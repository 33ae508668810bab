//! How a client gets into one of MLflow's own servers: a tracking server, its gateway, its store of artifacts.
//!
//! MLflow knows all of them by the same environment variables, `MLFLOW_TRACKING_…`; what is given to one client wins.

use std::io;
use std::path::{Path, PathBuf};

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use mlflow_deploy_plugin_api::{Error, Result, Secret, call, file};
use url::Url;

use crate::address::decode;
use crate::{Connection, Credentials, Environment, header_value};

/// No file of credentials is larger, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// What is given to one client.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "built with `..AccessOptions::default()`, so that fields can be added")]
pub struct AccessOptions {
    /// A user name, for Basic authentication.
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// A token, for Bearer authentication.
    pub token: Option<Secret>,
    /// A file or folder with certificate authorities (PEM) that take the place of the system's.
    pub ca_cert: Option<PathBuf>,
    /// A file with the client's certificate and its key (PEM).
    pub client_cert: Option<PathBuf>,
    /// Whether any server is believed to be who it says it is.
    pub insecure: Option<bool>,
}

/// What is given, and what the environment adds to it.
#[derive(Clone, Debug)]
pub struct Access {
    given: Option<Credentials>,
    found: Option<Credentials>,
    workspace: Option<HeaderValue>,
    wants_signatures: bool,
    connection: Connection,
}

impl Access {
    /// Reads the environment and, where nothing is given, MLflow's credentials file.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where the options or variables contradict each other.
    pub fn new(options: &AccessOptions, environment: &Environment<'_>) -> Result<Self> {
        let given = given(options)?;
        let found = if given.is_some() { None } else { found(environment)? };
        let workspace = environment.text("MLFLOW_WORKSPACE");
        Ok(Self {
            given,
            found,
            workspace: workspace.map(|value| header_value("MLFLOW_WORKSPACE", &value)).transpose()?,
            wants_signatures: environment.flag("MLFLOW_TRACKING_AWS_SIGV4", false)?
                || environment.text("MLFLOW_TRACKING_AUTH").is_some(),
            connection: connection(options, environment)?,
        })
    }

    /// How connections are made.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The headers by which the server at this URL knows the client. A user name with a password goes before a token,
    /// and what is given to this client, or is in the URL, before what is there for all.
    ///
    /// A `.netrc` file is not asked: it would replace what was given on purpose.
    ///
    /// # Errors
    /// As for [`Credentials::header`].
    pub fn headers(&self, url: &Url) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        if let Some(workspace) = &self.workspace {
            headers.insert("x-mlflow-workspace", workspace.clone());
        }
        let in_url =
            url.password().map(|password| Credentials::Basic(decode(url.username()), Secret::new(decode(password))));
        if let Some(credentials) = self.given.as_ref().or(in_url.as_ref()).or(self.found.as_ref()) {
            headers.insert(AUTHORIZATION, credentials.header()?);
        } else if self.wants_signatures {
            call::warn(
                "requests are not signed: `MLFLOW_TRACKING_AWS_SIGV4` and `MLFLOW_TRACKING_AUTH` work in Python alone",
            );
        }
        Ok(headers)
    }
}

fn given(options: &AccessOptions) -> Result<Option<Credentials>> {
    match (&options.username, &options.password, &options.token) {
        (Some(username), Some(password), None) => Ok(Some(Credentials::Basic(username.clone(), password.clone()))),
        (None, None, Some(token)) => Ok(Some(Credentials::Bearer(token.clone()))),
        (None, None, None) => Ok(None),
        _ => {
            let message = "give either the option `token`, or the options `username` and `password` together";
            Err(Error::invalid_parameter(message))
        }
    }
}

fn found(environment: &Environment<'_>) -> Result<Option<Credentials>> {
    let path = environment.text("HOME").map(|home| Path::new(&home).join(".mlflow/credentials"));
    let (file_username, file_password) = path.as_deref().map(read).transpose()?.unwrap_or_default();
    let username = environment.text("MLFLOW_TRACKING_USERNAME").or(file_username);
    let password = environment.secret("MLFLOW_TRACKING_PASSWORD").or(file_password);
    Ok(match (username, password) {
        (Some(username), Some(password)) => Some(Credentials::Basic(username, password)),
        _ => environment.secret("MLFLOW_TRACKING_TOKEN").map(Credentials::Bearer),
    })
}

/// User name and password of the section `[mlflow]`. A file that does not exist, or that is kept from this user,
/// has none.
fn read(path: &Path) -> Result<(Option<String>, Option<Secret>)> {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    let text = match file::read_text(path, MAX_FILE) {
        Ok(text) => text,
        // As Python's `configparser` does.
        Err(error) if matches!(error.kind(), NotFound | NotADirectory | PermissionDenied) => String::new(),
        Err(error) => {
            let message = format!("failed to read MLflow's credentials in `{}`: {error}", path.display());
            return Err(Error::invalid_parameter(message));
        }
    };
    let lines = text.lines().map(str::trim).skip_while(|line| *line != "[mlflow]").skip(1);
    let section = lines.take_while(|line| !line.starts_with('['));
    let mut found = (None, None);
    for (key, value) in section.filter_map(|line| line.split_once(['=', ':'])) {
        let value = value.trim();
        match key.trim().to_ascii_lowercase().as_str() {
            "mlflow_tracking_username" => found.0 = Some(value.to_owned()),
            "mlflow_tracking_password" => found.1 = Some(Secret::new(value)),
            _ => {}
        }
    }
    Ok(found)
}

fn connection(options: &AccessOptions, environment: &Environment<'_>) -> Result<Connection> {
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

    fn access(options: &AccessOptions, variables: &[(&str, &str)]) -> Result<Access> {
        Access::new(
            options,
            &Environment::new(&|name| {
                variables.iter().find(|(each, _)| *each == name).map(|(_, value)| (*value).to_owned())
            }),
        )
    }

    #[test]
    fn what_is_given_goes_before_the_url_and_that_before_the_environment() {
        let variables =
            [("MLFLOW_TRACKING_USERNAME", "u"), ("MLFLOW_TRACKING_PASSWORD", "p"), ("MLFLOW_TRACKING_TOKEN", "t")];
        let token = AccessOptions { token: Some(Secret::new("own")), ..AccessOptions::default() };
        let (plain, with_user) = (Url::parse("http://h").unwrap(), Url::parse("http://a%20b:c@h").unwrap());
        for (options, variables, url, expected) in [
            (&token, &variables[..], &with_user, Some("Bearer own")),
            (&AccessOptions::default(), &variables[..], &with_user, Some("Basic YSBiOmM=")),
            (&AccessOptions::default(), &variables[..], &plain, Some("Basic dTpw")),
            (&AccessOptions::default(), &variables[1..], &plain, Some("Bearer t")),
            (&AccessOptions::default(), &[], &plain, None),
        ] {
            let headers = access(options, variables).unwrap().headers(url).unwrap();
            let header = headers.get(AUTHORIZATION);
            assert_eq!(header.map(|value| value.to_str().unwrap()), expected);
            assert!(header.is_none_or(HeaderValue::is_sensitive));
        }
    }

    #[test]
    fn half_of_a_pair_and_what_excludes_each_other_are_refused() {
        let user = AccessOptions { username: Some("u".to_owned()), ..AccessOptions::default() };
        assert!(access(&user, &[]).unwrap_err().message().contains("`username` and `password` together"));
        let both = [("MLFLOW_TRACKING_INSECURE_TLS", "1"), ("MLFLOW_TRACKING_SERVER_CERT_PATH", "/ca")];
        assert!(access(&AccessOptions::default(), &both).unwrap_err().message().contains("ignored and checked"));
        let own = AccessOptions { ca_cert: Some("/own".into()), ..AccessOptions::default() };
        let connection = access(&own, &both).unwrap().connection().clone();
        assert_eq!((connection.insecure, connection.ca_certs), (false, Some("/own".into())));
    }

    #[test]
    fn a_file_of_credentials_has_a_limit_and_must_be_a_file() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join(".mlflow/credentials");
        let asked = || access(&AccessOptions::default(), &[("HOME", home.path().to_str().unwrap())]);
        let header = |access: Access| access.headers(&Url::parse("http://h").unwrap()).unwrap().remove(AUTHORIZATION);
        assert_eq!(header(asked().unwrap()), None);
        std::fs::create_dir(home.path().join(".mlflow")).unwrap();
        let text = "[mlflow]\nmlflow_tracking_username = u\nmlflow_tracking_password = p\n";
        std::fs::write(&file, text).unwrap();
        assert_eq!(header(asked().unwrap()).unwrap(), "Basic dTpw");
        let refused = |why: &str| {
            let error = asked().unwrap_err();
            let expected = format!("failed to read MLflow's credentials in `{}`: {why}", file.display());
            assert_eq!((error.message(), error.code()), (expected.as_str(), &ErrorCode::INVALID_PARAMETER_VALUE));
        };
        std::fs::write(&file, "#".repeat((1 << 20) + 1)).unwrap();
        refused("it is larger than 1 MiB");
        std::fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &file).unwrap();
        refused("it is not a regular file");
    }

    #[test]
    fn nothing_secret_is_shown() {
        let access = access(&AccessOptions::default(), &[("MLFLOW_TRACKING_TOKEN", "s3cret")]).unwrap();
        assert!(!format!("{access:?}").contains("s3cret"));
    }
}
