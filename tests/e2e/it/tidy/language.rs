//! Checks that the text of this repository avoids four marks of bad style: people for processes and callers, openers
//! that are not statements, "is no", and "where" for "if".
//!
//! The checks find only some violations of the style rules.

use std::fs;

use super::sources::{files, root};

/// A mark of bad style: its description, and a function that returns true for a line that has the mark.
type Mark = (&'static str, fn(&str) -> bool);

const MARKS: [Mark; 4] = [
    ("a person for a process, a thread or a caller", names_a_person),
    ("an opener that is not a statement: What, Whether, How", opens_with_a_question),
    ("`is no …`, for `is not …`", says_is_no),
    ("`where` for `if`", says_where_for_if),
];

/// The lines that may have a mark. Each entry has a part of such a line, and the reason.
const ALLOWED: &[(&str, &str)] = &[];

/// The path of this file, which the test skips because it contains the marks.
const THIS_FILE: &str = "tests/e2e/it/tidy/language.rs";

const PEOPLE: [&str; 8] = ["nobody", "somebody", "anybody", "whoever", "whom", "whomever", "someone", "anyone"];

/// Returns the words of a line in lower case, without punctuation.
fn words(line: &str) -> impl Iterator<Item = String> {
    line.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '\''))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

fn names_a_person(line: &str) -> bool {
    words(line).any(|word| PEOPLE.contains(&word.as_str()))
}

fn opens_with_a_question(line: &str) -> bool {
    let text = line.trim_start().strip_prefix("///").or_else(|| line.trim_start().strip_prefix("//!"));
    text.is_some_and(|text| {
        ["What", "Whether", "How"]
            .iter()
            .any(|opener| words(text).next() == Some(opener.to_lowercase()) && text.trim_start().starts_with(opener))
    })
}

fn says_is_no(line: &str) -> bool {
    let words: Vec<_> = words(line).collect();
    (0..words.len().saturating_sub(1)).any(|index| {
        let before = index.checked_sub(1).map_or("", |before| words[before].as_str());
        let after = words.get(index + 2).map_or("", String::as_str);
        matches!(words[index].as_str(), "is" | "are" | "was" | "were")
            && words[index + 1] == "no"
            && before != "there"
            && !["more", "longer"].contains(&after)
    })
}

fn says_where_for_if(line: &str) -> bool {
    const AFTER: [&str; 14] =
        ["a", "all", "an", "it", "neither", "no", "none", "not", "nothing", "one", "that", "there", "they", "this"];
    const VERBS: [&str; 9] = ["is", "are", "was", "were", "has", "does", "do", "can", "cannot"];
    let words: Vec<_> = words(line).collect();
    let after = |index: usize| words.get(index).map_or("", String::as_str);
    (0..words.len()).filter(|index| words[*index] == "where").any(|index| {
        AFTER.contains(&after(index + 1)) || after(index + 1) == "the" && VERBS.contains(&after(index + 3))
    }) || line.contains("` where ")
}

#[test]
fn text_is_plain_english() {
    let excluded = ["tests/fixtures/contract-1.0/", "recordings/", "/corpus/", "LICENSE"];
    let mut violations = Vec::new();
    for name in files(&["rs", "md", "json", "h", "c", "hpp", "cpp", "toml", "sh", "py"]) {
        if name == THIS_FILE || excluded.iter().any(|part| name.contains(part)) {
            continue;
        }
        let text = fs::read_to_string(root().join(&name)).unwrap();
        for (number, line) in text.lines().enumerate() {
            let is_allowed = ALLOWED.iter().any(|(part, _)| line.contains(part));
            let marks = MARKS.iter().filter(|(_, has)| !is_allowed && has(line));
            violations.extend(marks.map(|(mark, _)| format!("{name}:{}: {mark}: {}", number + 1, line.trim())));
        }
    }
    assert!(violations.is_empty(), "{} lines:\n{}", violations.len(), violations.join("\n"));
}

#[test]
fn every_exception_occurs_in_a_file() {
    for (part, reason) in ALLOWED {
        let is_used = files(&["rs", "md", "json", "h", "c", "hpp", "cpp", "toml", "sh", "py"])
            .iter()
            .any(|name| name != THIS_FILE && fs::read_to_string(root().join(name)).unwrap().contains(part));
        assert!(is_used && !reason.is_empty(), "no file contains `{part}`");
    }
}

#[test]
fn marks_are_recognised() {
    for line in [
        "/// Whether it is set.",
        "// nobody waits",
        "//! What a host says.",
        "the key is no word",
        "fails where it is",
    ] {
        assert!(MARKS.iter().any(|(_, has)| has(line)), "{line}");
    }
    for line in
        ["/// Returns the folder where models are kept.", "/// True if it is set.", "there is no more", "the `whatnot`"]
    {
        assert!(!MARKS.iter().any(|(_, has)| has(line)), "{line}");
    }
}
