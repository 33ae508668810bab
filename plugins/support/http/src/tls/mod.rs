//! TLS: the trusted certificates, the client's certificate, and the reasons of failures.

mod algorithms;
mod authorities;
mod client_cert;
mod der;
mod insecure;
mod p521;
mod pem;
mod reason;
mod settings;
#[cfg(test)]
mod tests;
mod verifier;

pub(crate) use reason::{is_tls, reason};
pub(crate) use settings::settings;
