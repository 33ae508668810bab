//! The cases, family by family.

mod abi;
mod cancel;
mod errors;
mod fuzz;
mod load;
mod manifest;
mod memory;
mod operations;
mod payload;
mod process;
mod prompt;
mod semantics;
mod stream;
mod threads;

use crate::case::Case;

/// The families in the order of a plugin's life.
pub(crate) const FAMILIES: &[&[Case]] = &[
    manifest::CASES,
    load::CASES,
    abi::CASES,
    prompt::CASES,
    operations::CASES,
    payload::CASES,
    errors::CASES,
    stream::CASES,
    cancel::CASES,
    threads::CASES,
    memory::CASES,
    semantics::CASES,
    fuzz::CASES,
];
