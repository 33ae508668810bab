//! Formats values, names and indexes for messages, shortened to a readable length.

use mlflow_deploy_plugin_api::call::{self, Level};

/// The reason to pass to [`log_ignored`] for a column or an input that the model's signature does not declare.
pub(crate) const NOT_IN_SIGNATURE: &str = "the model's signature does not have";

/// Shortens a text of more than 60 characters to its first 60 characters and `…`.
pub fn shorten(text: &str) -> String {
    const MAX_CHARS: usize = 60;
    match text.char_indices().nth(MAX_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Formats a list of names in backticks. Lists at most 8 names, and then the number of the others.
pub(crate) fn quote_names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const MAX_NAMES: usize = 8;
    let mut names = names.into_iter();
    let mut quoted: Vec<_> = names.by_ref().take(MAX_NAMES).map(|name| format!("`{}`", shorten(name))).collect();
    match names.count() {
        0 if quoted.is_empty() => return "none".to_owned(),
        0 => {}
        more => quoted.push(format!("{more} more")),
    }
    quoted.join(", ")
}

/// Logs the names of the parts of a request that are ignored. `what` is their kind, such as "the columns". Does nothing
/// if `names` is empty. MLflow's scoring server logs a warning instead.
pub(crate) fn log_ignored<'a>(what: &str, names: impl IntoIterator<Item = &'a str>, reason: &str) {
    let mut names = names.into_iter().peekable();
    if names.peek().is_some() {
        call::log(Level::Info, format!("ignoring {what} {}, which {reason}", quote_names(names)));
    }
}

/// Formats the position of a value in nested arrays, such as ` at [0][2]`. Returns an empty string if `indexes` is
/// empty.
pub(crate) fn at_indexes(indexes: &[usize]) -> String {
    let indexes = indexes.iter().map(|index| format!("[{index}]")).collect::<String>();
    if indexes.is_empty() { indexes } else { format!(" at {indexes}") }
}
