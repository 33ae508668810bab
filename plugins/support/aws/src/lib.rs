#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod access_key;
mod assume_role;
mod context;
mod endpoints;
mod environment;
mod profile;
mod provider;
mod sign;
mod source;
#[cfg(test)]
mod tests;

pub use access_key::AccessKey;
pub use assume_role::Role;
pub use endpoints::{ServiceEndpoints, check_region};
pub use environment::AwsEnvironment;
pub use provider::CredentialProvider;
pub use sign::sign;
