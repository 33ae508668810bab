//! The reasons why one value cannot become an element of a tensor.

/// The reason why a value cannot be converted. Its text ends a sentence that begins with the value, such as "`1.5` has
/// a fraction".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CellError {
    /// The value is invalid, and MLflow rejects it too.
    Invalid(&'static str),
    /// The conversion would change the value. MLflow accepts such a value and passes a different one to the model.
    Lossy(&'static str),
    /// The value is a date and time with a time zone, which MLflow does not support.
    TimeZone,
}

/// A converted value, or the reason why it cannot be converted.
pub(crate) type CellResult<T> = Result<T, CellError>;
