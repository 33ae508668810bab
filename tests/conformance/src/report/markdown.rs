//! Writes a report as Markdown, and the list of all cases as Markdown.

use mlflow_deploy_plugin_api::text::line;

use super::outcome::{Report, Verdict};
use crate::case::Case;

pub(super) fn write(report: &Report) -> String {
    let mut text = format!("**{}**: {}\n\n", line(&report.title()), report.conclusion());
    text += "| case | level | verdict | |\n|---|---|---|---|\n";
    for result in &report.results {
        let verdict = match result.verdict {
            Verdict::Fail | Verdict::Fault => format!("**{}**", result.verdict.name()),
            verdict => verdict.name().to_owned(),
        };
        let message = if result.message.is_empty() { result.summary } else { &result.message };
        text += &format!("| `{}` | {} | {verdict} | {} |\n", result.id, result.level.name(), cell(message));
    }
    text
}

/// Returns the Markdown table of all cases that the README contains.
pub fn list() -> String {
    let mut text = "| case | level | expected behaviour |\n|---|---|---|\n".to_owned();
    for case in Case::all() {
        text += &format!("| `{}` | {} | {} |\n", case.id, case.level.name(), cell(case.summary));
    }
    text
}

/// Escapes a text for a cell in a Markdown table.
fn cell(text: &str) -> String {
    line(&text.replace('\n', " ")).replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    #[test]
    fn readme_lists_every_case() {
        let readme = include_str!("../../README.md");
        let listed = readme.split("--format markdown -->\n").nth(1).and_then(|rest| rest.split("<!-- end").next());
        assert_eq!(
            listed,
            Some(super::list().as_str()),
            "copy the output of `--list --format markdown` into README.md"
        );
    }
}
