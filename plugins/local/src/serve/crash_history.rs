//! Remembers the inputs that a model process was running when it crashed. Stores only the length and a keyed hash of
//! the inputs. The key is secret, so that a client cannot construct other inputs with the same hash.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard};

use mlflow_deploy_plugin_api::{Payload, sync};

/// The maximum number of inputs that are remembered. The oldest are removed first.
const MAX_INPUTS: usize = 1024;

/// The involvement of inputs in the crash of a model process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CrashRole {
    /// The inputs crash the process that runs them. Contains the message of the crash.
    Cause(String),
    /// The process was running the inputs when it crashed, possibly together with other inputs.
    Suspect,
}

/// The inputs that a model process was running when it crashed, oldest first. The list is short, because crashes are
/// rare.
#[derive(Default)]
pub(super) struct CrashHistory {
    keys: [RandomState; 2],
    known: Mutex<VecDeque<(Fingerprint, CrashRole)>>,
}

/// The length and a keyed hash of inputs, which identify the inputs.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Fingerprint {
    length: usize,
    hash: [u64; 2],
}

impl CrashHistory {
    /// Returns the involvement of `inputs` in a crash, or `None` if the list does not contain these inputs. Computes
    /// the hash only if the list contains inputs of the same length.
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

    /// Removes inputs from the list, because they did not crash a process when they ran alone.
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
