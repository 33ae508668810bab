//! What is known of inputs that were in a process when it ended. They are told by a keyed hash: nobody can make others that
//! are taken for them, and they are not kept.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mlflow_deploy_plugin_api::Payload;

/// How many inputs are remembered; the oldest are forgotten first.
const MAX_VERDICTS: usize = 1024;

/// What is known of inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// They end the process that runs them: how.
    Ends(String),
    /// They were there when a process ended.
    Suspect,
}

/// The verdicts, oldest first. There is one for each process that has ended, and few of those.
#[derive(Default)]
pub(super) struct Verdicts {
    keys: [RandomState; 2],
    known: Mutex<VecDeque<(Mark, Verdict)>>,
}

/// Inputs: how long they are, and 128 bits of hash.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark {
    length: usize,
    hash: [u64; 2],
}

impl Verdicts {
    /// What is known of inputs. They are hashed only where others of the same length are known.
    pub(super) fn of(&self, inputs: &Payload) -> Option<Verdict> {
        let is_maybe_known = self.lock().iter().any(|(mark, _)| mark.length == inputs.bytes().len());
        let mark = is_maybe_known.then(|| self.mark(inputs))?;
        self.lock().iter().find(|(known, _)| *known == mark).map(|(_, verdict)| verdict.clone())
    }

    pub(super) fn set(&self, inputs: &Payload, verdict: Verdict) {
        let mark = self.mark(inputs);
        let mut known = self.lock();
        known.retain(|(known, _)| *known != mark);
        if known.len() == MAX_VERDICTS {
            known.pop_front();
        }
        known.push_back((mark, verdict));
    }

    /// The inputs did no harm.
    pub(super) fn clear(&self, inputs: &Payload) {
        let mark = self.mark(inputs);
        self.lock().retain(|(known, _)| *known != mark);
    }

    fn mark(&self, inputs: &Payload) -> Mark {
        let hash = [&self.keys[0], &self.keys[1]].map(|key| key.hash_one((inputs.content_type(), inputs.bytes())));
        Mark { length: inputs.bytes().len(), hash }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Mark, Verdict)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_verdicts_are_forgotten_first() {
        let verdicts = Verdicts::default();
        let inputs = |number: usize| Payload::new("text/csv", number.to_string().into_bytes());
        let ends = Verdict::Ends("it ended".to_owned());
        assert_eq!(verdicts.of(&inputs(0)), None);
        verdicts.set(&inputs(0), Verdict::Suspect);
        verdicts.set(&inputs(0), ends.clone());
        assert_eq!(verdicts.of(&inputs(0)), Some(ends));
        assert_eq!(verdicts.of(&Payload::new("application/json", b"0".to_vec())), None);
        (1..=MAX_VERDICTS).for_each(|number| verdicts.set(&inputs(number), Verdict::Suspect));
        assert_eq!((verdicts.of(&inputs(0)), verdicts.of(&inputs(1))), (None, Some(Verdict::Suspect)));
        verdicts.clear(&inputs(1));
        assert_eq!(verdicts.of(&inputs(1)), None);
    }
}
