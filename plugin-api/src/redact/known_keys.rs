//! Finds words in a text that look like keys or tokens of known services, such as `sk-…`. They are found even if they
//! are not among the given secrets.

use std::ops::Range;

/// The prefixes of Databricks tokens, OAuth tokens and OpenAI keys, each with the minimum length of the rest of the
/// word.
const KNOWN_KEYS: [(&str, usize); 3] = [("dapi", 6), ("eyJ", 6), ("sk-", 8)];

/// Returns the ranges of a text that look like keys or tokens of known services.
pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let is_key = |each: char| each.is_ascii_alphanumeric() || "-_*.".contains(each);
    let mut found = Vec::new();
    for (prefix, min_rest) in KNOWN_KEYS {
        let mut searched = 0;
        for (start, _) in text.match_indices(prefix) {
            if start < searched || text[..start].ends_with(char::is_alphanumeric) {
                continue;
            }
            let key = &text[start..];
            let key = &key[..key.find(|each| !is_key(each)).unwrap_or(key.len())];
            searched = start + key.len();
            if key.len() >= prefix.len() + min_rest {
                found.push(start..searched);
            }
        }
    }
    found
}
