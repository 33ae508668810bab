//! Names of deployments and endpoints.

use mlflow_deploy_plugin_api::{Error, Result};

use crate::shown::shown;

/// Characters; more than anybody reads.
const MAX_LEN: usize = 128;

/// Refuses what is no name. `what` has the article: `a deployment` or `an endpoint`.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE`, with what a name may be.
pub(crate) fn check_name(what: &str, name: &str) -> Result<()> {
    // Of ASCII alone: elsewhere two names can look the same, and one can be written in two ways.
    let starts = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    let fits = name.chars().all(|each| each.is_ascii_alphanumeric() || "-_.".contains(each));
    if starts && fits && name.len() <= MAX_LEN {
        return Ok(());
    }
    Err(Error::invalid_parameter(format!(
        "`{}` is no name for {what}: expected the letters a to z and A to Z, digits, `-`, `_` and `.`, at most {MAX_LEN}, \
         and a letter or a digit first",
        shown(name)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_path_and_no_control_sequence() {
        for name in ["iris", "a", "7", "v1.2_b", &"x".repeat(128)] {
            check_name("a deployment", name).unwrap();
        }
        let other_letters = ["модель", "²", "Ⅷ", "ａ", "e\u{301}"];
        let no_names = ["", ".", "..", "../x", "a/b", "/etc", "a b", "-f", "a\u{0}", "a\u{1b}[0m", &"x".repeat(129)];
        for name in no_names.into_iter().chain(other_letters) {
            let error = check_name("a deployment", name).unwrap_err();
            assert!(error.message().contains("is no name for a deployment"), "{error}");
            assert!(!error.message().contains(char::is_control));
        }
    }
}
