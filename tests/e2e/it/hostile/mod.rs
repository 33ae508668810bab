//! Checks that the host survives faulty plugins and files. Each fault has a test, which prints a row of a Markdown
//! table: `cargo test -p mlflow-deploy-e2e hostile -- --nocapture`.

mod case;

mod files;
mod fixture;
mod panics;
mod plugins;
mod resources;
