//! The inputs that were in a process when it crashed. They are identified by a keyed hash, so that a client cannot
//! forge inputs with the same hash. The inputs are not kept.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard};

use mlflow_deploy_plugin_api::{Payload, sync};

/// The maximum number of remembered inputs. The oldest are forgotten first.
const MAX_INPUTS: usize = 1024;

/// The role of inputs in the crash of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CrashRole {
    /// The inputs crash the process that runs them. Contains the message of the crash.
    Cause(String),
    /// The inputs were in a process when it crashed.
    Suspect,
}

/// The inputs of crashed processes, oldest first. The list is short, because crashes are rare.
#[derive(Default)]
pub(super) struct CrashHistory {
    keys: [RandomState; 2],
    known: Mutex<VecDeque<(Fingerprint, CrashRole)>>,
}

/// The length and a hash of inputs.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Fingerprint {
    length: usize,
    hash: [u64; 2],
}

impl CrashHistory {
    /// Returns the role of inputs, if known. Hashes them only if inputs of the same length are known.
    pub(super) fn get(&self, inputs: &Payload) -> Option<CrashRole> {
        let is_maybe_known = self.lock().iter().any(|(known, _)| known.length == inputs.bytes().len());
        let fingerprint = is_maybe_known.then(|| self.fingerprint(inputs))?;
        self.lock().iter().find(|(known, _)| *known == fingerprint).map(|(_, role)| role.clone())
    }

    pub(super) fn set(&self, inputs: &Payload, role: CrashRole) {
        let fingerprint = self.fingerprint(inputs);
        let mut known = self.lock();
        known.retain(|(known, _)| *known != fingerprint);
        if known.len() == MAX_INPUTS {
            known.pop_front();
        }
        known.push_back((fingerprint, role));
    }

    /// Forgets inputs that did not crash a process.
    pub(super) fn clear(&self, inputs: &Payload) {
        let fingerprint = self.fingerprint(inputs);
        self.lock().retain(|(known, _)| *known != fingerprint);
    }

    fn fingerprint(&self, inputs: &Payload) -> Fingerprint {
        let hash = [&self.keys[0], &self.keys[1]].map(|key| key.hash_one((inputs.content_type(), inputs.bytes())));
        Fingerprint { length: inputs.bytes().len(), hash }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Fingerprint, CrashRole)>> {
        sync::lock(&self.known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_inputs_are_forgotten_first() {
        let history = CrashHistory::default();
        let inputs = |number: usize| Payload::new("text/csv", number.to_string().into_bytes());
        let cause = CrashRole::Cause("it ended".to_owned());
        assert_eq!(history.get(&inputs(0)), None);
        history.set(&inputs(0), CrashRole::Suspect);
        history.set(&inputs(0), cause.clone());
        assert_eq!(history.get(&inputs(0)), Some(cause));
        assert_eq!(history.get(&Payload::new("application/json", b"0".to_vec())), None);
        (1..=MAX_INPUTS).for_each(|number| history.set(&inputs(number), CrashRole::Suspect));
        assert_eq!((history.get(&inputs(0)), history.get(&inputs(1))), (None, Some(CrashRole::Suspect)));
        history.clear(&inputs(1));
        assert_eq!(history.get(&inputs(1)), None);
    }
}
