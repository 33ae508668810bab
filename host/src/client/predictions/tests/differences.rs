//! The deliberate differences from the recorded results of mlflow, pandas and numpy. A test checks that each difference
//! occurs and is documented.

/// A row of the table of differences in the documentation, and the recorded cases that it describes.
pub(super) struct Difference {
    /// The text in the right column of the row.
    pub(super) documented: &'static str,
    /// The recorded format, such as `dataframe` or `ndarray[str]`.
    pub(super) format: &'static str,
    /// The inputs of the cases: predictions as `to_json` writes them, or the text of an invalid response.
    pub(super) cases: &'static [&'static str],
}

/// The row of the documentation about Python's `repr`. Its cases are not listed, because the test checks that each has
/// the same value as the JSON.
pub(super) const REPR: &str = "It holds JSON, as `to_json` writes it";

pub(super) const DIFFERENCES: &[Difference] = &[
    Difference {
        documented: "Numbers in text have ASCII digits",
        format: "ndarray[float64]",
        cases: &[r#"["\u0661"]"#],
    },
    Difference {
        documented: "Numbers in text have ASCII digits",
        format: "ndarray[float32]",
        cases: &[r#"["\u0661"]"#],
    },
    Difference { documented: "Numbers in text have ASCII digits", format: "ndarray[int64]", cases: &[r#"["\u0661"]"#] },
    Difference { documented: "Numbers in text have ASCII digits", format: "ndarray[int32]", cases: &[r#"["\u0661"]"#] },
    Difference {
        documented: "Numbers in text have ASCII digits",
        format: "ndarray[uint64]",
        cases: &[r#"["\u0661"]"#],
    },
    Difference { documented: "Numbers in text have ASCII digits", format: "ndarray[uint8]", cases: &[r#"["\u0661"]"#] },
    Difference {
        documented: "A row of another type than list is an error",
        format: "dataframe",
        cases: &[r#"[[1], {"a": 1}]"#, r#"[[1], "ab"]"#],
    },
    Difference {
        documented: "A row of another type than dict is an error",
        format: "dataframe",
        cases: &[r#"[{"a": 1}, [["b", 2]]]"#],
    },
    Difference {
        documented: "Every error has the code `INVALID_PARAMETER_VALUE`",
        format: "code",
        cases: &["[1]", "{}", "nope", r#"{"Predictions": [1]}"#, r#""x""#, ""],
    },
];

/// Recorded calls that do not compile in Rust, each with the row of the documentation that describes it.
pub(super) const DO_NOT_COMPILE: &[(&str, &str)] = &[
    ("get_predictions('csv')", "The format is a type, and an unknown one does not compile"),
    ("get_predictions('nope')", "The format is a type, and an unknown one does not compile"),
    ("PredictionsResponse({}).get_predictions()", "A response always has `predictions`, and is read from text"),
    ("from_json(None)", "A response always has `predictions`, and is read from text"),
];
