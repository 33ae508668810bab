//! The catalog of all conformance cases.

use super::{
    abi, cancel, errors, fuzz, load, manifest, memory, operations, output, payload, prompt, semantics, stream, threads,
};
use crate::case::Case;

/// All conformance cases by family, in the order of a plugin's life cycle.
const FAMILIES: &[&[Case]] = &[
    manifest::CASES,
    load::CASES,
    abi::CASES,
    prompt::CASES,
    operations::CASES,
    output::CASES,
    payload::CASES,
    errors::CASES,
    stream::CASES,
    cancel::CASES,
    threads::CASES,
    memory::CASES,
    semantics::CASES,
    fuzz::CASES,
];

impl Case {
    /// Returns all conformance cases, in the order of a plugin's life cycle.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        FAMILIES.iter().copied().flatten()
    }

    /// Returns the conformance case with the name `id`, or `None` if it does not exist.
    pub fn by_id(id: &str) -> Option<&'static Self> {
        Self::all().find(|case| case.id == id)
    }
}
