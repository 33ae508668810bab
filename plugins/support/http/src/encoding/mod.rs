//! `Content-Encoding`: decodes compressed responses, a bounded part at a time.

mod coding;
mod decoder;
mod deflate;
mod feed;

pub(crate) use coding::{accept_compressed, accept_identity, codings};
pub(crate) use decoder::{DecodeError, Decoder};
