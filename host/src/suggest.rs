//! What may have been meant by a word that nobody knows.

/// How alike two words have to be for one to be meant when the other was typed.
const ALIKE: f64 = 0.8;

/// The known word that is most like this one, where it is much like it.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |known: &str| strsim::jaro_winkler(word, known);
    let rated = known.into_iter().map(|known| (likeness(known), known));
    rated.filter(|(likeness, _)| *likeness >= ALIKE).max_by(|one, two| one.0.total_cmp(&two.0)).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_seen_and_another_word_is_none() {
        let schemes = ["databricks", "http", "https", "local", "openai"];
        for (word, meant) in [
            ("databrick", Some("databricks")),
            ("opneai", Some("openai")),
            ("htp", Some("http")),
            ("lcal", Some("local")),
            ("nope", None),
            ("ftp", None),
            ("sagemaker", None),
        ] {
            assert_eq!(nearest(word, schemes), meant, "{word}");
        }
        assert_eq!(nearest("a", []), None);
    }
}
