//! A report for a person at a terminal.

use mlflow_deploy_plugin_api::text::line;

use super::{Report, Verdict};
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
            text += &format!("      expected: {}\n", result.says);
            text += &format!("      contract: {} {}\n", result.clause, clause.map_or("", |clause| clause.says));
            for said in &result.log {
                text += &format!("      | {}\n", line(said));
            }
            text += &format!("      again: {}\n", line(&report.again(result)));
        }
    }
    text + &format!("\n{} in {:.1} s\n", report.conclusion(), report.took.as_secs_f64())
}

/// Every case, as `--list` shows them.
pub fn list() -> String {
    Case::all().map(|case| format!("{:<32} {:<11} {}\n", case.id, case.level.name(), case.says)).collect()
}
