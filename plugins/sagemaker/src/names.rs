//! The names of endpoints, and of the models and configs that belong to them.

use mlflow_deploy_plugin_api::{Error, Result, call, text};

/// The maximum length of every name, in characters.
const MAX_NAME: usize = 63;

/// The length of the random part of a name, in characters.
const RANDOM: usize = 20;

/// Checks the name of an endpoint.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE`, with the characters that a name may have.
pub(crate) fn check(name: &str) -> Result<()> {
    let is_inner = |each: char| each.is_ascii_alphanumeric() || each == '-';
    let is_outer = |each: Option<char>| each.is_some_and(|each| each.is_ascii_alphanumeric());
    if name.chars().all(is_inner)
        && is_outer(name.chars().next())
        && is_outer(name.chars().last())
        && name.len() <= MAX_NAME
    {
        return Ok(());
    }
    let shown: String = name.chars().take(2 * MAX_NAME).collect();
    Err(Error::invalid_parameter(format!(
        "invalid name `{}` for a deployment: expected 1 to {MAX_NAME} of the letters a to z and A to Z, digits and `-`, with a \
         letter or a digit at both ends",
        text::line(&shown)
    )))
}

/// Returns a new name for a model of an endpoint, as MLflow's client does.
pub(crate) fn of_model(endpoint: &str) -> String {
    unique(endpoint, "-model-")
}

/// Returns a new name for a config of an endpoint, as MLflow's client does.
pub(crate) fn of_config(endpoint: &str) -> String {
    unique(endpoint, "-config-")
}

/// Returns 20 random hexadecimal digits.
pub(crate) fn random() -> String {
    (0..RANDOM).map(|_| format!("{:x}", fastrand::u8(..16))).collect()
}

fn unique(endpoint: &str, infix: &str) -> String {
    let suffix = format!("{infix}{}", random());
    format!("{}{suffix}", truncated(endpoint, MAX_NAME - suffix.len()))
}

/// Returns a name of at most `max` characters. Cuts the middle out of a longer one.
fn truncated(name: &str, max: usize) -> String {
    if name.len() <= max {
        return name.to_owned();
    }
    let start = (max - 3) / 2;
    let end = max - 3 - start;
    let short = format!("{}---{}", &name[..start], &name[name.len() - end..]);
    call::log(
        call::Level::Info,
        format!("the name `{name}` is cut to `{short}`, because names have at most {MAX_NAME} characters"),
    );
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_in_the_middle_as_in_mlflow() {
        assert_eq!(truncated("abcdefghij", 10), "abcdefghij");
        assert_eq!(truncated("abcdefghijk", 10), "abc---hijk");
        let long = "a".repeat(63);
        for name in [of_model(&long), of_config(&long), of_model("iris")] {
            assert!(name.len() <= 63 && check(&name).is_ok(), "{name}");
        }
        assert!(of_model("iris").starts_with("iris-model-") && of_model("iris") != of_model("iris"));
    }

    #[test]
    fn names_that_sagemaker_refuses_are_refused() {
        for name in ["", "-a", "a-", "a_b", "a.b", "é", &"a".repeat(64), "a/../b"] {
            let error = check(name).unwrap_err();
            assert!(error.message().contains("expected 1 to 63 of the letters"), "{error}");
        }
        for name in ["a", "iris-2", &"a".repeat(63)] {
            check(name).unwrap();
        }
    }
}
