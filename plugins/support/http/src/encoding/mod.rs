//! Decompresses responses as their `Content-Encoding` header says, in parts of limited size.

mod coding;
mod decoder;
mod deflate;
mod feed;
mod gzip;

pub(crate) use coding::{accept_compressed, accept_identity, codings};
pub(crate) use decoder::{DecodeError, Decoder};
pub use gzip::GzipReader;
