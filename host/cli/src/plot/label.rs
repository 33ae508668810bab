//! Formats numbers and names for a plot.

use mlflow_deploy_plugin_api::text::line;
use serde_json::Value;

/// The maximum number of characters in a label.
const MAX_LEN: usize = 34;

/// Formats a number with four significant digits.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        return "0".to_owned();
    }
    if !(1e-4..1e6).contains(&size) {
        return format!("{value:.2e}");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the value is from 0 to 7")]
    let decimals = (3.0 - size.log10().floor()).max(0.0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Formats a contribution with its sign, such as `+0.5`.
pub(super) fn change(value: f64) -> String {
    if value > 0.0 { format!("+{}", number(value)) } else { number(value) }
}

/// Returns a name as one line, truncated to the maximum length. Control characters and characters that XML forbids are
/// escaped.
pub(super) fn name(text: &str) -> String {
    let text = line(text);
    if text.chars().count() <= MAX_LEN {
        return text.into_owned();
    }
    text.chars().take(MAX_LEN - 1).chain(['…']).collect()
}

/// Formats a feature and its value in the plotted row, such as `age = 41`.
pub(super) fn cell(feature: &str, cell: &Value) -> String {
    let cell = match cell {
        Value::Number(value) => value.as_f64().map_or_else(|| value.to_string(), number),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    // Truncates a long name before the value.
    let room = MAX_LEN.saturating_sub(cell.chars().count() + " = …".chars().count()).max(MAX_LEN / 2);
    let feature = match feature.char_indices().nth(room) {
        Some((end, _)) => format!("{}…", &feature[..end]),
        None => feature.to_owned(),
    };
    name(&format!("{feature} = {cell}"))
}
