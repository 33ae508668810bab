//! Support code for the tests of several crates.

mod answer;
pub mod aws;
pub mod broken;
pub mod c_kit;
pub mod cdylib;
pub mod databricks;
pub mod onnxruntime;
pub mod patch;
pub mod peers;
pub mod ray;
pub mod server;
pub mod spelling;
pub mod v2;
