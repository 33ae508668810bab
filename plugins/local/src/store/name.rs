//! Names of deployments and endpoints.

use mlflow_deploy_plugin_api::{Error, Result};

/// Characters; more than anybody reads.
const LONGEST: usize = 128;

/// Refuses what is no name. `what` has the article: `a deployment` or `an endpoint`.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE`, with what a name may be.
pub(crate) fn check_name(what: &str, name: &str) -> Result<()> {
    let starts = name.starts_with(char::is_alphanumeric);
    let fits = name.chars().all(|each| each.is_alphanumeric() || "-_.".contains(each));
    if starts && fits && name.chars().count() <= LONGEST {
        return Ok(());
    }
    let shown: String = name.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    Err(Error::invalid_parameter(format!(
        "`{shown}` is no name for {what}: expected letters, digits, `-`, `_` and `.`, at most {LONGEST}, and a letter or a \
         digit first"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_path_and_no_control_sequence() {
        for name in ["iris", "a", "модель-2", "v1.2_b", &"x".repeat(128)] {
            check_name("a deployment", name).unwrap();
        }
        for name in ["", ".", "..", "../x", "a/b", "/etc", "a b", "-f", "a\u{0}", "a\u{1b}[0m", &"x".repeat(129)] {
            let error = check_name("a deployment", name).unwrap_err();
            assert!(error.message().contains("is no name for a deployment"), "{error}");
            assert!(!error.message().contains(char::is_control));
        }
    }
}
