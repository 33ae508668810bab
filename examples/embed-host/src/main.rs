//! Sends JSON from stdin to an endpoint of a deployment target, and prints the predictions.
//!
//! Usage: `embed-host [--blocking] TARGET ENDPOINT < inputs.json`
//!
//! ```sh
//! cargo build -p mlflow-deploy-example-echo -p mlflow-deploy-example-embed-host
//! echo '{"hello": "world"}' | MLFLOW_DEPLOY_PLUGIN_PATH=$PWD/target/debug target/debug/embed-host echo echo
//! ```
#![forbid(unsafe_code)]

use std::io::{self, Read, Write};
use std::process::ExitCode;

use mlflow_deploy::args::Predict;
use mlflow_deploy::{Error, JSON, Payload, blocking, get_deploy_client};

/// Opens a client of the target, sends the request, and returns the predictions.
async fn predict(target: &str, request: Predict) -> Result<Payload, Error> {
    let client = get_deploy_client(Some(target)).await?;
    Ok(client.predict(request).await?)
}

/// Does the same as [`predict`], but blocks the thread until the predictions arrive. May also be called on a thread of
/// an async runtime.
fn predict_blocking(target: &str, request: Predict) -> Result<Payload, Error> {
    let client = blocking::get_deploy_client(Some(target))?;
    Ok(client.predict(request)?)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<ExitCode> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_blocking = arguments.first().is_some_and(|first| first == "--blocking");
    arguments.drain(..usize::from(is_blocking));
    let [target, endpoint] = arguments.as_slice() else {
        writeln!(io::stderr(), "usage: embed-host [--blocking] TARGET ENDPOINT < inputs.json")?;
        return Ok(ExitCode::from(2));
    };
    let mut inputs = Vec::new();
    io::stdin().read_to_end(&mut inputs)?;
    let request = Predict::endpoint(endpoint, Payload::new(JSON, inputs));
    let result = if is_blocking { predict_blocking(target, request) } else { predict(target, request).await };
    match result {
        Ok(predictions) => {
            io::stdout().write_all(predictions.bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            write!(io::stderr(), "error: {error}\n{}", error.explanation())?;
            Ok(ExitCode::FAILURE)
        }
    }
}
