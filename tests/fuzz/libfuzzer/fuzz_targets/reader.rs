//! The reader that `FUZZ_READER` names, under libFuzzer.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mlflow_deploy_fuzz::{READERS, Reader};

static READER: LazyLock<Reader> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_READER").unwrap_or_default();
    let known = READERS.map(|reader| reader.name);
    READERS.into_iter().find(|reader| reader.name == name).unwrap_or_else(|| panic!("FUZZ_READER: one of {known:?}"))
});

fuzz_target!(|bytes: &[u8]| (READER.read)(bytes));
