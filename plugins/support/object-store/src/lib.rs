#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod aws_keys;
mod azure;
mod building;
mod connection_string;
mod connector;
mod digest;
mod failure;
mod gcs;
mod google_metadata;
mod s3;
mod s3_extra_args;
mod store;
mod stores;
mod temporary;
#[cfg(test)]
mod tests;
mod upload;
mod url;

pub use digest::Digest;
pub use store::{Part, Store, StoredObject};
pub use stores::Stores;
pub use temporary::{AzureToken, TemporaryCredentials};
pub use upload::Upload;
pub use url::StoreUrl;
