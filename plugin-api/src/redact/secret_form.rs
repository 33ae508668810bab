//! A form of a secret (unchanged, Base64 or hexadecimal) that is searched for in text.

use std::ops::Range;

use super::decode::Unit;

/// The minimum length of a secret that is searched for, in bytes. A shorter one would match many harmless words.
const MIN_LEN: usize = 6;

/// The minimum number of characters of a form that remain after the ignored characters are removed.
const SHORTEST_FOLDED: usize = 4;

/// The characters that the search ignores, apart from white space: the non-alphanumeric characters of both Base64
/// alphabets, and the slash and the backslash, which URL parsers may replace by each other.
const IGNORED: &[u8] = b"+-=/_\\";

/// The length from which a beginning or an end of a secret is replaced anywhere in a text. If a secret is shorter than
/// twice this length, half of the secret is enough.
const MAX_PART: usize = 12;

/// One form in which a text may contain a secret: unchanged, Base64 or hexadecimal.
#[derive(Debug)]
pub(super) struct SecretForm {
    forward: Word,
    backward: Word,
    /// The number of ignored characters at the start of the form, and the number at its end.
    ignored: (usize, usize),
    /// Two flags for Base64: the first is true if the character before the form holds some bits of the secret, the
    /// second if the character after the form does.
    shares: (bool, bool),
}

/// A text to search in, without the ignored characters. Each remaining byte is in lower case, and has its index in
/// `units`.
#[derive(Debug)]
pub(super) struct Stream<'a> {
    units: &'a [Unit],
    kept: Vec<(usize, u8)>,
}

impl SecretForm {
    /// Returns the unchanged form of a secret; `None` if the secret is too short.
    pub(super) fn text(secret: &[u8]) -> Option<Self> {
        let is_ignored = |byte: &&u8| fold(**byte).is_none();
        let before = secret.iter().take_while(is_ignored).count();
        let after = secret.iter().rev().take_while(is_ignored).count();
        Self::new(secret.to_vec(), (before, after), (false, false)).filter(|_| secret.len() >= MIN_LEN)
    }

    /// Returns the hexadecimal form of a secret; `None` if the secret is too short.
    pub(super) fn hex(secret: &[u8]) -> Option<Self> {
        let text: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        Self::new(text.into_bytes(), (0, 0), (false, false)).filter(|_| secret.len() >= MIN_LEN)
    }

    /// Returns the Base64 form of a secret that is encoded after `behind` other bytes; `None` if the secret is too
    /// short. The form has only the characters whose bits all belong to the secret.
    pub(super) fn base64(secret: &[u8], behind: usize) -> Option<Self> {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let (begin, end) = (behind * 8, (behind + secret.len()) * 8);
        let bit = |index: usize| secret[index / 8 - behind] >> (7 - index % 8) & 1;
        let digit = |first: usize| (first..first + 6).fold(0, |digit, index| digit << 1 | bit(index));
        let text = (begin.div_ceil(6)..end / 6).map(|char| ALPHABET[usize::from(digit(char * 6))]).collect();
        let shares = (begin % 6 != 0, end % 6 != 0);
        Self::new(text, (0, 2), shares).filter(|_| secret.len() >= MIN_LEN)
    }

    fn new(text: Vec<u8>, ignored: (usize, usize), shares: (bool, bool)) -> Option<Self> {
        let mut folded: Vec<u8> = text.into_iter().filter_map(fold).collect();
        if folded.len() < SHORTEST_FOLDED {
            return None;
        }
        let forward = Word::new(folded.clone());
        folded.reverse();
        Some(Self { forward, backward: Word::new(folded), ignored, shares })
    }

    /// Searches the text for the form, and adds the ranges that match to `found`. The whole form matches anywhere. A
    /// long beginning or end of the form also matches anywhere. A short end matches at the start of the text, and a
    /// short beginning at the end of the text.
    pub(super) fn find(&self, stream: &Stream<'_>, found: &mut Vec<Range<usize>>) {
        let length = stream.kept.len();
        let bytes = || stream.kept.iter().map(|(_, byte)| *byte);
        found.extend(self.forward.runs(bytes()).into_iter().map(|run| self.source(stream, run)));
        let mirrored = self.backward.runs(bytes().rev()).into_iter().map(|run| length - run.end..length - run.start);
        found.extend(mirrored.map(|run| self.source(stream, run)));
    }

    /// Converts a range of compared bytes to a range of the original text.
    fn source(&self, stream: &Stream<'_>, run: Range<usize>) -> Range<usize> {
        let Range { mut start, mut end } = run;
        let is_whole = run.len() == self.forward.bytes.len();
        let is_digit = |index: usize| stream.kept.get(index).is_some_and(|(_, byte)| is_base64(*byte));
        if is_whole && self.shares.0 && start > 0 && is_digit(start - 1) {
            start -= 1;
        }
        if is_whole && self.shares.1 && is_digit(end) {
            end += 1;
        }
        let (mut first, mut last) = (stream.kept[start].0, stream.kept[end - 1].0);
        let is_padding = |index: usize| stream.units.get(index).is_some_and(|unit| IGNORED.contains(&unit.byte));
        if is_whole {
            first -= (1..=self.ignored.0).take_while(|back| first >= *back && is_padding(first - back)).count();
            last += (1..=self.ignored.1).take_while(|next| is_padding(last + next)).count();
        } else if end == stream.kept.len() {
            // The rest is ignored, or it is a truncated escape.
            return stream.units[first].source.start..usize::MAX;
        }
        stream.units[first].source.start..stream.units[last].source.end
    }
}

impl<'a> Stream<'a> {
    pub(super) fn new(units: &'a [Unit]) -> Self {
        let kept = units.iter().enumerate().filter_map(|(index, unit)| Some((index, fold(unit.byte)?))).collect();
        Self { units, kept }
    }
}

/// Returns a byte in lower case, as the search compares it; `None` if the search ignores the byte.
fn fold(byte: u8) -> Option<u8> {
    match byte {
        _ if IGNORED.contains(&byte) => None,
        _ if byte.is_ascii_whitespace() => None,
        _ => Some(byte.to_ascii_lowercase()),
    }
}

/// Returns true if a byte in lower case can be a character of Base64.
fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

/// A word to search for, with its failure table for the Knuth-Morris-Pratt algorithm.
#[derive(Debug)]
struct Word {
    bytes: Vec<u8>,
    /// For each prefix of the word, the length of its longest proper prefix that is also its suffix.
    borders: Vec<usize>,
}

impl Word {
    fn new(bytes: Vec<u8>) -> Self {
        let mut word = Self { borders: vec![0, 0], bytes };
        for index in 1..word.bytes.len() {
            let border = word.next(word.borders[index], word.bytes[index]);
            word.borders.push(border);
        }
        word
    }

    /// Returns the length of the longest prefix of the word that matches up to and including `byte`. `length` is the
    /// length that matched before `byte`.
    fn next(&self, mut length: usize, byte: u8) -> usize {
        while length == self.bytes.len() || (length > 0 && self.bytes[length] != byte) {
            length = self.borders[length];
        }
        if self.bytes[length] == byte { length + 1 } else { 0 }
    }

    /// Returns the ranges of `bytes` that match the word or a long prefix of it. At the end of `bytes`, a shorter
    /// prefix also matches.
    fn runs(&self, bytes: impl Iterator<Item = u8>) -> Vec<Range<usize>> {
        let whole = self.bytes.len();
        let part = whole.div_ceil(2).clamp(MIN_LEN, MAX_PART).min(whole);
        let mut runs: Vec<Range<usize>> = Vec::new();
        let (mut length, mut end) = (0, 0);
        for byte in bytes {
            length = self.next(length, byte);
            end += 1;
            let start = end - length;
            match runs.last_mut() {
                _ if length < part => {}
                Some(last) if last.start == start => last.end = end,
                _ => runs.push(start..end),
            }
        }
        if (MIN_LEN..part).contains(&length) {
            runs.push(end - length..end);
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_and_its_long_prefixes_are_found() {
        let runs = |word: &str, text: &str| Word::new(word.as_bytes().to_vec()).runs(text.bytes());
        assert_eq!(runs("abcabd", "xabcabcabdabcabd"), [4..10, 10..16]);
        assert_eq!(runs("aaaaaa", "aaaaaaaa"), [0..6, 1..7, 2..8]);
        assert_eq!(runs("abcdefghijklmnop", "abcdefgh, abcdefg, abcdef"), [0..8, 19..25], "half of it, or at the end");
        assert!(runs("abcdefghijklmnop", "abcde").is_empty());
    }

    #[test]
    fn the_base64_form_has_only_characters_of_the_secret() {
        let text = |behind| String::from_utf8(SecretForm::base64(b"hunter2", behind).unwrap().forward.bytes).unwrap();
        // `hunter2`, `:hunter2` and `b:hunter2`: aHVudGVyMg==, Omh1bnRlcjI= and YjpodW50ZXIy.
        assert_eq!([text(0), text(1), text(2)], ["ahvudgvym", "h1bnrlcj", "odw50zxiy"].map(str::to_owned));
    }
}
