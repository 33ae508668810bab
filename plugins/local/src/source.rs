//! Where a model comes from: what a model URI names.

use std::path::PathBuf;

use mlflow_deploy_plugin_api::{Error, ErrorCode, Result};

/// The folder that a model URI names: a path, or a `file:` URI.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` for another kind of URI, `RESOURCE_DOES_NOT_EXIST` where there is no such folder.
pub(crate) fn folder(model_uri: &str) -> Result<PathBuf> {
    let path = match model_uri.split_once(':') {
        Some(("file", rest)) => file_path(model_uri, rest)?,
        Some((scheme, _)) if is_scheme(scheme) && !PathBuf::from(model_uri).exists() => {
            return Err(Error::invalid_parameter(format!(
                "`{model_uri}` is not on this machine: expected a model's folder, or a `file:` URI of one; fetch it first, \
                 with: mlflow artifacts download --artifact-uri {model_uri} --dst-path FOLDER"
            )));
        }
        _ => PathBuf::from(model_uri),
    };
    if path.as_os_str().is_empty() {
        return Err(Error::invalid_parameter("the model URI is empty: expected the folder of an MLflow model"));
    }
    match path.metadata() {
        Ok(found) if found.is_dir() => Ok(path),
        Ok(_) => Err(Error::invalid_parameter(format!(
            "`{}` is a file: expected the folder of an MLflow model, with a file `MLmodel` in it",
            path.display()
        ))),
        Err(error) => {
            Err(Error::new(ErrorCode::RESOURCE_DOES_NOT_EXIST, format!("no model is at `{}`: {error}", path.display())))
        }
    }
}

fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|each| each.is_ascii_alphanumeric() || "+-.".contains(each))
}

/// The path of a `file:` URI, such as `file:///models/iris` or `file:iris`.
fn file_path(model_uri: &str, rest: &str) -> Result<PathBuf> {
    let wrong = |why: &str| Error::invalid_parameter(format!("`{model_uri}` is no `file:` URI of a folder: {why}"));
    let encoded = match rest.strip_prefix("//") {
        None => rest,
        Some(rest) => match rest.strip_prefix("localhost").unwrap_or(rest) {
            path if path.starts_with('/') => path,
            _ => return Err(wrong("it names another machine")),
        },
    };
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digits = str::from_utf8(&[*high, *low]).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok());
                bytes.push(digits.ok_or_else(|| wrong("a `%` is followed by something else than two digits"))?);
                rest = after;
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8(bytes).map(PathBuf::from).map_err(|_utf8| wrong("its characters are not UTF-8"))
}
