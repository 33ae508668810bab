//! Finds the type of a CSV column by the rules of pandas' `read_csv`. MLflow's servers call this function for
//! `text/csv`.
//!
//! Unlike pandas, this module keeps integers with leading zeros as text, because they are codes, such as postal codes.
//! It also keeps all digits of an integer.

use mlflow_deploy_plugin_api::json_integer::is_beyond_64_bits;
use serde_json::Number;

/// The type of a CSV column: the first variant that fits all fields of the column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnType {
    Integer,
    Float,
    Boolean,
    Text,
}

/// The types that fit all fields of a column so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ColumnGuess {
    integers: bool,
    numbers: bool,
    booleans: bool,
}

impl Default for ColumnGuess {
    fn default() -> Self {
        Self { integers: true, numbers: true, booleans: true }
    }
}

impl ColumnGuess {
    /// Adds a field of the column. A missing value fits every type.
    pub(crate) fn see(&mut self, field: &str) {
        if !(self.numbers || self.booleans) || is_missing(field) {
            return;
        }
        let is_code = has_leading_zero(field);
        self.integers &= !is_code && is_integer(field);
        self.numbers &= !is_code && float(field).is_some();
        self.booleans &= boolean(field).is_some();
    }

    /// Returns the type of the column.
    pub(crate) fn column_type(self) -> ColumnType {
        match (self.integers, self.numbers, self.booleans) {
            (true, _, _) => ColumnType::Integer,
            (false, true, _) => ColumnType::Float,
            (false, false, true) => ColumnType::Boolean,
            (false, false, false) => ColumnType::Text,
        }
    }
}

impl ColumnType {
    /// Returns the type of a column with these fields. A missing value fits every type.
    pub(super) fn of<'a>(fields: impl Iterator<Item = &'a str>) -> Self {
        let mut guess = ColumnGuess::default();
        fields.for_each(|field| guess.see(field));
        guess.column_type()
    }

    /// Returns true if the field may be in a column of this type.
    #[cfg(feature = "bulk")]
    pub(crate) fn fits(self, field: &str) -> bool {
        match self {
            _ if is_missing(field) => true,
            Self::Integer => !has_leading_zero(field) && is_integer(field),
            Self::Float => float(field).is_some(),
            Self::Boolean => boolean(field).is_some(),
            Self::Text => true,
        }
    }

    /// Returns the name of the type for a message.
    #[cfg(feature = "bulk")]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Integer => "an integer",
            Self::Float => "a number",
            Self::Boolean => "`true` or `false`",
            Self::Text => "text",
        }
    }

    /// Returns a field of a column of this type as JSON; `None` if it is a number that JSON cannot represent, such as
    /// `inf`.
    pub(crate) fn json(self, field: &str) -> Option<String> {
        if is_missing(field) {
            return Some("null".to_owned());
        }
        match self {
            Self::Boolean => boolean(field).map(|value| value.to_string()),
            Self::Integer => Some(integer(field)),
            // An integer that a float would round keeps its digits.
            Self::Float if is_integer(field) && is_rounded(field) => Some(integer(field)),
            Self::Float => float(field).and_then(Number::from_f64).map(|number| number.to_string()),
            Self::Text => serde_json::to_string(field).ok(),
        }
    }
}

/// Returns true if pandas reads the field as a missing value.
fn is_missing(field: &str) -> bool {
    const MISSING: [&str; 19] = [
        "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
        "NULL", "NaN", "None", "n/a", "nan", "null",
    ];
    MISSING.contains(&field)
}

/// Parses `true` or `false`, in upper or lower case.
fn boolean(field: &str) -> Option<bool> {
    match field {
        field if field.eq_ignore_ascii_case("true") => Some(true),
        field if field.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// Parses a number with optional blanks around it. Returns `None` for `nan`.
fn float(field: &str) -> Option<f64> {
    field.trim_ascii().parse().ok().filter(|number: &f64| !number.is_nan())
}

/// Returns the text of a number without its sign and the blanks around it.
fn digits(field: &str) -> &str {
    let field = field.trim_ascii();
    field.strip_prefix(['+', '-']).unwrap_or(field)
}

fn is_integer(field: &str) -> bool {
    let digits = digits(field);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn has_leading_zero(field: &str) -> bool {
    is_integer(field) && digits(field).len() > 1 && digits(field).starts_with('0')
}

/// Returns an integer as JSON, with all its digits.
fn integer(field: &str) -> String {
    let digits = digits(field);
    let is_negative = field.trim_ascii().starts_with('-') && digits != "0";
    if is_negative { format!("-{digits}") } else { digits.to_owned() }
}

/// Returns true if an integer is too large for a float to keep all its digits.
fn is_rounded(integer: &str) -> bool {
    const MAX_EXACT: u64 = 1 << f64::MANTISSA_DIGITS;
    is_beyond_64_bits(digits(integer)) || digits(integer).parse::<u64>().is_ok_and(|value| value > MAX_EXACT)
}
