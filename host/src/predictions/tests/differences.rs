//! Where the recordings are not followed, on purpose. Each line is checked to differ, and to be in the documentation.

/// One row of the documentation's table, and the recorded cases that it is about.
pub(super) struct Difference {
    /// The right column of the row.
    pub(super) documented: &'static str,
    /// What was recorded: `dataframe`, `ndarray[str]` and so on.
    pub(super) format: &'static str,
    /// The predictions, as `to_json` writes them; for a response that cannot be read, its text.
    pub(super) cases: &'static [&'static str],
}

/// The row about reprs, which are not listed one by one: each is checked to be the same value as JSON.
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
        documented: "A row that is no list is an error",
        format: "dataframe",
        cases: &[r#"[[1], {"a": 1}]"#, r#"[[1], "ab"]"#],
    },
    Difference {
        documented: "A row that is no dict is an error",
        format: "dataframe",
        cases: &[r#"[{"a": 1}, [["b", 2]]]"#],
    },
    Difference {
        documented: "Every error has the code `INVALID_PARAMETER_VALUE`",
        format: "code",
        cases: &["[1]", "{}", "nope", r#"{"Predictions": [1]}"#, r#""x""#, ""],
    },
];

/// What was recorded of calls that Rust's types do not let anybody write.
pub(super) const CANNOT_BE_WRITTEN: &[(&str, &str)] = &[
    ("get_predictions('csv')", "The format is a type, and an unknown one does not compile"),
    ("get_predictions('nope')", "The format is a type, and an unknown one does not compile"),
    ("PredictionsResponse({}).get_predictions()", "A response always has `predictions`, and comes from text"),
    ("from_json(None)", "A response always has `predictions`, and comes from text"),
];
