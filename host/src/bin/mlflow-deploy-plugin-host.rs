//! The program `mlflow-deploy-plugin-host`: hosts one plugin for the process that started it.

fn main() {
    mlflow_deploy::serve_plugin(std::env::args_os().skip(1))
}
