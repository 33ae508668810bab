//! Decompresses responses as their `Content-Encoding` header says, in parts of limited size.

mod coding;
mod decoder;
mod deflate;
mod feed;

pub(crate) use coding::{accept_compressed, accept_identity, codings};
pub(crate) use decoder::{DecodeError, Decoder};
