//! Maps the name of an operation, as in a plugin's manifest, to the verb that runs it.

/// Returns the verb that runs an operation; `None` for a target-specific operation, which the verb `invoke` runs.
pub(crate) fn verb_of(operation: &str) -> Option<&'static str> {
    Some(match operation {
        "create_deployment" => "create",
        "create_endpoint" => "create-endpoint",
        "delete_deployment" => "delete",
        "delete_endpoint" => "delete-endpoint",
        "explain" => "explain",
        "get_deployment" => "get",
        "get_endpoint" => "get-endpoint",
        "invoke" => "invoke",
        "list_deployments" => "list",
        "list_endpoints" => "list-endpoints",
        "predict" => "predict",
        "predict_stream" => "predict --stream",
        "run_local" => "run-local",
        "target_help" => "help",
        "update_deployment" => "update",
        "update_endpoint" => "update-endpoint",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use mlflow_deploy::Operation;

    use super::*;
    use crate::args::Cli;

    #[test]
    fn every_operation_has_a_verb_of_the_command() {
        let names = Operation::ALL.iter().map(|operation| operation.name());
        for name in names.chain(["run_local", "target_help"]) {
            let verb = verb_of(name).unwrap_or_else(|| panic!("{name}"));
            let word = verb.split(' ').next().unwrap();
            assert!(Cli::command().find_subcommand(word).is_some(), "{verb}");
        }
        assert_eq!(verb_of("get_logs"), None);
    }
}
