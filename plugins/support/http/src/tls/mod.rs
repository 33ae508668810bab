//! Configures TLS with the trusted certificates and the client's certificate, and explains why TLS failed.

mod algorithms;
mod authorities;
mod client_cert;
mod der;
mod file_kind;
mod insecure;
mod key_kind;
mod p521;
mod p521_key_exchange;
mod pem;
mod reason;
mod settings;
#[cfg(test)]
mod tests;
mod verifier;

pub(crate) use reason::{is_plain, is_tls, reason};
pub(crate) use settings::{nothing_trusted, settings};
