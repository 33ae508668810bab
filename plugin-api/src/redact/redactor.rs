//! What keeps the secrets of a request or a call out of everything that is said.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::pattern::{Pattern, Stream};
use super::spelling::{decode, literal};
use crate::Secret;

/// What stands in the place of a secret.
pub(crate) const REDACTED: &str = "<redacted>";

/// How often one encoding may be wrapped in another.
const MAX_LAYERS: usize = 3;

/// How keys of OpenAI and tokens of Databricks and of OAuth begin, and how much has to follow.
const KEYS: [(&str, usize); 3] = [("dapi", 6), ("eyJ", 6), ("sk-", 8)];

/// Removes a set of secrets from text.
///
/// A secret is removed if it has at least six bytes, and at least four that are neither white space nor one of `+-=/_\`. Of a
/// secret that is repeated in part, its beginning and its end are removed: twelve characters or more (of a secret of less
/// than 24, half of it, six at least), and at the edge of a text, where a sender may have cut it, six. Words that look
/// like keys of OpenAI (`sk-…`) or tokens (`dapi…`, `eyJ…`) are removed too.
///
/// ```
/// use mlflow_deploy_plugin_api::{Redactor, Secret};
///
/// let redactor = Redactor::new([Secret::new("pass/word+1")]);
/// assert_eq!(redactor.hide("no user has pass%2Fword%2B1"), "no user has <redacted>");
/// assert_eq!(redactor.hide(r#"{"given":"pass\/word\u002b1"}"#), r#"{"given":"<redacted>"}"#);
/// ```
#[derive(Clone, Default)]
pub struct Redactor(Arc<Secrets>);

#[derive(Default)]
struct Secrets {
    secrets: Vec<Secret>,
    /// Made for the first text: most calls say nothing that needs it.
    patterns: OnceLock<Vec<Pattern>>,
}

impl Redactor {
    /// Removes these secrets.
    pub fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        Self(Arc::new(Secrets { secrets: secrets.into_iter().collect(), patterns: OnceLock::new() }))
    }

    /// Returns the text with `<redacted>` in the place of each secret. A text that is to be cut is redacted first: of a
    /// secret that crosses the cut too little may be left to be found.
    pub fn hide(&self, text: &str) -> String {
        let mut found = keys(text);
        let patterns = self.0.patterns.get_or_init(|| patterns(&self.0.secrets));
        let mut layer = (!patterns.is_empty()).then(|| literal(text));
        for _ in 0..=MAX_LAYERS {
            let Some(units) = layer else { break };
            let stream = Stream::new(&units);
            patterns.iter().for_each(|pattern| pattern.find(&stream, &mut found));
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

/// The forms of the secrets: each as it is, as it is when its own escapes are decoded, in Base64 and in hexadecimal.
fn patterns(secrets: &[Secret]) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    for secret in secrets {
        let encoded = (0..3).filter_map(|behind| Pattern::base64(secret.expose().as_bytes(), behind));
        patterns.extend(encoded.chain(Pattern::hex(secret.expose().as_bytes())));
        let mut layer = Some(literal(secret.expose()));
        for _ in 0..=MAX_LAYERS {
            let Some(units) = layer else { break };
            let bytes: Vec<u8> = units.iter().map(|unit| unit.byte).collect();
            patterns.extend(Pattern::text(&bytes));
            layer = decode(&units);
        }
    }
    patterns
}

/// Where something looks like a key, though whose it is is not known.
fn keys(text: &str) -> Vec<Range<usize>> {
    let is_key = |each: char| each.is_ascii_alphanumeric() || "-_*.".contains(each);
    let mut found = Vec::new();
    for (beginning, least) in KEYS {
        let mut looked_at = 0;
        for (start, _) in text.match_indices(beginning) {
            if start < looked_at || text[..start].ends_with(char::is_alphanumeric) {
                continue;
            }
            let key = &text[start..];
            let key = &key[..key.find(|each| !is_key(each)).unwrap_or(key.len())];
            looked_at = start + key.len();
            if key.len() >= beginning.len() + least {
                found.push(start..looked_at);
            }
        }
    }
    found
}

/// The text with each of these places replaced; places that overlap are one.
fn replace(text: &str, mut places: Vec<Range<usize>>) -> String {
    places.sort_unstable_by_key(|place| place.start);
    let mut shown = String::with_capacity(text.len());
    let mut rest = 0;
    let mut places = places.into_iter().peekable();
    while let Some(Range { start, mut end }) = places.next() {
        while let Some(next) = places.next_if(|next| next.start < end) {
            end = end.max(next.end);
        }
        shown.push_str(&text[rest..text.floor_char_boundary(start).max(rest)]);
        shown.push_str(REDACTED);
        rest = text.ceil_char_boundary(end);
    }
    shown + &text[rest..]
}

#[cfg(test)]
mod tests;
