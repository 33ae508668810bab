//! Asks an endpoint of a deployment target: `embed-host TARGET ENDPOINT < inputs.json`.
//!
//! ```sh
//! cargo build -p mlflow-deploy-example-echo -p mlflow-deploy-example-embed-host
//! echo '{"hello": "world"}' | MLFLOW_DEPLOY_PLUGIN_PATH=$PWD/target/debug target/debug/embed-host echo echo
//! ```
#![forbid(unsafe_code)]

use std::io::{self, Read, Write};
use std::process::ExitCode;

use mlflow_deploy::args::Predict;
use mlflow_deploy::{Error, JSON, Payload, get_deploy_client};

/// All that it takes: a client of the target, and a question.
async fn ask(target: &str, endpoint: String, inputs: Payload) -> Result<Payload, Error> {
    let client = get_deploy_client(Some(target)).await?;
    let question = Predict { endpoint: Some(endpoint), inputs, ..Predict::default() };
    Ok(client.predict(question).await?)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [target, endpoint] = arguments.as_slice() else {
        writeln!(io::stderr(), "usage: embed-host TARGET ENDPOINT < inputs.json")?;
        return Ok(ExitCode::from(2));
    };
    let mut inputs = Vec::new();
    io::stdin().read_to_end(&mut inputs)?;
    match ask(target, endpoint.clone(), Payload::new(JSON, inputs)).await {
        Ok(answer) => {
            io::stdout().write_all(answer.bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            write!(io::stderr(), "error: {error}\n{}", error.explanation())?;
            Ok(ExitCode::FAILURE)
        }
    }
}
