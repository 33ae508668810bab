//! Writes a report as JUnit XML. Each family of cases is a test suite, and each case is a test.

use mlflow_deploy_plugin_api::text;
use quick_junit::{NonSuccessKind, Report as Junit, TestCase, TestCaseStatus, TestSuite};

use super::outcome::{CaseResult, Report, Verdict};

pub(super) fn write(report: &Report) -> String {
    let mut junit = Junit::new("mlflow-deploy-conformance");
    junit.set_time(report.took);
    for results in report.results.chunk_by(|one, next| family(one) == family(next)) {
        let Some(first) = results.first() else { continue };
        let mut suite = TestSuite::new(family(first));
        suite.add_property(("plugin", text::path(&report.plugin).as_str()));
        suite.add_property(("mode", report.mode()));
        suite.add_property(("seed", report.seed.to_string().as_str()));
        suite.set_time(results.iter().map(|result| result.took).sum());
        suite.add_test_cases(results.iter().map(|result| one(report, result)));
        junit.add_test_suite(suite);
    }
    junit.to_string().unwrap_or_else(|error| format!("<!-- failed to write the report: {error} -->\n"))
}

fn family(result: &CaseResult) -> &str {
    result.id.split('-').next().unwrap_or(result.id)
}

fn one(report: &Report, result: &CaseResult) -> TestCase {
    let status = match result.verdict {
        Verdict::Pass | Verdict::Warn => TestCaseStatus::success(),
        Verdict::Skip => TestCaseStatus::skipped(),
        Verdict::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Verdict::Fault => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    let mut case = TestCase::new(result.id, status);
    case.set_classname(format!("mlflow-deploy-conformance.{}", family(result)));
    case.set_time(result.took);
    case.add_property(("clause", result.clause));
    case.add_property(("level", result.level.name()));
    if !result.message.is_empty() {
        case.status.set_message(text::block(&result.message).as_ref());
    }
    if let Some(signal) = &result.signal {
        case.status.set_type(signal.as_str());
    }
    if matches!(result.verdict, Verdict::Fail | Verdict::Fault) {
        let log = result.log.join("\n");
        let description =
            format!("{}\n\n{}\n{log}\n\n{}", result.message, result.summary, report.rerun_command(result));
        case.status.set_description(text::block(&description).as_ref());
    }
    if result.verdict == Verdict::Warn {
        let said = format!("warning: {}\n{}", result.message, result.log.join("\n"));
        case.set_system_out(text::block(&said).as_ref());
    }
    case
}
