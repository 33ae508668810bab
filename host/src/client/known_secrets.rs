//! The secrets of the clients that were opened: those of named targets, and those that manifests declare. They are removed
//! from the events of all plugins.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use mlflow_deploy_plugin_api::{Redactor, Secret, sync};

/// The maximum number of secrets to remember. It limits the memory of a process that reads new secrets again and again.
const MAX_SECRETS: usize = 256;

/// The secrets that were read last. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownSecrets(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    secrets: VecDeque<Secret>,
    redactor: Option<Redactor>,
}

impl KnownSecrets {
    /// Remembers these secrets.
    pub(crate) fn add(&self, secrets: &[Secret]) {
        let mut state = sync::lock(&self.0);
        // The redactor prepares its search once.
        if secrets.iter().all(|secret| state.secrets.contains(secret)) {
            return;
        }
        for secret in secrets {
            state.secrets.retain(|known| known != secret);
            state.secrets.push_back(secret.clone());
        }
        let excess = state.secrets.len().saturating_sub(MAX_SECRETS);
        state.secrets.drain(..excess);
        state.redactor = (!state.secrets.is_empty()).then(|| Redactor::new(state.secrets.iter().cloned()));
    }

    /// Returns a text without the secrets.
    pub(crate) fn hide(&self, text: String) -> String {
        let redactor = sync::lock(&self.0).redactor.clone();
        match redactor {
            Some(redactor) => redactor.hide(&text),
            None => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_secrets_are_hidden() {
        let known = KnownSecrets::default();
        let text = "S3CR3T-of-one sk-0123456789";
        assert_eq!(known.hide(text.to_owned()), text);
        known.add(&[Secret::new("S3CR3T-of-one"), Secret::new("S3CR3T-of-one")]);
        assert_eq!(known.hide(text.to_owned()), "<redacted> <redacted>");
        let others: Vec<_> = (1000..1000 + MAX_SECRETS).map(|at| Secret::new(format!("{at}-other-{at}"))).collect();
        known.add(&others);
        assert_eq!(known.hide("1000-other-1000 S3CR3T-of-one".to_owned()), "<redacted> S3CR3T-of-one");
    }
}
