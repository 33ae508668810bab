//! Passes the target triple of the build to the crate. The crate writes it into the manifest of a plugin.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = std::env::var("TARGET").expect("cargo sets TARGET for build scripts");
    println!("cargo::rustc-env=MLFLOW_DEPLOY_TARGET={target}");
}
