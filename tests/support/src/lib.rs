//! What the tests of several crates share.

pub mod cdylib;
pub mod peers;
pub mod server;
