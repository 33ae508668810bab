//! The fields of a CSV file that stand for missing values, as in pandas.

/// The fields that stand for missing values: the default `na_values` of `pandas.read_csv`.
const MISSING_VALUES: [&str; 19] = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
];

/// Returns true if a field of a CSV file stands for a missing value.
pub(crate) fn is_missing(field: &str) -> bool {
    MISSING_VALUES.contains(&field)
}
