//! Runs every reader on its seed inputs, and on mutations of them from a fixed random seed. A reader calls a parser and
//! checks its result.

use std::env;
use std::panic::{self, AssertUnwindSafe};

use mutatis::Session;

use mlflow_deploy_fuzz::{READERS, Reader};

const SEED: u64 = 0x6d6c_666c_6f77;

/// The maximum number of mutations of one input. Some bugs appear only after several mutations.
const MAX_MUTATIONS: usize = 8;

#[test]
fn readers_survive_mutated_input() {
    let iterations = env::var("FUZZ_ITERATIONS").map_or(5_000, |number| number.parse().unwrap());
    let only = env::var("FUZZ_READER").ok();
    let is_selected = |reader: &Reader| only.as_ref().is_none_or(|only| reader.name == only);
    for reader in READERS.into_iter().filter(is_selected) {
        let corpus = reader.corpus().unwrap();
        let read = |bytes: &[u8]| {
            let outcome = panic::catch_unwind(AssertUnwindSafe(|| (reader.read)(bytes)));
            assert!(outcome.is_ok(), "`{}` failed on {:?}", reader.name, bytes.escape_ascii().to_string());
        };
        corpus.iter().for_each(|bytes| read(bytes));
        let mut session = Session::new().seed(SEED);
        for iteration in 0..iterations {
            let mut bytes = corpus[iteration % corpus.len()].clone();
            for _ in 0..=iteration % MAX_MUTATIONS {
                session.mutate(&mut bytes).unwrap();
            }
            read(&bytes);
        }
        println!("{}: {iterations} mutations of {} files", reader.name, corpus.len());
    }
}
