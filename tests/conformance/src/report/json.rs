//! Writes a report as a JSON document.

use mlflow_deploy_plugin_api::text;
use serde_json::json;

use super::outcome::{CaseResult, Report, Verdict};

pub(super) fn write(report: &Report) -> String {
    let count = |verdict| report.count(verdict);
    let document = json!({
        "plugin": report.plugin,
        "name": report.name,
        "version": report.version,
        "mode": report.mode(),
        "seed": report.seed,
        "conformant": match report.exit_code() { 0 => Some(true), 1 => Some(false), _ => None },
        "seconds": report.took.as_secs_f64(),
        "counts": {
            "pass": count(Verdict::Pass),
            "fail": count(Verdict::Fail),
            "warn": count(Verdict::Warn),
            "skip": count(Verdict::Skip),
            "unproven": report.unproven(),
            "fault": count(Verdict::Fault),
        },
        "results": report.results.iter().map(|result| one(report, result)).collect::<Vec<_>>(),
    });
    format!("{}\n", text::json(&format!("{document:#}")))
}

fn one(report: &Report, result: &CaseResult) -> serde_json::Value {
    json!({
        "id": result.id,
        "clause": result.clause,
        "level": result.level,
        "says": result.summary,
        "verdict": result.verdict,
        "message": result.message,
        "unproven": result.unproven,
        "signal": result.signal,
        "log": result.log,
        "seconds": result.took.as_secs_f64(),
        "again": report.rerun_command(result),
    })
}
