//! Values, names and indexes in error messages, cut to a readable length.

use mlflow_deploy_plugin_api::call::{self, Level};

/// The reason why a column or input is ignored, for [`log_ignored`].
pub(crate) const NOT_IN_SIGNATURE: &str = "the model's signature does not have";

/// Returns the start of a text: at most 60 characters, then `…`.
pub fn shorten(text: &str) -> String {
    const MAX_CHARS: usize = 60;
    match text.char_indices().nth(MAX_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Lists names in backticks: at most 8, then the number of the others.
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

/// Logs columns, inputs or other parts of a request that are ignored. Does nothing if there are none. MLflow's scoring
/// server warns instead.
pub(crate) fn log_ignored<'a>(what: &str, names: impl IntoIterator<Item = &'a str>, reason: &str) {
    let mut names = names.into_iter().peekable();
    if names.peek().is_some() {
        call::log(Level::Info, format!("ignoring {what} {}, which {reason}", quote_names(names)));
    }
}

/// Formats the position of a value in an array, such as ` at [0][2]`; empty for a value outside of arrays.
pub(crate) fn at_indexes(indexes: &[usize]) -> String {
    let indexes = indexes.iter().map(|index| format!("[{index}]")).collect::<String>();
    if indexes.is_empty() { indexes } else { format!(" at {indexes}") }
}
