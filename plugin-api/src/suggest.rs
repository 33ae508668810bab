//! Suggests the known word that is most similar to a mistyped word.

/// The minimum Jaro-Winkler similarity of two words for a suggestion.
const MIN_SIMILARITY: f64 = 0.8;

/// Returns the known word that is most similar to `word`, or `None` if no word is similar enough.
///
/// ```
/// assert_eq!(mlflow_deploy_plugin_api::nearest("opneai", ["databricks", "openai"]), Some("openai"));
/// assert_eq!(mlflow_deploy_plugin_api::nearest("ftp", ["databricks", "openai"]), None);
/// ```
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let rated = known.into_iter().map(|known| (strsim::jaro_winkler(word, known), known));
    let similar = rated.filter(|(similarity, _)| *similarity >= MIN_SIMILARITY);
    similar.max_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_gets_a_suggestion_and_another_word_gets_none() {
        let schemes = ["databricks", "http", "https", "local", "openai"];
        for (word, suggestion) in [
            ("databrick", Some("databricks")),
            ("opneai", Some("openai")),
            ("htp", Some("http")),
            ("lcal", Some("local")),
            ("nope", None),
            ("ftp", None),
            ("sagemaker", None),
        ] {
            assert_eq!(nearest(word, schemes), suggestion, "{word}");
        }
        assert_eq!(nearest("a", []), None);
    }
}
