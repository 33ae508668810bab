//! Who the client is: from its options, the target URI, the environment, or MLflow's credentials file.

use std::path::Path;

use mlflow_deploy_http::{Credentials, Environment, Secret};
use mlflow_deploy_plugin_api::{Error, Result};
use url::Url;

use crate::config::Options;

/// The credentials that the client gives, where it has some. A user name with a password goes before a token, and what
/// is given to this client before what is there for all.
///
/// A `.netrc` file is not asked: it would replace what was given on purpose.
pub(crate) fn credentials(
    options: &Options,
    target: &Url,
    environment: &Environment<'_>,
) -> Result<Option<Credentials>> {
    match (&options.username, &options.password, &options.token) {
        (Some(username), Some(password), None) => {
            return Ok(Some(Credentials::Basic(username.clone(), password.clone())));
        }
        (None, None, Some(token)) => return Ok(Some(Credentials::Bearer(token.clone()))),
        (None, None, None) => {}
        _ => {
            let message = "give either the option `token`, or the options `username` and `password` together";
            return Err(Error::invalid_parameter(message));
        }
    }
    if let Some(password) = target.password() {
        return Ok(Some(Credentials::Basic(decode(target.username()), Secret::new(decode(password)))));
    }
    let file = environment.text("HOME").map(|home| read(&Path::new(&home).join(".mlflow/credentials")));
    let (file_username, file_password) = file.unwrap_or_default();
    let username = environment.text("MLFLOW_TRACKING_USERNAME").or(file_username);
    let password = environment.secret("MLFLOW_TRACKING_PASSWORD").or(file_password);
    Ok(match (username, password) {
        (Some(username), Some(password)) => Some(Credentials::Basic(username, password)),
        _ => environment.secret("MLFLOW_TRACKING_TOKEN").map(Credentials::Bearer),
    })
}

/// User name and password of the section `[mlflow]`. A file that cannot be read has none.
fn read(path: &Path) -> (Option<String>, Option<Secret>) {
    let text = std::fs::read_to_string(path).unwrap_or_default();
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
    found
}

/// User and password of a URL, without its percent-encoding.
fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}
