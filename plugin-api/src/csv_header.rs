//! The names of the columns of a CSV file, as pandas reads them. A file may name a column twice or not at all.

use std::collections::{HashMap, HashSet};

/// Returns the names in a header line, made unique as `pandas.read_csv` does: the second `a` is `a.1`, and a column
/// without a name is `Unnamed: N`, where N is its position from 0.
///
/// ```
/// use mlflow_deploy_plugin_api::csv_header;
///
/// assert_eq!(csv_header::unique_names(["a", "b", "a", ""]), ["a", "b", "a.1", "Unnamed: 3"]);
/// ```
pub fn unique_names<'a>(header: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let named = |(at, name): (usize, &str)| if name.is_empty() { format!("Unnamed: {at}") } else { name.to_owned() };
    let header: Vec<_> = header.into_iter().enumerate().map(named).collect();
    let given: HashSet<_> = header.iter().map(String::as_str).collect();
    // The number of columns so far with each name.
    let mut counts = HashMap::<String, usize>::new();
    let unique = |name: &String| {
        let mut unique = name.clone();
        let mut count = counts.get(name).copied().unwrap_or_default();
        while count > 0 {
            counts.insert(name.clone(), count + 1);
            unique = format!("{name}.{count}");
            count = if given.contains(unique.as_str()) {
                count + 1
            } else {
                counts.get(&unique).copied().unwrap_or_default()
            };
        }
        *counts.entry(unique.clone()).or_default() += 1;
        unique
    };
    header.iter().map(unique).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_pandas() {
        for (header, expected) in [
            (&["a", "b"][..], &["a", "b"][..]),
            (&["a", "a", "a"], &["a", "a.1", "a.2"]),
            (&["a", "a.1", "a"], &["a", "a.1", "a.2"]),
            (&["a", "a", "a.1"], &["a", "a.2", "a.1"]),
            (&["", "x", ""], &["Unnamed: 0", "x", "Unnamed: 2"]),
        ] {
            assert_eq!(unique_names(header.iter().copied()), expected, "{header:?}");
        }
    }
}
