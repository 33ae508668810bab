//! Replaces a set of secrets in text, and words that look like keys of known services.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::decode::{decode, literal};
use super::known_keys;
use super::secret_form::{SecretForm, Stream};
use crate::secret::{REDACTED, Secret};

/// The maximum number of nested encodings that are decoded.
const MAX_LAYERS: usize = 3;

/// Removes a set of secrets from text.
///
/// A secret is removed if it has at least six bytes, of which at least four are neither white space nor one of
/// `+-=/_\`. A text may contain only the beginning or the end of a secret. Such a part is removed if it has at least
/// twelve characters. If the secret has fewer than 24 characters, a part with half of the characters is removed, but
/// only if it has at least six. At the start or the end of a text, a part of six characters is removed, because the
/// text may be truncated. Words that look like OpenAI keys (`sk-…`) or tokens (`dapi…`, `eyJ…`) are removed as well.
///
/// ```
/// use mlflow_deploy_plugin_api::{Redactor, Secret};
///
/// let redactor = Redactor::new([Secret::new("pass/word+1")]);
/// assert_eq!(redactor.hide("no user has pass%2Fword%2B1"), "no user has <redacted>");
/// assert_eq!(redactor.hide(r#"{"given":"pass\/word\u002b1"}"#), r#"{"given":"<redacted>"}"#);
/// ```
#[derive(Clone, Default)]
pub struct Redactor(Arc<SecretSet>);

#[derive(Default)]
struct SecretSet {
    secrets: Vec<Secret>,
    /// The forms of the secrets that are searched for. They are built when the first text is redacted, because most
    /// calls redact no text.
    forms: OnceLock<Vec<SecretForm>>,
}

impl Redactor {
    /// Returns a redactor that removes these secrets.
    pub fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        Self(Arc::new(SecretSet { secrets: secrets.into_iter().collect(), forms: OnceLock::new() }))
    }

    /// Returns the text with each secret replaced by `<redacted>`. A text must be redacted before it is truncated,
    /// because the rest of a truncated secret may be too short to be found.
    pub fn hide(&self, text: &str) -> String {
        let mut found = known_keys::find(text);
        let forms = self.0.forms.get_or_init(|| forms(&self.0.secrets));
        let mut layer = (!forms.is_empty()).then(|| literal(text));
        for _ in 0..=MAX_LAYERS {
            let Some(units) = layer else { break };
            let stream = Stream::new(&units);
            forms.iter().for_each(|form| form.find(&stream, &mut found));
            layer = decode(&units);
        }
        replace(text, found)
    }
}

/// Two redactors are equal if they remove the same secrets.
impl PartialEq for Redactor {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.secrets == other.0.secrets
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Redactor({} secrets)", self.0.secrets.len())
    }
}

/// Returns the forms in which each secret is searched for: unchanged, with its own escapes decoded, in Base64, and in
/// hexadecimal.
fn forms(secrets: &[Secret]) -> Vec<SecretForm> {
    let mut forms = Vec::new();
    for secret in secrets {
        let encoded = (0..3).filter_map(|behind| SecretForm::base64(secret.expose().as_bytes(), behind));
        forms.extend(encoded.chain(SecretForm::hex(secret.expose().as_bytes())));
        let mut layer = Some(literal(secret.expose()));
        for _ in 0..=MAX_LAYERS {
            let Some(units) = layer else { break };
            let bytes: Vec<u8> = units.iter().map(|unit| unit.byte).collect();
            forms.extend(SecretForm::text(&bytes));
            layer = decode(&units);
        }
    }
    forms
}

/// Returns the text with `<redacted>` in place of these ranges. Overlapping ranges count as one.
fn replace(text: &str, mut ranges: Vec<Range<usize>>) -> String {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut redacted = String::with_capacity(text.len());
    let mut rest = 0;
    let mut ranges = ranges.into_iter().peekable();
    while let Some(Range { start, mut end }) = ranges.next() {
        while let Some(next) = ranges.next_if(|next| next.start < end) {
            end = end.max(next.end);
        }
        redacted.push_str(&text[rest..text.floor_char_boundary(start).max(rest)]);
        redacted.push_str(REDACTED);
        rest = text.ceil_char_boundary(end);
    }
    redacted + &text[rest..]
}

// Not under Miri, where these tests take many minutes. The code under test is safe.
#[cfg(all(test, not(miri)))]
mod tests;
