//! Runs one reader under libFuzzer. The environment variable `FUZZ_READER` contains the name of the reader.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mlflow_deploy_fuzz::{READERS, Reader};

static READER: LazyLock<Reader> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_READER").unwrap_or_default();
    let known = READERS.map(|reader| reader.name);
    READERS
        .into_iter()
        .find(|reader| reader.name == name)
        .unwrap_or_else(|| panic!("invalid reader `{name}`: set `FUZZ_READER` to one of {known:?}"))
});

fuzz_target!(|bytes: &[u8]| (READER.read)(bytes));
