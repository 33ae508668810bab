//! Writes a report as plain text.

use mlflow_deploy_plugin_api::text::line;

use super::outcome::{Report, Verdict};
use crate::case::Case;
use crate::contract::clauses;

pub(super) fn write(report: &Report) -> String {
    let mut text = format!("{}\nseed {}\n\n", line(&report.title()), report.seed);
    for result in &report.results {
        text += &format!("{:<5} {:<32} {:>6} ms", result.verdict.name(), result.id, result.took.as_millis());
        if !result.message.is_empty() {
            text += &format!("  {}", line(&result.message));
        }
        text.push('\n');
        if matches!(result.verdict, Verdict::Fail | Verdict::Fault | Verdict::Warn) {
            let clause = clauses().find(|clause| clause.id == result.clause);
            text += &format!("      expected: {}\n", result.summary);
            text += &format!("      contract: {} {}\n", result.clause, clause.map_or("", |clause| clause.text));
            for entry in &result.log {
                text += &format!("      | {}\n", line(entry));
            }
            text += &format!("      rerun: {}\n", line(&report.rerun_command(result)));
        }
    }
    text += &format!("\n{} in {:.1} s\n", report.conclusion(), report.took.as_secs_f64());
    if report.results.iter().any(|result| result.unproven && result.verdict == Verdict::Skip) {
        text +=
            "to prove more cases, describe calls that succeed in the config; with `--strict`, unproven cases fail\n";
    }
    text
}

/// Returns the list of all cases that the option `--list` prints.
pub fn list() -> String {
    Case::all().map(|case| format!("{:<32} {:<11} {}\n", case.id, case.level.name(), case.summary)).collect()
}
