//! A small fake of a Ray cluster: the dashboard's REST API for Serve and packages, and Serve's HTTP proxy.
//!
//! Its answers have the form of `recorded.json`, which was recorded from Ray 2.60. The fake does not depend on time: an
//! application advances by one step with each request for the applications.

mod api;
mod applications;
mod cluster;
mod predictions;
mod state;

pub use applications::Applications;
pub use cluster::Ray;
