//! Checks the names of deployments and endpoints.

use mlflow_deploy_plugin_api::{Error, Result, text};

/// The maximum length of a deployment's or endpoint's name, in characters.
const MAX_LEN: usize = 128;

/// Checks the name of a deployment or endpoint. `what` is `a deployment` or `an endpoint`, for the error message.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` if the name is invalid.
pub(crate) fn check_name(what: &str, name: &str) -> Result<()> {
    // Only ASCII is allowed: other letters can look the same, or have several encodings.
    let starts = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    let fits = name.chars().all(|each| each.is_ascii_alphanumeric() || "-_.".contains(each));
    if starts && fits && name.len() <= MAX_LEN {
        return Ok(());
    }
    Err(Error::invalid_parameter(format!(
        "invalid name `{}` for {what}: expected at most {MAX_LEN} of the letters a to z and A to Z, digits, `-`, `_` \
         and `.`, with a letter or a digit first",
        excerpt(name)
    )))
}

/// Returns a name as one line, for an error message. Shortens a name that is longer than a valid name.
pub(crate) fn excerpt(name: &str) -> String {
    match name.char_indices().nth(MAX_LEN) {
        None => text::line(name).into_owned(),
        Some((end, _)) => format!("{}…", text::line(&name[..end])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_control_sequences_are_rejected() {
        for name in ["iris", "a", "7", "v1.2_b", &"x".repeat(128)] {
            check_name("a deployment", name).unwrap();
        }
        let other_letters = ["модель", "²", "Ⅷ", "ａ", "e\u{301}"];
        let invalid_names =
            ["", ".", "..", "../x", "a/b", "/etc", "a b", "-f", "a\u{0}", "a\u{1b}[0m", &"x".repeat(129)];
        for name in invalid_names.into_iter().chain(other_letters) {
            let error = check_name("a deployment", name).unwrap_err();
            assert!(error.message().contains("` for a deployment: expected at most 128 of"), "{error}");
            assert!(!error.message().contains(char::is_control));
        }
    }
}
